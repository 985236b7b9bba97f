//! What a backend gets: forwarding headers, ids, bodies as sent.

use std::collections::BTreeSet;

use crate::support::backend::Request;
use crate::support::{Backend, Reply, Setup};

const FORGED: [(&str, &str); 6] = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "forged.example"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;proto=https;host=forged.example"),
    ("Via", "1.1 forged"),
];

/// What the backend receives when a client sends these headers.
fn received(listener: &str, headers: &[(&str, &str)]) -> Request {
    let backend = Backend::start(|_| Reply::ok("fine"));
    let setup = Setup::new(&[&backend]);
    let setup = if listener.is_empty() {
        setup
    } else {
        setup.listener(listener)
    };
    let evenkeel = setup.start();
    let response = evenkeel.connect().request("GET", "/", headers, b"");
    assert_eq!(response.status, 200, "{}", response.head);
    backend.only_request()
}

#[test]
fn the_client_is_reported() {
    let request = received("", &[("Host", "shop.example:8080")]);
    assert_eq!(request.values("host"), ["shop.example:8080"]);
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.values("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(request.values("x-forwarded-proto"), ["http"]);
    assert_eq!(request.values("x-forwarded-host"), ["shop.example:8080"]);
    let forwarded = request.header("forwarded").expect("Forwarded is set");
    assert!(forwarded.contains("for=127.0.0.1"), "{forwarded}");
    assert!(forwarded.contains("proto=http"), "{forwarded}");
    assert!(forwarded.contains("shop.example:8080"), "{forwarded}");
    let via = request.header("via").expect("Via is set");
    assert!(via.starts_with("1.1 "), "{via}");
}

#[test]
fn what_an_untrusted_client_claims_is_dropped() {
    let request = received("", &FORGED);
    for (name, _) in FORGED {
        let values = request.values(name).join(",");
        let clean = !values.is_empty() && !values.contains("6.6.6.6") && !values.contains("forged");
        assert!(clean, "{name}: {values}");
    }
    assert_eq!(request.values("x-forwarded-proto"), ["http"]);
}

#[test]
fn what_a_trusted_proxy_reports_is_believed() {
    let headers = [
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("Via", "1.1 edge"),
    ];
    let request = received("trusted_proxies: [127.0.0.0/8]", &headers);
    assert_eq!(
        request.values("x-forwarded-for").join(", "),
        "203.0.113.7, 127.0.0.1"
    );
    assert_eq!(request.values("x-real-ip"), ["203.0.113.7"]);
    assert_eq!(request.values("x-forwarded-proto"), ["https"]);
    assert_eq!(request.values("x-forwarded-host"), ["shop.example"]);
    let via = request.values("via").join(", ");
    assert!(via.starts_with("1.1 edge, 1.1 "), "{via}");
}

#[test]
fn a_proxy_outside_the_trusted_networks_is_not_believed() {
    let request = received("trusted_proxies: [10.0.0.0/8]", &FORGED);
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.values("x-real-ip"), ["127.0.0.1"]);
}

#[test]
fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
    let headers = [("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 127.0.0.9")];
    let request = received("trusted_proxies: [127.0.0.0/8]", &headers);
    assert_eq!(request.values("x-real-ip"), ["203.0.113.7"]);
}

#[test]
fn a_nominated_forwarding_header_is_still_set() {
    let backend = Backend::start(|_| Reply::ok("fine"));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    let response = client.request("GET", "/", &[("Connection", "X-Forwarded-For")], b"");
    if response.status == 200 {
        assert_eq!(
            backend.only_request().values("x-forwarded-for"),
            ["127.0.0.1"]
        );
    } else {
        assert_eq!(response.status, 400, "{}", response.head);
        assert_eq!(backend.count(), 0);
    }
}

#[test]
fn a_request_id_is_kept_or_made() {
    let backend = Backend::start(|_| Reply::ok("fine"));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.request("GET", "/", &[("X-Request-Id", "abc-123")], b"");
    for _ in 0..10 {
        client.get("/");
    }
    let requests = backend.requests();
    assert_eq!(requests[0].values("x-request-id"), ["abc-123"]);
    let made: BTreeSet<&str> = requests[1..]
        .iter()
        .filter_map(|request| request.header("x-request-id"))
        .collect();
    assert_eq!(made.len(), 10, "one each: {made:?}");
    assert!(made.iter().all(|id| id.len() >= 16), "{made:?}");
}

#[test]
fn other_headers_and_the_query_pass_unchanged() {
    let backend = Backend::start(|_| {
        Reply::status(
            201,
            &[
                ("X-Back", "1"),
                ("Set-Cookie", "a=b"),
                ("Set-Cookie", "c=d"),
            ],
            "made",
        )
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let headers = [
        ("X-Custom", "a, b"),
        ("Cookie", "k=v"),
        ("Authorization", "Bearer t"),
        ("Accept", "*/*"),
    ];
    let response = evenkeel
        .connect()
        .request("GET", "/p?q=%20&r=a+b&&s", &headers, b"");
    assert_eq!((response.status, response.text().as_str()), (201, "made"));
    assert_eq!(response.values("set-cookie"), ["a=b", "c=d"]);
    assert_eq!(response.header("x-back"), Some("1"));
    let request = backend.only_request();
    assert_eq!(request.target(), "/p?q=%20&r=a+b&&s");
    for (name, value) in headers {
        assert_eq!(request.values(name), [value]);
    }
}

#[test]
fn large_bodies_arrive_whole_both_ways() {
    let backend = Backend::start(|request| Reply::ok(&request.body));
    let evenkeel = Setup::new(&[&backend]).start();
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let response = evenkeel.connect().request("POST", "/", &[], &body);
    assert_eq!(response.status, 200);
    assert!(
        response.body == body,
        "{} of {} bytes came back",
        response.body.len(),
        body.len()
    );
}

#[test]
fn a_chunked_request_arrives_whole() {
    let backend = Backend::start(|request| Reply::ok(&request.body));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in [
        "5\r\nhello\r\n",
        "1;ext=1\r\n \r\n",
        "5\r\nworld\r\n",
        "0\r\n\r\n",
    ] {
        client.send(piece);
    }
    assert_eq!(client.response().text(), "hello world");
}

#[test]
fn a_chunked_response_arrives_whole_and_keeps_the_connection() {
    let backend = Backend::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        )
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "hello world");
    }
}

#[test]
fn a_response_that_ends_with_its_connection_arrives_whole() {
    let backend =
        Backend::start(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end").then_close());
    let evenkeel = Setup::new(&[&backend]).start();
    assert_eq!(evenkeel.get("/").text(), "until the end");
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    let backend = Backend::start_early(|_| {
        Reply::raw("HTTP/1.1 100 Continue\r\n\r\n")
            .then_read_body()
            .then_send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().expect("an interim response").status, 100);
    client.send("body");
    assert_eq!(client.response().text(), "fine");
    assert!(backend.received().ends_with(b"\r\n\r\nbody"));
}

#[test]
fn head_requests_have_no_body_and_keep_the_connection() {
    let backend = Backend::start(|request| match request.method() {
        "HEAD" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        _ => Reply::ok("fine"),
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    let response = client.request("HEAD", "/", &[], b"");
    assert_eq!(
        (response.status, response.header("content-length")),
        (200, Some("1000"))
    );
    assert_eq!(client.get("/").text(), "fine");
}

#[test]
fn an_unknown_method_passes() {
    let backend = Backend::start(|_| Reply::ok("fine"));
    let evenkeel = Setup::new(&[&backend]).start();
    assert_eq!(
        evenkeel.connect().request("PURGE", "/", &[], b"").status,
        200
    );
    assert_eq!(backend.only_request().method(), "PURGE");
    evenkeel.wait_for_metric("evenkeel_requests_total", &[("method", "OTHER")], 1.0);
}

#[test]
fn backend_connections_are_reused() {
    let backend = Backend::start(|_| Reply::ok("fine"));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    for _ in 0..20 {
        client.get("/");
    }
    assert!(
        backend.connections() < 5,
        "{} connections for 20 requests",
        backend.connections()
    );
}

#[test]
fn our_own_answers_do_not_name_the_library() {
    let refusing = Backend::refusing();
    let evenkeel = Setup::new(&[]).backend(refusing.address(), "").start();
    let response = evenkeel.get("/");
    assert_eq!(response.status, 502);
    assert!(
        !response.head.to_lowercase().contains("pingora"),
        "{}",
        response.head
    );
    assert!(!response.text().is_empty(), "a person can read why");
}
