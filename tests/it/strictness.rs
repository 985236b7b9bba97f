//! Malformed, ambiguous and hostile requests: what the client is told and what a backend sees.
//!
//! Each test ends with a well-formed request on a connection of its own. When the backend
//! then has seen that one alone, nothing of the bad input arrived, not even late.

mod framing;

use crate::support::{Backend, Client, Evenkeel, Reply, Response, Setup};

/// An Evenkeel before one backend that answers everything.
struct Stage {
    backend: Backend,
    evenkeel: Evenkeel,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| Reply::ok("fine"))
    }

    fn with(script: fn(&crate::support::backend::Request) -> Reply) -> Self {
        let backend = Backend::start(script);
        let evenkeel = Setup::new(&[&backend]).start();
        Self { backend, evenkeel }
    }

    fn send(&self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.evenkeel.connect();
        // A refusal may come, and the connection close, before all bytes are written.
        let _ = client.try_send(bytes);
        client
    }

    /// The bytes are answered by Evenkeel itself, for this reason, and the connection closed.
    #[track_caller]
    fn refuses(&self, bytes: impl AsRef<[u8]>, status: u16, reason: &str) {
        let response = self.refusal(bytes);
        assert_eq!(
            (response.status, response.reason()),
            (status, Some(reason)),
            "{}",
            response.head
        );
        self.backend_saw_nothing_else(0);
    }

    /// Like [`Self::refuses`] for what the HTTP parser refuses before any of our code sees
    /// it: the reason may be missing, never wrong.
    #[track_caller]
    fn refuses_unparsed(&self, bytes: impl AsRef<[u8]>, statuses: &[u16], reason: &str) {
        let response = self.refusal(bytes);
        assert!(statuses.contains(&response.status), "{}", response.head);
        assert!(
            response.reason().is_none_or(|given| given == reason),
            "{}",
            response.head
        );
        self.backend_saw_nothing_else(0);
    }

    #[track_caller]
    fn refusal(&self, bytes: impl AsRef<[u8]>) -> Response {
        let mut client = self.send(bytes);
        let response = client.response();
        client.expect_closed();
        response
    }

    /// A well-formed request passes, and beside it the backend saw `count` requests.
    #[track_caller]
    fn backend_saw_nothing_else(&self, count: usize) {
        let response = self.evenkeel.get("/sentinel");
        assert_eq!(
            response.status, 200,
            "the sentinel passes: {}",
            response.head
        );
        let targets: Vec<String> = self
            .backend
            .requests()
            .iter()
            .map(|request| request.target().to_owned())
            .collect();
        assert_eq!(
            targets.len(),
            count + 1,
            "requests at the backend: {targets:?}"
        );
        assert_eq!(
            targets[count], "/sentinel",
            "requests at the backend: {targets:?}"
        );
    }
}

#[test]
fn a_well_formed_request_passes_and_the_connection_is_kept() {
    let stage = Stage::new();
    let mut client = stage.evenkeel.connect();
    for target in ["/a", "/b"] {
        let response = client.get(target);
        assert_eq!((response.status, response.text().as_str()), (200, "fine"));
        assert_eq!(response.reason(), None);
    }
    stage.backend_saw_nothing_else(2);
}

#[test]
fn http_1_1_without_host_is_refused() {
    Stage::new().refuses("GET / HTTP/1.1\r\n\r\n", 400, "bad_host");
}

#[test]
fn http_1_0_without_host_is_served() {
    let stage = Stage::new();
    let mut client = stage.send("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client.expect_closed();
    stage.backend_saw_nothing_else(1);
}

#[test]
fn an_empty_host_with_a_malformed_value_is_refused() {
    for host in ["a b", "a/b", "user@a", "a:port", "a,b"] {
        let stage = Stage::new();
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stage.refuses_unparsed(bytes, &[400], "bad_host");
    }
}

#[test]
fn two_hosts_are_refused_differing_or_not() {
    for second in ["b.example", "a.example"] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a.example\r\nHost: {second}\r\n\r\n");
        let stage = Stage::new();
        let response = stage.refusal(bytes);
        assert_eq!(response.status, 400, "{}", response.head);
        assert!(
            response
                .reason()
                .is_none_or(|reason| reason.starts_with("bad_"))
        );
        stage.backend_saw_nothing_else(0);
    }
}

#[test]
fn an_absolute_form_that_differs_from_host_is_refused() {
    let stage = Stage::new();
    let bytes = "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n";
    stage.refuses_unparsed(bytes, &[400], "bad_host");
}

#[test]
fn folded_headers_and_space_before_the_colon_are_refused() {
    for header in [
        "X-Folded: a\r\n b",
        "X-Folded: a\r\n\tb",
        "X-Spaced : a",
        " X-First: a",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
        Stage::new().refuses_unparsed(bytes, &[400], "bad_request");
    }
}

#[test]
fn control_bytes_in_headers_and_target_are_refused() {
    for line in [
        &b"GET / HTTP/1.1\r\nHost: a\r\nX-Nul: a\0b\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Bell: a\x07b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Return: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Na\x01me: a\r\n\r\n",
        b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        Stage::new().refuses_unparsed(line, &[400], "bad_request");
    }
}

#[test]
fn bare_line_feeds_give_at_most_one_request_and_close() {
    for bytes in [
        "GET /bare HTTP/1.1\nHost: a\n\nGET /second HTTP/1.1\nHost: a\n\n",
        "GET /bare HTTP/1.1\r\nHost: a\nX: y\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let stage = Stage::new();
        let mut client = stage.send(bytes);
        let response = client.response();
        assert!(matches!(response.status, 200 | 400), "{}", response.head);
        client.expect_closed();
        stage.backend_saw_nothing_else(usize::from(response.status == 200));
    }
}

#[test]
fn too_many_headers_are_refused() {
    let headers: Vec<String> = (0..300).map(|n| format!("X-{n}: v\r\n")).collect();
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", headers.concat());
    Stage::new().refuses_unparsed(bytes, &[400, 431], "header_too_large");
}

#[test]
fn a_header_of_half_a_megabyte_is_refused() {
    let stage = Stage::new();
    let value = "v".repeat(500_000);
    let mut client = stage.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Large: {value}\r\n\r\n"
    ));
    let response = client.response();
    assert_eq!(
        (response.status, response.reason()),
        (431, Some("header_too_large"))
    );
    client.expect_closed();
    stage.backend_saw_nothing_else(0);
}

#[test]
fn an_absolute_form_is_routed_by_its_authority_and_forwarded_in_origin_form() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let yaml = format!(
        "listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes:\n  - {{ name: a, match: {{ host: [a.example] }}, upstream: a }}\n  \
         - {{ name: b, match: {{ host: [b.example] }}, upstream: b }}\n\
         upstreams:\n  a: {{ backends: [{{ address: \"{}\" }}] }}\n  b: {{ backends: [{{ address: \"{}\" }}] }}\n\
         metrics: {{ address: \"@metrics@\" }}\n",
        a.address(),
        b.address()
    );
    let evenkeel = Evenkeel::start(&yaml);
    let mut client = evenkeel.connect();
    client.send("GET http://b.example/x?y=1 HTTP/1.1\r\nHost: b.example\r\n\r\n");
    assert_eq!(client.response().text(), "b");
    let forwarded = b.only_request();
    assert_eq!(forwarded.start_line(), "GET /x?y=1 HTTP/1.1");
    assert_eq!(forwarded.values("host"), ["b.example"]);
    assert_eq!(a.count(), 0);
}

#[test]
fn the_path_is_normalised_before_routing() {
    let (open, closed) = (Backend::named("open"), Backend::named("closed"));
    let yaml = format!(
        "listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes:\n  - {{ name: closed, match: {{ path: {{ prefix: /admin }} }}, upstream: closed }}\n  \
         - {{ name: open, upstream: open }}\n\
         upstreams:\n  open: {{ backends: [{{ address: \"{}\" }}] }}\n  closed: {{ backends: [{{ address: \"{}\" }}] }}\n\
         metrics: {{ address: \"@metrics@\" }}\n",
        open.address(),
        closed.address()
    );
    let evenkeel = Evenkeel::start(&yaml);
    for target in [
        "/admin/x",
        "/a/../admin/x",
        "/./admin/x",
        "//admin/x",
        "/a/%2e%2e/admin/x",
        "/%61dmin/x",
        "/a/b/%2E%2e/../admin//x",
    ] {
        let response = evenkeel.get(target);
        assert_eq!(response.text(), "closed", "{target}: {}", response.head);
    }
    for target in ["/x", "/admins", "/admin/../x"] {
        assert_eq!(evenkeel.get(target).text(), "open", "{target}");
    }
    for request in closed.requests() {
        assert!(!request.target().contains(".."), "{}", request.target());
    }
}

#[test]
fn a_path_above_the_root_never_leaves_it() {
    let stage = Stage::new();
    let response = stage.evenkeel.get("/../../etc/passwd");
    assert!(matches!(response.status, 200 | 400), "{}", response.head);
    for request in stage.backend.requests() {
        assert!(!request.target().contains(".."), "{}", request.target());
    }
}

#[test]
fn trace_is_refused() {
    Stage::new().refuses(
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        405,
        "method_not_allowed",
    );
}

#[test]
fn connect_is_refused() {
    let bytes = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
    Stage::new().refuses_unparsed(bytes, &[405], "method_not_allowed");
}

#[test]
fn connection_may_not_nominate_host() {
    let bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n";
    let stage = Stage::new();
    let response = stage.send(bytes).response();
    if response.status == 200 {
        assert_eq!(
            stage.backend.only_request().values("host"),
            ["a"],
            "Host survives"
        );
    } else {
        assert_eq!(response.status, 400, "{}", response.head);
        stage.backend_saw_nothing_else(0);
    }
}

#[test]
fn hop_by_hop_request_headers_stay_here() {
    let stage = Stage::new();
    let mut client = stage.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n\
         TE: trailers\r\nX-End: 1\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    let forwarded = stage.backend.only_request();
    for name in ["x-hop", "keep-alive", "proxy-connection", "te"] {
        assert_eq!(
            forwarded.values(name),
            [""; 0],
            "{name} in {}",
            forwarded.head
        );
    }
    assert_eq!(forwarded.header("x-end"), Some("1"));
}

#[test]
fn hop_by_hop_response_headers_stay_here() {
    let stage = Stage::with(|_| {
        Reply::status(
            200,
            &[
                ("Connection", "keep-alive, X-Hop"),
                ("Connection", "X-Second"),
                ("X-Hop", "1"),
                ("X-Second", "1"),
                ("Keep-Alive", "timeout=7"),
                ("Proxy-Connection", "keep-alive"),
                ("X-End", "1"),
            ],
            "fine",
        )
    });
    let response = stage.evenkeel.get("/");
    for name in ["x-hop", "x-second", "keep-alive", "proxy-connection"] {
        assert_eq!(
            response.values(name),
            [""; 0],
            "{name} in {}",
            response.head
        );
    }
    assert_eq!(response.header("x-end"), Some("1"));
}

#[test]
fn garbage_is_refused() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let stage = Stage::new();
        let mut client = stage.send(bytes);
        if let Ok(response) = client.try_response() {
            assert!(matches!(response.status, 400 | 505), "{}", response.head);
        }
        client.expect_closed();
        stage.backend_saw_nothing_else(0);
    }
}
