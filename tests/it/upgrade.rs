//! Upgraded connections: bytes both ways for as long as both want.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::deadline::{pause, wait_until};
use crate::support::{Backend, Client, Evenkeel, Gate, Reply, Setup};

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A text frame from a client, masked with zeros: its payload reads as sent.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text") | 0x80;
    [&[0x81, length, 0, 0, 0, 0], text.as_bytes()].concat()
}

fn echo() -> Backend {
    Backend::start(|request| match request.header("upgrade") {
        Some("websocket") => Reply::raw(ACCEPTED).then_echo(),
        _ => Reply::ok("plain"),
    })
}

fn upgraded(evenkeel: &Evenkeel) -> Client {
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE);
    let response = client.response();
    assert_eq!(response.status, 101, "{}", response.head);
    assert_eq!(
        response.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert!(
        response
            .header("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    );
    client
}

#[track_caller]
fn echoes(client: &mut Client, text: &str) {
    let sent = frame(text);
    client.send(&sent);
    assert_eq!(client.exactly(sent.len()), sent);
}

#[test]
fn a_websocket_carries_frames_both_ways() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = upgraded(&evenkeel);
    for text in ["one", "two", "three"] {
        echoes(&mut client, text);
    }
    let request = backend.only_request();
    assert_eq!(
        request.header("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert!(
        request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
    );
}

#[test]
fn a_websocket_outlives_the_timeouts_of_requests() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend])
        .listener("keepalive: 1s")
        .listener("body_timeout: 1s")
        .listener("header_timeout: 1s")
        .route("timeout: 500ms")
        .upstream("timeouts: { read: 1s, write: 1s, idle: 1s }")
        .start();
    let mut client = upgraded(&evenkeel);
    for text in ["first", "after a while", "and later"] {
        echoes(&mut client, text);
        pause(Duration::from_millis(1_700));
    }
    echoes(&mut client, "still here");
}

#[test]
fn every_websocket_of_many_works_from_its_first_frame() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    for _ in 0..100 {
        echoes(&mut upgraded(&evenkeel), "at once");
    }
}

#[test]
fn a_large_stream_passes_whole() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).listener("max_body: 1KiB").start();
    let mut client = upgraded(&evenkeel);
    let block = frame(&"x".repeat(100)).repeat(100);
    for _ in 0..20 {
        client.send(&block);
        assert!(
            client.exactly(block.len()) == block,
            "the block came back changed"
        );
    }
}

#[test]
fn the_end_of_one_side_ends_the_other() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let client = upgraded(&evenkeel);
    drop(client);
    wait_until("the backend's side ends", || {
        backend.open_connections() == 0
    });
    let mut client = upgraded(&evenkeel);
    echoes(&mut client, "alive");
    backend.stop();
    let _ = client.until_closed();
}

#[test]
fn bytes_sent_before_the_upgrade_is_accepted_are_not_a_request() {
    let backend = Backend::start(|request| match request.target() {
        "/ws" => Reply::status(403, &[], "no"),
        _ => Reply::ok("smuggled"),
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send([HANDSHAKE.as_bytes(), hidden.as_bytes()].concat());
    assert_eq!(client.response().status, 403);
    let _ = client.try_response();
    // Pipelined after a refused upgrade it may be served as a request of its own, framed as
    // the client framed it; what must not be is that it reaches the backend as raw bytes.
    for request in backend.requests() {
        assert!(request.body.is_empty(), "{request:?}");
        assert!(request.values("x-forwarded-for").len() == 1, "{request:?}");
    }
}

#[test]
fn an_open_websocket_counts_as_in_flight() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let client = upgraded(&evenkeel);
    evenkeel.wait_for_metric("evenkeel_backend_in_flight", &[("upstream", "main")], 1.0);
    drop(client);
    evenkeel.wait_for_metric("evenkeel_backend_in_flight", &[("upstream", "main")], 0.0);
}

#[test]
fn draining_leaves_an_open_websocket_until_the_deadline() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).server("drain_timeout: 4s").start();
    let mut client = upgraded(&evenkeel);
    evenkeel.process().signal("TERM");
    wait_until("the listener is closed", || {
        Client::try_connect(evenkeel.web()).is_err()
    });
    echoes(&mut client, "while draining");
    client.expect_closed();
    let status = evenkeel.process().exit_within(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_upgrade_is_tried_elsewhere_when_a_backend_refuses_the_connection() {
    let backend = echo();
    let refusing = Backend::refusing();
    let evenkeel = Setup::new(&[&backend])
        .backend(refusing.address(), "")
        .start();
    for _ in 0..4 {
        echoes(&mut upgraded(&evenkeel), "hello");
    }
}

#[test]
fn a_held_upgrade_does_not_hold_others() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |request| match request.target() {
        "/ws" => Reply::raw(ACCEPTED).after(&held).then_echo(),
        _ => Reply::ok("plain"),
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut waiting = evenkeel.connect();
    waiting.send(HANDSHAKE);
    backend.wait_for(1);
    assert_eq!(evenkeel.get("/").text(), "plain");
    gate.open();
    assert_eq!(waiting.response().status, 101);
    echoes(&mut waiting, "at last");
}

#[test]
fn a_refused_upgrade_leaves_the_connection_usable() {
    let backend = Backend::start(|request| match request.target() {
        "/ws" => Reply::status(403, &[("X-Why", "no")], "not for you"),
        _ => Reply::ok("plain"),
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    for _ in 0..3 {
        client.send(HANDSHAKE);
        let response = client.response();
        assert_eq!(
            (response.status, response.text().as_str()),
            (403, "not for you")
        );
        assert_eq!(response.header("x-why"), Some("no"));
        assert_eq!(client.get("/").text(), "plain");
    }
}

#[test]
fn a_refusal_without_a_length_ends_all_the_same() {
    let backend = Backend::start(|request| match request.target() {
        "/ws" => Reply::raw("HTTP/1.0 400 No\r\n\r\nnot for you").then_close(),
        _ => Reply::ok("plain"),
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE);
    assert_eq!(client.response().text(), "not for you");
    assert_eq!(client.get("/").text(), "plain");
}

#[test]
fn an_upgrade_is_tried_elsewhere_when_a_backend_closes_without_an_answer() {
    let backend = echo();
    let closing = Backend::start(|_| Reply::close());
    let evenkeel = Setup::new(&[&backend, &closing])
        .route("retry: { on: [connect, reset] }")
        .start();
    for _ in 0..4 {
        echoes(&mut upgraded(&evenkeel), "hello");
    }
}

#[test]
fn a_backend_that_never_answers_an_upgrade_is_given_up() {
    let backend = Backend::start(|_| Reply::hang());
    let evenkeel = Setup::new(&[&backend])
        .upstream("timeouts: { read: 500ms }")
        .start();
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE);
    assert_eq!(client.response().status, 504);
}

#[test]
fn the_request_to_upgrade_is_under_the_deadline_of_its_route() {
    let backend = Backend::start(|_| Reply::hang());
    let evenkeel = Setup::new(&[&backend]).route("timeout: 500ms").start();
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE);
    assert_eq!(client.response().status, 504);
}

#[test]
fn a_silent_tunnel_is_cut() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend])
        .upstream("timeouts: { tunnel: 1s }")
        .start();
    let mut client = upgraded(&evenkeel);
    echoes(&mut client, "and now nothing");
    let open = client.time_to_close();
    assert!(open > Duration::from_millis(800), "{open:?}");
    assert!(open < Duration::from_secs(5), "{open:?}");
    wait_until("the backend's side ends", || {
        backend.open_connections() == 0
    });
}

#[test]
fn a_stream_in_one_direction_keeps_a_tunnel_open() {
    let backend = Backend::start(|_| {
        (0..6).fold(Reply::raw(ACCEPTED), |reply, _| {
            reply
                .then_pause(Duration::from_millis(500))
                .then_send("tick")
        })
    });
    let evenkeel = Setup::new(&[&backend])
        .upstream("timeouts: { tunnel: 1s }")
        .start();
    let mut client = upgraded(&evenkeel);
    assert_eq!(client.exactly(24), b"tick".repeat(6));
}

#[test]
fn a_side_that_has_ended_still_gets_what_the_other_has_to_say() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |_| {
        Reply::raw(ACCEPTED)
            .then_await(&held)
            .then_send("late")
            .then_close()
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = upgraded(&evenkeel);
    client.finish();
    pause(Duration::from_millis(300));
    gate.open();
    assert_eq!(client.until_closed(), b"late");
}

#[test]
fn the_end_of_the_client_reaches_the_backend_behind_its_last_bytes() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = upgraded(&evenkeel);
    client.send(frame("last words"));
    client.finish();
    assert_eq!(client.until_closed(), frame("last words"));
}

#[test]
fn a_tunnel_with_one_side_gone_does_not_stay() {
    let backend = Backend::start(|_| Reply::raw(ACCEPTED).then_await(&Gate::new()));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = upgraded(&evenkeel);
    client.finish();
    let open = client.time_to_close();
    assert!(open < Duration::from_secs(9), "{open:?}");
}

#[test]
fn many_websockets_are_open_at_once() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let mut clients: Vec<Client> = (0..64).map(|_| upgraded(&evenkeel)).collect();
    for round in 0..3 {
        let texts: Vec<String> = (0..clients.len())
            .map(|client| format!("{client} in round {round}"))
            .collect();
        for (client, text) in clients.iter_mut().zip(&texts) {
            client.send(frame(text));
        }
        for (client, text) in clients.iter_mut().zip(&texts) {
            let sent = frame(text);
            assert_eq!(client.exactly(sent.len()), sent);
        }
    }
}

#[test]
fn both_directions_flow_at_the_same_time() {
    const BYTES: usize = 8 * 1024 * 1024;
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let mut stream = TcpStream::connect(evenkeel.web()).expect("a connection");
    stream.write_all(HANDSHAKE.as_bytes()).expect("a handshake");
    let mut writer = stream.try_clone().expect("a second handle");
    let sent: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
    let expected = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).expect("the bytes are taken");
        writer.shutdown(Shutdown::Write).expect("an end");
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("the echo");
    writing.join().expect("the writer ends");
    let head = received.windows(4).position(|at| at == b"\r\n\r\n");
    let body = &received[head.expect("a head") + 4..];
    assert!(
        body == expected,
        "{} of {BYTES} bytes or changed",
        body.len()
    );
}

#[test]
fn another_protocol_passes_with_the_bytes_right_behind_the_heads() {
    let backend = Backend::start(|_| {
        let accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                        Upgrade: other-proto/1\r\n\r\nhello";
        Reply::raw(accepted).then_echo()
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send(
        "GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=1\r\nUpgrade: other-proto/1\r\n\r\nGET /early HTTP/1.1\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("upgrade"), Some("other-proto/1"));
    assert_eq!(client.exactly(5), b"hello");
    assert_eq!(client.exactly(23), b"GET /early HTTP/1.1\r\n\r\n");
    client.send([0, 1, 2, 255]);
    assert_eq!(client.exactly(4), [0, 1, 2, 255]);
    let request = backend.only_request();
    assert_eq!(request.header("upgrade"), Some("other-proto/1"));
    assert_eq!(request.values("connection"), ["Upgrade"]);
    assert_eq!(request.header("x-hop"), None);
    assert_eq!(request.header("keep-alive"), None);
}

#[test]
fn a_request_to_upgrade_may_have_a_body() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).listener("max_body: 8B").start();
    let head = HANDSHAKE.replace("GET /ws", "POST /ws");
    let head = head.trim_end();
    let mut client = evenkeel.connect();
    client.send(format!("{head}\r\nContent-Length: 4\r\n\r\nbody"));
    assert_eq!(client.response().status, 101);
    echoes(&mut client, "far more than the limit of a body");
    let mut client = evenkeel.connect();
    client.send(format!(
        "{head}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    ));
    assert_eq!(client.response().status, 101);
    echoes(&mut client, "right behind it");
    for request in backend.requests() {
        assert_eq!(request.body, b"body");
    }
    let mut client = evenkeel.connect();
    client.send(format!(
        "{head}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ntoo large\r\n0\r\n\r\n"
    ));
    assert_eq!(client.response().status, 413);
}

#[test]
fn an_upgrade_that_the_connection_header_does_not_name_is_not_one() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE.replace("Connection: Upgrade\r\n", ""));
    assert_eq!(client.response().text(), "plain");
    assert_eq!(backend.only_request().header("upgrade"), None);
}

#[test]
fn what_a_client_may_not_take_away_cannot_be_named_by_its_connection_header() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend]).start();
    for name in ["Host", "X-Forwarded-For", "Content-Length", "not a token"] {
        let mut client = evenkeel.connect();
        let named = format!("Connection: Upgrade, {name}\r\n");
        client.send(HANDSHAKE.replace("Connection: Upgrade\r\n", &named));
        assert_eq!(client.response().status, 400, "{name}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_tunnel_is_measured_and_bound_to_its_backend_like_any_request() {
    let backend = echo();
    let evenkeel = Setup::new(&[&backend])
        .upstream("sticky: { cookie: KEEL, ttl: 1h }")
        .start();
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE);
    let response = client.response();
    let cookie = response.header("set-cookie").unwrap_or_default();
    assert!(cookie.starts_with("KEEL="), "{}", response.head);
    echoes(&mut client, "twelve bytes");
    drop(client);
    for direction in ["in", "out"] {
        let labels = [("direction", direction)];
        evenkeel.wait_for_metric("evenkeel_bytes_total", &labels, 18.0);
    }
}

#[test]
fn an_answer_to_half_an_upgrade_request_arrives() {
    let backend = Backend::start_early(|_| Reply::status(403, &[], "no").then_close());
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    let head = HANDSHAKE.replace("GET /ws", "POST /ws");
    let head = head.trim_end();
    client.send(format!("{head}\r\nContent-Length: 1000000\r\n\r\n"));
    for _ in 0..10 {
        // It may have closed by now.
        let _ = client.try_send([b'x'; 1000]);
    }
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
}
