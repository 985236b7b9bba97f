//! Backends that the operator takes out, through the admin API.

use std::net::SocketAddr;
use std::time::Duration;

use super::is_in_state;
use crate::support::deadline::wait_until;
use crate::support::faults::signed;
use crate::support::open_loop::NAME;
use crate::support::{Backend, Client, Evenkeel, OpenLoop, Reply, Response, Setup};

const RATE: u32 = 250;
const CONNECTIONS: usize = 6;

/// Three backends that take upgrades too, sticky clients, and an admin API.
struct Pool {
    backends: [Backend; 3],
    evenkeel: Evenkeel,
}

/// Switches protocols where asked to, and sends every byte back.
fn backend(name: &'static str) -> Backend {
    Backend::start(move |request| match request.header("upgrade") {
        Some(_) => {
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
            Reply::raw(format!("{head}{NAME}: {name}\r\n\r\n")).then_echo()
        }
        None => signed(name),
    })
}

/// One PATCH of the admin API.
fn patch(evenkeel: &Evenkeel, target: &str, body: &str) -> Response {
    let host = evenkeel.admin().to_string();
    let headers = [("Host", host.as_str())];
    Client::connect(evenkeel.admin()).request("PATCH", target, &headers, body.as_bytes())
}

impl Pool {
    fn new() -> Self {
        let backends = ["a", "b", "c"].map(backend);
        let evenkeel = Setup::new(&[&backends[0], &backends[1], &backends[2]])
            .upstream("algorithm: round_robin")
            .upstream("sticky: { cookie: KEEL, ttl: 1h }")
            .admin("")
            .start();
        Self { backends, evenkeel }
    }

    fn b(&self) -> SocketAddr {
        self.backends[1].address()
    }

    /// Tells the admin API what `b` shall be.
    #[track_caller]
    fn patch(&self, query: &str, state: &str) -> Response {
        let target = format!("/api/v1/upstreams/main/backends/{}{query}", self.b());
        let body = format!("{{\"state\": \"{state}\"}}");
        let answer = patch(&self.evenkeel, &target, &body);
        assert!(
            (200..300).contains(&answer.status),
            "{}{}",
            answer.head,
            answer.text()
        );
        answer
    }

    /// A WebSocket that `b` holds.
    fn websocket_to_b(&self) -> Client {
        for _ in 0..6 {
            let mut client = self.evenkeel.connect();
            client.send(
                "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            );
            let answer = client.response();
            assert_eq!(answer.status, 101, "{}", answer.head);
            if answer.header(NAME) == Some("b") {
                return client;
            }
        }
        panic!("no turn came to b");
    }

    /// The cookie of a client that `b` serves.
    fn cookie_of_b(&self) -> String {
        for _ in 0..6 {
            let answer = self.evenkeel.get("/");
            if answer.header(NAME) == Some("b") {
                let set = answer.header("set-cookie").expect("clients are sticky");
                return set.split(';').next().expect("one part at least").to_owned();
            }
        }
        panic!("no turn came to b");
    }

    fn get_with(&self, cookie: &str) -> Response {
        let answer = self
            .evenkeel
            .connect()
            .request("GET", "/", &[("Cookie", cookie)], b"");
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer
    }
}

#[track_caller]
fn echoes(client: &mut Client, text: &str) {
    client.send(text);
    assert_eq!(client.exactly(text.len()), text.as_bytes());
}

#[test]
fn a_draining_backend_keeps_its_clients_and_gets_no_new_ones() {
    let pool = Pool::new();
    let mut websocket = pool.websocket_to_b();
    let cookie = pool.cookie_of_b();
    let load = OpenLoop::start(pool.evenkeel.web(), RATE, CONNECTIONS);
    load.more(50);
    pool.patch("", "draining");
    let drained = load.now();
    load.more(150);
    assert!(is_in_state(&pool.evenkeel, pool.b(), "draining"));
    echoes(&mut websocket, "still there");
    for _ in 0..5 {
        let answer = pool.get_with(&cookie);
        assert_eq!(answer.header(NAME), Some("b"), "its own client stays");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let ending = load.now();
    pool.patch("", "active");
    let active = load.now();
    load.more(150);
    let shots = load.stop();
    assert_eq!(shots.failed().len(), 0, "{:?}", shots.outcomes());
    let during = shots.within(drained, ending);
    assert_eq!(during.of("b"), 0, "{:?}", during.by_second());
    assert!(shots.sent(active, Duration::MAX).of("b") >= 30);
    echoes(&mut websocket, "still there afterwards");
}

#[test]
fn a_wait_for_a_drain_ends_when_the_last_websocket_does() {
    let pool = Pool::new();
    let mut websocket = pool.websocket_to_b();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.patch("?wait=15s", "draining"));
        wait_until("it drains", || {
            is_in_state(&pool.evenkeel, pool.b(), "draining")
        });
        echoes(&mut websocket, "one more");
        assert!(!waiting.is_finished(), "a WebSocket is open");
        drop(websocket);
        waiting.join().expect("the wait is answered");
    });
    let address = pool.b().to_string();
    let in_flight = pool
        .evenkeel
        .metric("evenkeel_backend_in_flight", &[("backend", &address)]);
    assert!(in_flight.abs() < 0.5, "{in_flight} in flight");
}

#[test]
fn a_backend_in_maintenance_finishes_what_it_has_and_gets_nothing() {
    let pool = Pool::new();
    let mut websocket = pool.websocket_to_b();
    let cookie = pool.cookie_of_b();
    let load = OpenLoop::start(pool.evenkeel.web(), RATE, CONNECTIONS);
    load.more(50);
    pool.patch("", "maintenance");
    let begun = load.now();
    load.more(150);
    assert!(is_in_state(&pool.evenkeel, pool.b(), "maintenance"));
    echoes(&mut websocket, "still there");
    let answer = pool.get_with(&cookie);
    assert_ne!(answer.header(NAME), Some("b"), "its client is moved");
    assert!(answer.header("set-cookie").is_some(), "with a new cookie");
    let shots = load.stop();
    assert_eq!(shots.failed().len(), 0, "{:?}", shots.outcomes());
    assert_eq!(shots.sent(begun, Duration::MAX).of("b"), 0);
}

#[test]
fn panic_does_not_override_the_operator() {
    let pool = Pool::new();
    let target =
        |backend: &Backend| format!("/api/v1/upstreams/main/backends/{}", backend.address());
    for backend in &pool.backends {
        let answer = patch(
            &pool.evenkeel,
            &target(backend),
            "{\"state\": \"maintenance\"}",
        );
        assert_eq!(answer.status / 100, 2, "{}", answer.head);
    }
    let before: usize = pool.backends.iter().map(Backend::count).sum();
    let answer = pool.evenkeel.get("/");
    assert_eq!(answer.status, 503, "{}", answer.head);
    let after: usize = pool.backends.iter().map(Backend::count).sum();
    assert_eq!(before, after, "no backend was asked");
}
