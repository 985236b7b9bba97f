//! The whole service against real sockets, and how it follows what is published.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::config::{ActiveCheck, HttpProbe, Percent, Probe};
use crate::observe::metrics::Metrics;
use crate::snapshot::Parts;
use crate::state::State;
use crate::upstream::sticky::Signer;
use crate::upstream::{CheckFailure, Journal, Member, Resolved};

const PATIENCE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_hours(1);
const SHORT: Duration = Duration::from_millis(20);

fn active(interval: Duration) -> ActiveCheck {
    ActiveCheck {
        probe: Probe::Http(HttpProbe {
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            expect: vec![200..=299],
            body: None,
        }),
        port: None,
        interval,
        timeout: PATIENCE,
        rise: 1,
        fall: 1,
        jitter: Percent::HALF,
        concurrency: 8,
    }
}

fn snapshot<T>(
    backends: &[SocketAddr],
    check: Option<ActiveCheck>,
    metrics: &Metrics,
    way: &dyn Fn(usize, &Member) -> T,
    previous: Option<&Snapshot<T>>,
) -> Snapshot<T> {
    let text = "listeners: [{ name: l, address: '127.0.0.1:1' }]\n\
                routes: [{ name: r, upstream: web }]\n\
                upstreams: { web: { backends: [{ address: '127.0.0.1:1' }] } }\n";
    let mut config = crate::config::load(text, "test", &|_| None).expect("valid");
    config.upstreams[0].health.active = check;
    let backend = config.upstreams[0].backends[0].clone();
    let resolved = |address: &SocketAddr| Resolved {
        address: *address,
        name: address.to_string(),
        // Members of one configured backend would be sorted by address.
        backend: crate::config::Backend {
            address: address.to_string(),
            ..backend.clone()
        },
    };
    let resolved = vec![backends.iter().map(resolved).collect()];
    let parts = Parts {
        resolved: &resolved,
        signer: &Arc::new(Signer::new(None, [7; 32])),
        metrics,
        transport: way,
        journal: &Journal::default(),
        now: clock::now(),
        seed: 1,
    };
    Snapshot::build(Arc::new(config), &parts, previous)
}

fn peer(_: usize, member: &Member) -> HttpPeer {
    HttpPeer::new(member.endpoint.address(), false, String::new())
}

/// A backend that reports each connection and then answers, or stalls.
async fn backend(answers: bool) -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, connections) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = told.send(());
            tokio::spawn(async move {
                let mut request = [0; 1_024];
                let _ = stream.read(&mut request).await;
                if !answers {
                    std::future::pending::<()>().await;
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    (address, connections)
}

async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

async fn wait(connections: &mut mpsc::UnboundedReceiver<()>, count: usize) {
    for _ in 0..count {
        let next = tokio::time::timeout(PATIENCE, connections.recv()).await;
        assert_eq!(next, Ok(Some(())));
    }
}

#[tokio::test]
async fn a_backend_that_refused_is_knocked_at_and_comes_back_without_a_request() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let there = listener.local_addr().unwrap();
    let metrics = Metrics::new();
    let backends = [there, nobody().await];
    let checked = snapshot(&backends, Some(active(LONG)), &metrics, &peer, None);
    for member in 0..backends.len() {
        let refused = Err(CheckFailure::Refused);
        let upstream = &checked.groups()[0].upstream;
        upstream.record_check(member, clock::now(), refused);
    }
    let unchecked = snapshot(&backends, None, &metrics, &peer, Some(&checked));
    let published = Arc::new(Published::new(unchecked));
    let current = published.load();
    let upstream = &current.groups()[0].upstream;
    let (_stop, _service) = run(&published, HttpPeer::clone);
    let knocked = tokio::time::timeout(PATIENCE, listener.accept()).await;
    assert!(knocked.is_ok());
    let is_up = |member| upstream.status(member, clock::now()).unwrap().state == State::Up;
    while !is_up(0) {
        tokio::time::sleep(SHORT).await;
    }
    assert!(!is_up(1));
}

/// Runs the service; the sender stops it.
fn run<T: Send + Sync + 'static>(
    published: &Arc<Published<T>>,
    peer: fn(&T) -> HttpPeer,
) -> (watch::Sender<bool>, task::JoinHandle<()>) {
    let (stop, stopped) = watch::channel(false);
    let checks = HealthChecks::new(Arc::clone(published), peer);
    let service = tokio::spawn(async move { checks.start(stopped).await });
    (stop, service)
}

fn count(metrics: &Metrics, backend: SocketAddr, result: &str) -> u64 {
    let series = format!(
        r#"evenkeel_health_checks_total{{upstream="web",backend="{backend}",result="{result}"}} "#
    );
    let page = metrics.render();
    let value = page.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn every_backend_is_checked_again_and_again_and_a_stalled_one_delays_nobody() {
    let (good, mut good_seen) = backend(true).await;
    let (stalled, mut stalled_seen) = backend(false).await;
    let dead = nobody().await;
    let metrics = Metrics::new();
    let backends = [stalled, good, dead];
    let first = snapshot(&backends, Some(active(SHORT)), &metrics, &peer, None);
    let published = Arc::new(Published::new(first));
    let (stop, service) = run(&published, HttpPeer::clone);
    wait(&mut stalled_seen, 1).await;
    wait(&mut good_seen, 20).await;
    assert!(count(&metrics, good, "passed") >= 10);
    assert!(count(&metrics, dead, "refused") >= 5);
    assert_eq!(count(&metrics, stalled, "timeout"), 0, "still under way");
    assert!(stalled_seen.try_recv().is_err(), "and not asked twice");
    let timed = format!(
        r#"evenkeel_health_check_duration_seconds_count{{upstream="web",backend="{good}"}}"#
    );
    assert!(metrics.render().contains(&timed));

    stop.send(true).unwrap();
    let ended = tokio::time::timeout(PATIENCE, service).await;
    assert!(matches!(ended, Ok(Ok(()))), "it ends at shutdown");
}

#[tokio::test]
async fn a_new_member_is_checked_at_once() {
    let (old, mut old_seen) = backend(true).await;
    let (new, mut new_seen) = backend(true).await;
    let metrics = Metrics::new();
    let first = snapshot(&[old], None, &metrics, &peer, None);
    let published = Arc::new(Published::new(first));
    let (_stop, _service) = run(&published, HttpPeer::clone);
    let check = || Some(active(LONG));
    published.publish(snapshot(
        &[old],
        check(),
        &metrics,
        &peer,
        Some(&published.load()),
    ));
    wait(&mut old_seen, 1).await;
    published.publish(snapshot(
        &[new, old],
        check(),
        &metrics,
        &peer,
        Some(&published.load()),
    ));
    wait(&mut new_seen, 1).await;
    assert!(old_seen.try_recv().is_err(), "its turn is kept");
}

#[tokio::test]
async fn members_that_leave_are_forgotten_and_the_others_keep_their_place() {
    let (a, b) = (nobody().await, nobody().await);
    let metrics = Metrics::new();
    let check = || Some(active(LONG));
    let first = snapshot(&[a, b], check(), &metrics, &peer, None);
    let published = Published::new(first);
    let mut rounds = Rounds::new(&published, HttpPeer::clone, &Arc::default());
    let ids = |rounds: &Rounds<HttpPeer>| {
        let targets = &rounds.lanes["web"].targets;
        let mut ids: Vec<_> = targets
            .iter()
            .map(|(id, place)| (place.endpoint.address(), *id, place.member))
            .collect();
        ids.sort_by_key(|(_, id, _)| *id);
        ids
    };
    assert_eq!(ids(&rounds), [(a, 1, 0), (b, 2, 1)]);
    let next = snapshot(&[b], check(), &metrics, &peer, Some(&published.load()));
    published.publish(next);
    rounds.follow(published.load(), clock::now());
    assert_eq!(ids(&rounds), [(b, 2, 0)]);
    let next = snapshot(&[a, b], check(), &metrics, &peer, Some(&published.load()));
    published.publish(next);
    rounds.follow(published.load(), clock::now());
    assert_eq!(ids(&rounds), [(b, 2, 1), (a, 3, 0)]);
    let off = snapshot(&[a, b], None, &metrics, &peer, Some(&published.load()));
    published.publish(off);
    rounds.follow(published.load(), clock::now());
    assert!(rounds.lanes.is_empty());
    assert_eq!(pause(rounds.wake(), clock::now()), IDLE);
}

/// A way to a backend that cannot be gone.
struct Trap(mpsc::UnboundedSender<()>);

fn fall(trap: &Trap) -> HttpPeer {
    let _ = trap.0.send(());
    panic!("as the test wants it");
}

#[tokio::test]
async fn a_check_that_panics_gives_its_slot_back() {
    let (told, mut fallen) = mpsc::unbounded_channel();
    let metrics = Metrics::new();
    let mut check = active(SHORT);
    check.concurrency = 1;
    let backend = nobody().await;
    let way = |_: usize, _: &Member| Trap(told.clone());
    let first = snapshot(&[backend], Some(check), &metrics, &way, None);
    let published = Arc::new(Published::new(first));
    let (_stop, _service) = run(&published, fall);
    wait(&mut fallen, 3).await;
    assert!(count(&metrics, backend, "failed") >= 1);
}
