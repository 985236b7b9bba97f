//! Upgraded connections: bytes both ways for as long as both want.

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
fn an_upgrade_the_backend_refuses_is_an_ordinary_answer() {
    let backend = Backend::start(|_| Reply::status(403, &[], "no"));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send(HANDSHAKE);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
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
