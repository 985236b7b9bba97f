//! Backends that die and come back.

use std::time::Duration;

use super::{attempts, is_in_state, is_up};
use crate::support::deadline::{PATIENCE, Stopwatch, wait_until, within};
use crate::support::open_loop::Shot;
use crate::support::{Demo, Evenkeel, OpenLoop, Setup};

const RATE: u32 = 500;
/// Two for each backend.
const CONNECTIONS: usize = 6;
const SLOW_START: Duration = Duration::from_secs(3);

/// Three demo backends behind checks every 200 ms, all of them up.
fn trio(upstream: &[&str]) -> ([Demo; 3], Evenkeel) {
    let demos = ["a", "b", "c"].map(Demo::start);
    let setup = demos
        .iter()
        .fold(Setup::new(&[]), |setup, demo| {
            setup.backend(demo.address(), "")
        })
        .upstream("algorithm: round_robin");
    let evenkeel = upstream
        .iter()
        .fold(setup, |setup, key| setup.upstream(key))
        .start();
    for demo in &demos {
        wait_until("the backend is up", || is_up(&evenkeel, demo.address()));
    }
    (demos, evenkeel)
}

#[test]
fn a_killed_backend_costs_no_request_and_comes_back_slowly() {
    let checks = "health: { active: { type: http, path: /health, interval: 200ms, rise: 2 } }";
    let ([_a, mut b, _c], evenkeel) = trio(&[checks, "slow_start: 3s"]);
    let load = OpenLoop::start(evenkeel.web(), RATE, CONNECTIONS);
    load.goes_on_for(Duration::from_millis(500));

    b.kill();
    let killed = load.now();
    wait_until("it is out", || is_in_state(&evenkeel, b.address(), "down"));
    let before = attempts(&evenkeel, b.address());
    load.goes_on_for(Duration::from_secs(1));
    let after = attempts(&evenkeel, b.address());
    assert!(
        (before - after).abs() < 0.5,
        "{before} and {after} attempts"
    );
    // Each connection can lose one request that was under way and one that finds the port closed.
    let address = b.address().to_string();
    let labels = [("backend", address.as_str()), ("code_class", "failed")];
    let failed = evenkeel.metric("evenkeel_backend_requests_total", &labels);
    assert!(
        failed <= 2.0 * CONNECTIONS as f64,
        "{failed} attempts failed"
    );

    b.restart();
    let listening = load.now();
    wait_until("it is back", || {
        is_in_state(&evenkeel, b.address(), "warming")
    });
    let back = load.now();
    // Twice 200 ms and the checks' jitter.
    let away = back.saturating_sub(listening);
    assert!(away < Duration::from_millis(1_500), "back after {away:?}");

    load.goes_on_for(SLOW_START + Duration::from_millis(1_600));
    let shots = load.stop();
    assert_eq!(shots.failed().len(), 0, "{:?}", shots.outcomes());
    let gone = shots.sent(killed + Duration::from_secs(1), listening);
    assert_eq!(gone.of(b.name()), 0);
    let share = |from: Duration, until: Duration| shots.sent(from, until).share(b.name());
    let full = back + SLOW_START;
    let shares = [
        share(back, back + SLOW_START / 4),
        share(back + SLOW_START / 2, back + SLOW_START * 3 / 4),
        share(full + Duration::from_millis(300), Duration::MAX),
    ];
    assert!(shares[0] < 0.14, "no burst: {shares:?}");
    assert!(
        shares[0] < shares[1] && shares[1] < shares[2],
        "it grows: {shares:?}"
    );
    assert!(
        (0.28..0.39).contains(&shares[2]),
        "a third in the end: {shares:?}"
    );
}

#[test]
fn a_killed_backend_is_noticed_without_checks_and_found_again_by_a_request() {
    let ([_a, mut b, _c], evenkeel) = trio(&[]);
    let load = OpenLoop::start(evenkeel.web(), RATE, CONNECTIONS);
    load.goes_on_for(Duration::from_millis(300));
    b.kill();
    wait_until("it is out", || !is_up(&evenkeel, b.address()));
    load.goes_on_for(Duration::from_millis(500));
    b.restart();
    let listening = load.now();
    let back = within(PATIENCE, || {
        let shots = load.so_far().due(listening, Duration::MAX);
        shots.0.into_iter().find(|shot| shot.backend == b.name())
    });
    let back = back.expect("a request finds it").ended;
    let away = back.saturating_sub(listening);
    assert!(away < Duration::from_secs(4), "back after {away:?}");
    let shots = load.stop();
    assert_eq!(shots.failed().len(), 0, "{:?}", shots.outcomes());
}

#[test]
fn with_all_backends_dead_the_answer_is_503_at_once_until_one_is_back() {
    let checks =
        "health: { active: { type: http, path: /health, interval: 500ms, jitter: 0%, rise: 2 } }";
    let (mut demos, evenkeel) = trio(&[checks]);
    let load = OpenLoop::start(evenkeel.web(), RATE, CONNECTIONS);
    load.goes_on_for(Duration::from_millis(300));
    for demo in &mut demos {
        demo.kill();
    }
    for demo in &demos {
        wait_until("it is out", || {
            is_in_state(&evenkeel, demo.address(), "down")
        });
    }
    let dead = load.now();
    load.goes_on_for(Duration::from_millis(1_500));
    let [revived, ..] = &mut demos;
    let before = load.now();
    revived.restart();
    let listening = Stopwatch::start();
    let back = within(PATIENCE, || {
        let shots = load.so_far().due(before, Duration::MAX);
        shots.0.iter().any(Shot::is_good).then_some(())
    });
    back.expect("requests are answered again");
    let away = listening.elapsed();
    // The first of the two checks that must pass may be a whole interval away.
    assert!(away < Duration::from_millis(1_500), "back after {away:?}");
    load.goes_on_for(Duration::from_millis(300));
    let end = load.now();
    load.goes_on_for(Duration::from_millis(500));
    let shots = load.stop();
    let refused = shots.due(dead, before);
    assert_eq!(refused.outcomes().keys().collect::<Vec<_>>(), ["503"]);
    let mut taken: Vec<Duration> = refused.0.iter().map(Shot::taken).collect();
    taken.sort_unstable();
    let nearly_all = taken[taken.len() * 95 / 100];
    assert!(nearly_all < Duration::from_millis(50), "{nearly_all:?}");
    let slowest = taken.last().copied().unwrap_or_default();
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let after = shots.due(end, Duration::MAX);
    assert_eq!(after.failed().len(), 0, "{:?}", after.outcomes());
}
