//! The deadline of a drain: until then a backend keeps what it has, afterwards nothing.
//!
//! What happens before the deadline, and maintenance, is in `health::operator`; waiting for a
//! drain is in `registry`.

use std::time::Duration;

use crate::support::deadline::{Stopwatch, wait_until};
use crate::support::{Backend, Client, Evenkeel, Reply, Response, Setup};

/// Long enough for a busy machine to look at the time before it.
const DEADLINE: Duration = Duration::from_secs(3);

/// Two backends that take upgrades, and sticky clients.
fn pair() -> ([Backend; 2], Evenkeel) {
    let backends = ["a", "b"].map(|name| {
        Backend::start(move |request| match request.header("upgrade") {
            Some(_) => Reply::raw(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            )
            .then_echo(),
            None => Reply::ok(name),
        })
    });
    let evenkeel = Setup::new(&[&backends[0], &backends[1]])
        .upstream("algorithm: round_robin")
        .upstream("sticky: { cookie: KEEL, ttl: 1h }")
        .admin("")
        .start();
    (backends, evenkeel)
}

/// The cookie that binds a client to the backend that says `name`.
fn cookie_of(evenkeel: &Evenkeel, name: &str) -> String {
    let answers = std::iter::repeat_with(|| evenkeel.get("/")).take(6);
    let mut own = answers.filter(|answer| answer.text() == name);
    let own = own.next().expect("a turn comes to each");
    let cookie = own.header("set-cookie").expect("clients are sticky");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

fn with_cookie(evenkeel: &Evenkeel, cookie: &str) -> Response {
    let mut client = evenkeel.connect();
    let answer = client.request("GET", "/", &[("Cookie", cookie)], b"");
    assert_eq!(answer.status, 200, "{}", answer.head);
    answer
}

fn websocket(evenkeel: &Evenkeel, cookie: &str) -> Client {
    let mut client = evenkeel.connect();
    client.send(format!(
        "GET /ws HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\n\r\n"
    ));
    assert_eq!(client.response().status, 101);
    client
}

#[track_caller]
fn echoes(client: &mut Client) {
    client.send("there?");
    assert_eq!(client.exactly(6), b"there?");
}

fn drain(evenkeel: &Evenkeel, backend: &Backend, query: &str) -> String {
    let admin = evenkeel.admin();
    let path = format!(
        "/api/v1/upstreams/main/backends/{}{query}",
        backend.address()
    );
    let body = format!(
        "{{\"state\": \"draining\", \"deadline\": \"{}ms\"}}",
        DEADLINE.as_millis()
    );
    let host = admin.to_string();
    let answer =
        Client::connect(admin).request("PATCH", &path, &[("Host", &host)], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[test]
fn clients_stay_until_the_deadline_and_are_moved_then() {
    let ([a, b], evenkeel) = pair();
    let cookie = cookie_of(&evenkeel, "a");
    let before = Stopwatch::start();
    drain(&evenkeel, &a, "");
    let after = Stopwatch::start();
    let moved = loop {
        let asked = after.elapsed();
        let answer = with_cookie(&evenkeel, &cookie);
        if answer.text() == "b" {
            assert!(before.elapsed() >= DEADLINE, "moved before the deadline");
            break answer;
        }
        assert!(asked < DEADLINE, "still there after {asked:?}");
        assert_eq!(answer.header("set-cookie"), None, "its cookie holds");
        assert_eq!(evenkeel.get("/").text(), "b", "new clients go elsewhere");
    };
    let cookie = moved.header("set-cookie").expect("it gets a new cookie");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    for _ in 0..6 {
        let answer = with_cookie(&evenkeel, &cookie);
        assert_eq!(answer.text(), "b");
        assert_eq!(answer.header("set-cookie"), None, "the new one holds");
    }
    drop((a, b));
}

#[test]
fn a_websocket_is_cut_at_the_deadline_and_a_wait_ends_with_it() {
    let ([a, b], evenkeel) = pair();
    let mut leaving = websocket(&evenkeel, &cookie_of(&evenkeel, "a"));
    let mut staying = websocket(&evenkeel, &cookie_of(&evenkeel, "b"));
    echoes(&mut leaving);
    echoes(&mut staying);
    let open = a.open_connections();
    let before = Stopwatch::start();
    let (waited, answer) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let answer = drain(&evenkeel, &a, "?wait=20s");
            (before.elapsed(), answer)
        });
        let label = a.address().to_string();
        let labels = [("backend", label.as_str()), ("state", "draining")];
        wait_until("it drains", || {
            evenkeel.metric("evenkeel_backend_state", &labels) > 0.0
        });
        // What is sent after the deadline finds the tunnel closed.
        let limit = DEADLINE * 2 / 3;
        while before.elapsed() < limit {
            echoes(&mut leaving);
        }
        leaving.expect_closed();
        waiting.join().expect("the wait is answered")
    });
    let cut = before.elapsed();
    assert!(cut >= DEADLINE, "cut after {cut:?}");
    assert!(cut < DEADLINE + Duration::from_secs(5), "cut after {cut:?}");
    assert!(waited >= DEADLINE, "drained after {waited:?}");
    assert!(answer.contains("\"drained\":true"), "{answer}");
    echoes(&mut staying);
    wait_until("the backend's side is closed", || {
        a.open_connections() < open
    });
    drop(b);
}
