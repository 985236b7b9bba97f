//! What a client may take: time, bytes and connections, each bounded by the configuration.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::deadline::{Stopwatch, pause, wait_until};
use crate::support::{Backend, Client, Evenkeel, Reply, Setup};

/// A limit of one second ends between these; the machine may be busy.
const ABOUT_A_SECOND: std::ops::Range<Duration> =
    Duration::from_millis(700)..Duration::from_secs(8);

fn fine() -> Backend {
    Backend::start(|_| Reply::ok("fine"))
}

#[track_caller]
fn took_about_a_second(elapsed: Duration) {
    assert!(ABOUT_A_SECOND.contains(&elapsed), "cut after {elapsed:?}");
}

#[test]
fn a_client_that_drips_its_header_is_cut() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend])
        .listener("header_timeout: 1s")
        .start();
    let mut client = evenkeel.connect();
    client.send("GET /drip HTTP/1.1\r\nHost: a\r\nX-Drip: ");
    let watch = Stopwatch::start();
    while client.try_send("a").is_ok() && watch.elapsed() < ABOUT_A_SECOND.end {
        pause(Duration::from_millis(50));
    }
    took_about_a_second(watch.elapsed());
    let rest = String::from_utf8_lossy(&client.until_closed()).into_owned();
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
        "{rest}"
    );
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_silent_client_is_cut() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend])
        .listener("header_timeout: 1s")
        .start();
    took_about_a_second(evenkeel.connect().time_to_close());
    let mut half_a_preface = evenkeel.connect();
    half_a_preface.send("PRI * HT");
    let watch = Stopwatch::start();
    let _ = half_a_preface.until_closed();
    took_about_a_second(watch.elapsed());
}

#[test]
fn a_client_that_drips_its_second_header_is_cut_too() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend])
        .listener("header_timeout: 1s")
        .start();
    let mut client = evenkeel.connect();
    assert_eq!(client.get("/").status, 200);
    client.send("GET /drip HTTP/1.1\r\nHost: a\r\nX-Drip: ");
    let watch = Stopwatch::start();
    while client.try_send("a").is_ok() && watch.elapsed() < ABOUT_A_SECOND.end {
        pause(Duration::from_millis(50));
    }
    took_about_a_second(watch.elapsed());
    assert_eq!(backend.count(), 1);
}

#[test]
fn an_idle_connection_is_closed_after_keepalive() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).listener("keepalive: 1s").start();
    let mut client = evenkeel.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 200);
    }
    took_about_a_second(client.time_to_close());
}

#[test]
fn a_connection_in_use_outlives_keepalive() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).listener("keepalive: 2s").start();
    let mut client = evenkeel.connect();
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(3) {
        assert_eq!(client.get("/").status, 200);
        pause(Duration::from_millis(100));
    }
}

#[test]
fn a_client_that_stops_sending_its_body_is_cut() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).listener("body_timeout: 1s").start();
    let mut client = evenkeel.connect();
    client.send("POST /stalled HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    let watch = Stopwatch::start();
    let response = client.response();
    took_about_a_second(watch.elapsed());
    assert_eq!(
        (response.status, response.reason()),
        (408, Some("body_timeout"))
    );
    client.expect_closed();
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_body_larger_than_max_body_is_refused_before_it_is_sent() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).listener("max_body: 1KiB").start();
    let mut client = evenkeel.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n");
    let response = client.head().expect("an answer, and no interim one");
    assert_eq!(
        (response.status, response.reason()),
        (413, Some("body_too_large"))
    );
    let _ = client.until_closed();
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_chunked_body_larger_than_max_body_is_refused_when_it_passes_the_limit() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).listener("max_body: 1KiB").start();
    let mut client = evenkeel.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("200\r\n{}\r\n", "c".repeat(0x200));
    let _ = client.try_send(chunk.repeat(3));
    let response = client.response();
    assert_eq!(
        (response.status, response.reason()),
        (413, Some("body_too_large"))
    );
    client.expect_closed();
    assert_eq!(backend.count(), 0, "no complete request arrives");
}

#[test]
fn a_body_of_exactly_max_body_passes() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).listener("max_body: 1KiB").start();
    let body = vec![b'x'; 1024];
    let response = evenkeel.connect().request("POST", "/", &[], &body);
    assert_eq!(response.status, 200);
    assert_eq!(backend.only_request().body, body);
}

#[test]
fn an_unlimited_body_passes() {
    let backend = Backend::start(|request| Reply::ok(request.body.len().to_string()));
    let evenkeel = Setup::new(&[&backend])
        .listener("max_body: unlimited")
        .start();
    let body = vec![b'x'; 11 << 20];
    let response = evenkeel.connect().request("POST", "/", &[], &body);
    assert_eq!(response.text(), body.len().to_string());
}

#[test]
fn a_header_larger_than_max_header_bytes_is_refused() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend])
        .listener("max_header_bytes: 2KiB")
        .start();
    let below = "v".repeat(1_500);
    assert_eq!(
        evenkeel
            .connect()
            .request("GET", "/", &[("X-Large", &below)], b"")
            .status,
        200
    );
    let above = "v".repeat(2_100);
    let mut client = evenkeel.connect();
    let response = client.request("GET", "/", &[("X-Large", &above)], b"");
    assert_eq!(
        (response.status, response.reason()),
        (431, Some("header_too_large"))
    );
    client.expect_closed();
    assert_eq!(backend.count(), 1);
}

#[test]
fn a_target_larger_than_max_header_bytes_is_refused() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend])
        .listener("max_header_bytes: 2KiB")
        .start();
    let response = evenkeel.get(&format!("/{}", "t".repeat(2_100)));
    assert!(matches!(response.status, 414 | 431), "{}", response.head);
    assert_eq!(backend.count(), 0);
}

/// Two connections are in use; a third gets no service until one of them ends.
#[track_caller]
fn holds_two_connections(evenkeel: &Evenkeel) {
    let mut kept: Vec<Client> = (0..2).map(|_| evenkeel.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.get("/").status, 200);
    }
    let mut third = evenkeel.connect();
    let _ = third.try_send("GET /third HTTP/1.1\r\nHost: a\r\n\r\n");
    if let Ok(response) = third.try_response() {
        let told = (response.status, response.reason());
        assert_eq!(
            told,
            (503, Some("too_many_connections")),
            "{}",
            response.head
        );
        assert!(
            response.header("retry-after").is_some(),
            "{}",
            response.head
        );
    }
    third.expect_closed();
    for client in &mut kept {
        assert_eq!(client.get("/").status, 200, "those inside stay served");
    }
    kept.pop();
    wait_until("a place gets free", || {
        let mut client = evenkeel.connect();
        let _ = client.try_send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
        client
            .try_response()
            .is_ok_and(|response| response.status == 200)
    });
}

#[test]
fn a_listener_holds_no_more_than_max_connections() {
    let backend = fine();
    holds_two_connections(
        &Setup::new(&[&backend])
            .listener("max_connections: 2")
            .start(),
    );
}

#[test]
fn the_server_holds_no_more_than_max_connections() {
    let backend = fine();
    holds_two_connections(&Setup::new(&[&backend]).server("max_connections: 2").start());
}

#[test]
fn one_address_holds_no_more_than_max_connections_per_ip() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend])
        .listener("max_connections_per_ip: 2")
        .start();
    holds_two_connections(&evenkeel);
    let _kept: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = evenkeel.connect();
            let _ = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    let other = IpAddr::from([127, 0, 0, 9]);
    let mut client =
        Client::connect_from(other, evenkeel.web()).expect("loopback is a whole network");
    assert_eq!(
        client.get("/").status,
        200,
        "another address has places of its own"
    );
}
