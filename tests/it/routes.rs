//! Routes over real sockets: who is matched, what is changed, what is answered at once.
//!
//! The matching itself is tested where it is decided; here each kind of condition and action
//! is seen to work once.

use crate::support::{Backend, Evenkeel};

/// An Evenkeel with these routes and the upstreams `a` and `b`.
fn with_routes(routes: &str, a: &Backend, b: &Backend) -> Evenkeel {
    let upstream =
        |backend: &Backend| format!("{{ backends: [{{ address: \"{}\" }}] }}", backend.address());
    Evenkeel::start(&format!(
        "listeners:\n  - {{ name: web, address: \"@web@\" }}\n  - {{ name: other, address: \"@other@\" }}\n\
         routes:\n{routes}\nupstreams:\n  a: {}\n  b: {}\nmetrics: {{ address: \"@metrics@\" }}\n",
        upstream(a),
        upstream(b)
    ))
}

fn two() -> (Backend, Backend) {
    (Backend::named("a"), Backend::named("b"))
}

#[test]
fn each_kind_of_condition_routes() {
    let (a, b) = two();
    let evenkeel = with_routes(
        "  - { name: host, match: { host: [\"*.b.example\"] }, upstream: b }\n\
         \x20 - { name: exact, match: { path: { exact: /exact } }, upstream: b }\n\
         \x20 - { name: regex, match: { path: { regex: \"^/v[0-9]+/\" } }, upstream: b }\n\
         \x20 - { name: method, match: { methods: [PUT] }, upstream: b }\n\
         \x20 - { name: header, match: { headers: { X-Beta: \"1\" } }, upstream: b }\n\
         \x20 - { name: query, match: { query: { preview: \"true\" } }, upstream: b }\n\
         \x20 - { name: cookie, match: { cookies: { group: b } }, upstream: b }\n\
         \x20 - { name: type, match: { content_type: application/json }, upstream: b }\n\
         \x20 - { name: rest, upstream: a }",
        &a,
        &b,
    );
    let mut client = evenkeel.connect();
    let mut ask = |method: &str, target: &str, header: (&str, &str)| {
        client.request(method, target, &[header], b"").text()
    };
    let none = ("X-None", "1");
    assert_eq!(ask("GET", "/", none), "a");
    assert_eq!(ask("GET", "/", ("Host", "www.b.example:80")), "b");
    assert_eq!(ask("GET", "/", ("Host", "WWW.B.EXAMPLE")), "b");
    assert_eq!(ask("GET", "/", ("Host", "b.example")), "a");
    assert_eq!(ask("GET", "/exact", none), "b");
    assert_eq!(ask("GET", "/exact/more", none), "a");
    assert_eq!(ask("GET", "/v2/x", none), "b");
    assert_eq!(ask("PUT", "/", none), "b");
    assert_eq!(ask("GET", "/", ("X-Beta", "1")), "b");
    assert_eq!(ask("GET", "/", ("X-Beta", "2")), "a");
    assert_eq!(ask("GET", "/?x=1&preview=true", none), "b");
    assert_eq!(ask("GET", "/?preview=false", none), "a");
    assert_eq!(ask("GET", "/", ("Cookie", "x=y; group=b")), "b");
    assert_eq!(
        ask(
            "GET",
            "/",
            ("Content-Type", "application/json; charset=utf-8")
        ),
        "b"
    );
}

#[test]
fn a_route_may_belong_to_one_listener() {
    let (a, b) = two();
    let routes = "  - { name: only, match: { listener: [other] }, upstream: b }\n  - { name: rest, upstream: a }";
    let evenkeel = with_routes(routes, &a, &b);
    assert_eq!(evenkeel.get("/").text(), "a");
    let other = evenkeel.address("other");
    assert_eq!(crate::support::Client::connect(other).get("/").text(), "b");
}

#[test]
fn a_request_without_a_route_is_told_so() {
    let (a, b) = two();
    let evenkeel = with_routes(
        "  - { name: one, match: { path: { prefix: /one } }, upstream: a }",
        &a,
        &b,
    );
    let mut client = evenkeel.connect();
    let response = client.get("/two");
    assert_eq!(
        (response.status, response.reason()),
        (404, Some("no_route"))
    );
    assert_eq!(client.get("/one").status, 200, "the connection is kept");
    assert_eq!(b.count(), 0);
}

#[test]
fn respond_and_redirect_ask_no_backend() {
    let (a, b) = two();
    let evenkeel = with_routes(
        "  - { name: answer, match: { path: { exact: /hello } }, respond: { status: 418, body: \"short and stout\" } }\n\
         \x20 - { name: move, match: { path: { prefix: /old } }, redirect: { status: 308, host: new.example, scheme: https } }\n\
         \x20 - { name: rest, upstream: a }",
        &a,
        &b,
    );
    let mut client = evenkeel.connect();
    let response = client.get("/hello");
    assert_eq!(
        (response.status, response.text().as_str()),
        (418, "short and stout")
    );
    assert_eq!(
        response.reason(),
        None,
        "it is the answer that was asked for"
    );
    let response = client.get("/old/page?x=1");
    assert_eq!(response.status, 308);
    assert_eq!(
        response.header("location"),
        Some("https://new.example/old/page?x=1")
    );
    let response = client.request("POST", "/hello", &[], b"body");
    assert_eq!(response.status, 418);
    // The body was not asked for: the connection may end, but then it says so.
    if response
        .header("connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    {
        client.expect_closed();
        client = evenkeel.connect();
    }
    assert_eq!(
        client.get("/").text(),
        "a",
        "the body was not taken for a request"
    );
    assert_eq!(a.count(), 1);
}

#[test]
fn a_response_to_head_from_a_route_has_no_body() {
    let (a, b) = two();
    let routes = "  - { name: answer, respond: { status: 200, body: hello } }";
    let evenkeel = with_routes(routes, &a, &b);
    let mut client = evenkeel.connect();
    assert_eq!(client.request("HEAD", "/", &[], b"").status, 200);
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn headers_are_edited_both_ways() {
    let a = Backend::start(|_| {
        crate::support::Reply::status(200, &[("Server", "old"), ("X-Secret", "1")], "a")
    });
    let b = Backend::named("b");
    let evenkeel = with_routes(
        "  - name: edits\n    upstream: a\n    request_headers: { set: { X-Set: new }, add: { X-Add: two }, remove: [X-Gone] }\n\
         \x20   response_headers: { set: { Server: new }, add: { X-Also: \"1\" }, remove: [X-Secret] }",
        &a,
        &b,
    );
    let headers = [("X-Set", "old"), ("X-Add", "one"), ("X-Gone", "1")];
    let response = evenkeel.connect().request("GET", "/", &headers, b"");
    assert_eq!(response.values("server"), ["new"]);
    assert_eq!(response.values("x-also"), ["1"]);
    assert_eq!(response.values("x-secret"), [""; 0]);
    let request = a.only_request();
    assert_eq!(request.values("x-set"), ["new"]);
    assert_eq!(request.values("x-add"), ["one", "two"]);
    assert_eq!(request.values("x-gone"), [""; 0]);
}

#[test]
fn a_prefix_is_rewritten_and_the_query_kept() {
    let (a, b) = two();
    let routes = "  - { name: api, match: { path: { prefix: /api } }, rewrite: { prefix: /v1 }, upstream: a }\n\
                  \x20 - { name: rest, upstream: b }";
    let evenkeel = with_routes(routes, &a, &b);
    let mut client = evenkeel.connect();
    client.get("/api/users?id=7");
    client.get("/api");
    let targets: Vec<String> = a
        .requests()
        .iter()
        .map(|request| request.target().to_owned())
        .collect();
    assert_eq!(targets, ["/v1/users?id=7", "/v1"]);
}

#[test]
fn a_split_follows_its_weights() {
    let (a, b) = two();
    let routes =
        "  - { name: split, split: [{ upstream: a, weight: 75 }, { upstream: b, weight: 25 }] }";
    let evenkeel = with_routes(routes, &a, &b);
    let mut client = evenkeel.connect();
    for _ in 0..400 {
        assert_eq!(client.get("/").status, 200);
    }
    // 4.6 standard deviations of the binomial distribution: 40 of 400.
    assert!(
        (60..=140).contains(&b.count()),
        "{} of 400 went to the share of 25",
        b.count()
    );
    assert_eq!(a.count() + b.count(), 400);
}
