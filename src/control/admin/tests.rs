use axum::body::{Body, BodyDataStream, to_bytes};
use axum::extract::{Extension, Request};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderName, IF_MATCH, ORIGIN,
};
use axum::http::{HeaderMap, Method, StatusCode};
use futures_util::StreamExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::config::Secret;
use crate::control::lifecycle::{Lifecycle, Phase};
use crate::control::reconcile::tests::reconciler;
use crate::control::serve::Peer;
use crate::control::timeline::{Happening, Timeline};
use crate::snapshot::Published;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BACKENDS: &str = "/api/v1/upstreams/web/backends";
const FIRST: &str = "/api/v1/upstreams/web/backends/192.0.2.1:1";

/// The API over a reconciler that runs.
struct Fixture {
    router: Router,
    published: Arc<Published<usize>>,
    lifecycle: Arc<Lifecycle>,
    timeline: Arc<Timeline>,
}

impl Fixture {
    /// Within a runtime.
    fn new(token: Option<&str>) -> Self {
        let (mut reconciler, commands) = reconciler();
        let published = Arc::clone(reconciler.published());
        tokio::spawn(async move { reconciler.run().await });
        let lifecycle = Arc::new(Lifecycle::default());
        let token = token.map(|token| Secret::new(token.to_owned()));
        let timeline = Arc::new(Timeline::default());
        let seen = Seen {
            timeline: Arc::clone(&timeline),
            connections: Box::new(|| 3),
            ..Seen::default()
        };
        let (read, phase) = (Arc::clone(&published), Arc::clone(&lifecycle));
        let api = Api::new(read, commands, phase, token, seen);
        let peer = Peer("127.0.0.1:1".parse().expect("an address"));
        Self {
            router: router(api).layer(Extension(peer)),
            published,
            lifecycle,
            timeline,
        }
    }

    /// One call, whose answer is one that the document tells of.
    async fn send(&self, request: Request) -> (StatusCode, HeaderMap, Vec<u8>) {
        let (method, target) = (request.method().clone(), request.uri().to_string());
        let service = TowerToHyperService::new(self.router.clone());
        let response = service.call(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("complete");
        let kind = parts.headers.get(CONTENT_TYPE);
        let kind = kind.map(|kind| kind.to_str().expect("ASCII"));
        openapi::tests::conforms(method.as_str(), &target, parts.status, kind, &body);
        (parts.status, parts.headers, body.to_vec())
    }

    /// The status and the JSON of one call.
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.call_raw(method, path, body).await
    }

    async fn call_raw(&self, method: &str, path: &str, body: String) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "127.0.0.1:9901")
            .body(Body::from(body))
            .expect("a request");
        let (status, _, body) = self.send(request).await;
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).expect("every answer is JSON")
        };
        (status.as_u16(), body)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null).await
    }

    async fn beat(&self, id: &str, body: Value) -> (u16, Value) {
        self.call("PUT", &format!("{BACKENDS}/{id}/heartbeat"), body)
            .await
    }
}

fn code((status, body): &(u16, Value)) -> (u16, &str) {
    let hint = body["hint"].as_str().unwrap_or_default();
    assert!(!hint.is_empty(), "a refusal says what would help: {body}");
    assert!(body["message"].is_string());
    (*status, body["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn upstreams_and_backends_are_shown() {
    let fixture = Fixture::new(None);
    let (status, all) = fixture.get("/api/v1/upstreams").await;
    assert_eq!(status, 200);
    let names: Vec<&Value> = all["upstreams"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|upstream| &upstream["name"])
        .collect();
    assert_eq!(names, ["web", "fixed"]);
    let (status, web) = fixture.get("/api/v1/upstreams/web").await;
    assert_eq!((status, &web), (200, &all["upstreams"][0]));
    let backend = web["backends"][1].as_object().expect("an object");
    let keys: Vec<&str> = backend.keys().map(String::as_str).collect();
    let expected = [
        "id",
        "address",
        "state",
        "reason",
        "since",
        "until",
        "weight",
        "weight_share",
        "traffic_share",
        "share",
        "in_flight",
        "connections",
        "requests_per_second",
        "errors_per_second",
        "latency",
        "p50",
        "p99",
        "ejections",
        "last_check",
        "backup",
        "zone",
        "source",
        "discovered_by",
        "registration",
        "operator",
    ];
    assert_eq!(keys, expected);
    assert_eq!(backend["source"], "configured");
    assert_eq!(backend["registration"], Value::Null);
    let none = json!({ "state": "active", "deadline": null, "weight": null });
    assert_eq!(backend["operator"], none);
    assert_eq!(backend["id"], "192.0.2.2:1");
    assert_eq!(backend["weight"], 3);
    assert_eq!(backend["latency"], Value::Null);
    assert_eq!(backend["weight_share"], 0.75);
    assert_eq!(backend["traffic_share"], Value::Null);
    assert_eq!(web["algorithm_configured"], "adaptive");
    assert_eq!(web["algorithms"].as_array().map(Vec::len), Some(10));
    let missing = fixture.get("/api/v1/upstreams/x").await;
    assert_eq!(code(&missing), (404, "unknown_upstream"));
}

#[tokio::test]
async fn a_backend_registers_renews_and_leaves() {
    let fixture = Fixture::new(None);
    let body = json!({ "ttl": "10s", "address": "192.0.2.20:80", "weight": 4 });
    let (status, answer) = fixture.beat("one", body.clone()).await;
    assert_eq!(status, 201);
    assert_eq!(
        (&answer["backend"], &answer["ttl"]),
        (&json!("one"), &json!(10.0))
    );
    assert_eq!(fixture.beat("one", body).await.0, 200);
    let (_, web) = fixture.get("/api/v1/upstreams/web").await;
    let backend = &web["backends"][2];
    assert_eq!(backend["address"], "192.0.2.20:80");
    assert_eq!(backend["weight"], 4);
    let path = format!("{BACKENDS}/one/heartbeat");
    assert_eq!(
        fixture.call("DELETE", &path, Value::Null).await,
        (204, Value::Null)
    );
    let again = fixture.call("DELETE", &path, Value::Null).await;
    assert_eq!(code(&again), (404, "unknown_backend"));
    assert_eq!(
        fixture.published.load().groups()[0]
            .upstream
            .members()
            .len(),
        2
    );
}

#[tokio::test]
async fn an_id_that_is_an_address_needs_no_other() {
    let fixture = Fixture::new(None);
    assert_eq!(
        fixture
            .beat("192.0.2.20:80", json!({ "ttl": "1s" }))
            .await
            .0,
        201
    );
    assert_eq!(
        fixture
            .beat("%5B2001:db8::1%5D:80", json!({ "ttl": "1s" }))
            .await
            .0,
        201
    );
    let (status, _) = fixture.beat("localhost:81", json!({ "ttl": "1s" })).await;
    assert_eq!(status, 201);
    let nameless = fixture.beat("four", json!({ "ttl": "1s" })).await;
    assert_eq!(code(&nameless), (400, "invalid_request"));
    let full = fixture.beat("192.0.2.21:80", json!({ "ttl": "1s" })).await;
    assert_eq!(code(&full), (409, "too_many_backends"));
}

#[tokio::test]
async fn heartbeats_that_cannot_be_meant_are_refused() {
    let fixture = Fixture::new(None);
    for wrong in [
        json!({}),
        json!([]),
        json!({ "ttl": 10 }),
        json!({ "ttl": "10" }),
        json!({ "ttl": "199ms" }),
        json!({ "ttl": "3601s" }),
        json!({ "ttl": "99999999999999999999s" }),
        json!({ "ttl": "1s", "weight": 0 }),
        json!({ "ttl": "1s", "weight": 65_536 }),
        json!({ "ttl": "1s", "weight": -1 }),
        json!({ "ttl": "1s", "adress": "192.0.2.20:80" }),
        json!({ "ttl": "1s", "address": "192.0.2.20" }),
        json!({ "ttl": "1s", "address": "192.0.2.20:0" }),
        json!({ "ttl": "1s", "address": "0.0.0.0:80" }),
        json!({ "ttl": "1s", "address": "http://192.0.2.20:80" }),
    ] {
        let refused = fixture.beat("192.0.2.20:80", wrong.clone()).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{wrong}");
    }
    for id in ["a%20b", "a%2Fb", "%C3%A4:80", &"a".repeat(262)] {
        let body = json!({ "ttl": "1s", "address": "192.0.2.20:80" });
        let refused = fixture.beat(id, body).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{id}");
    }
    let path = format!("{BACKENDS}/a%FF/heartbeat");
    let refused = fixture.call("PUT", &path, json!({ "ttl": "1s" })).await;
    assert_eq!(code(&refused), (400, "invalid_request"));
    let unknown = json!({ "ttl": "1s", "address": "nobody.invalid:80" });
    assert_eq!(
        code(&fixture.beat("a", unknown).await),
        (422, "unknown_address")
    );
    let configured = fixture.beat("192.0.2.1:1", json!({ "ttl": "1s" })).await;
    assert_eq!(code(&configured), (409, "configured_backend"));
    let path = "/api/v1/upstreams/fixed/backends/192.0.2.20:80/heartbeat";
    let closed = fixture.call("PUT", path, json!({ "ttl": "1s" })).await;
    assert_eq!(code(&closed), (409, "no_registry"));
    assert_eq!(*fixture.published.changes().borrow(), 0);
}

#[tokio::test]
async fn a_body_is_bounded() {
    let fixture = Fixture::new(None);
    let body = " ".repeat(input::MAX_BODY + 1);
    let refused = fixture.call_raw("PATCH", FIRST, body).await;
    assert_eq!(code(&refused), (413, "broken_body"));
}

#[tokio::test]
async fn a_weight_is_changed_and_given_back() {
    let fixture = Fixture::new(None);
    let path = format!("{BACKENDS}/192.0.2.2:1");
    let (status, backend) = fixture.call("PATCH", &path, json!({ "weight": 9 })).await;
    assert_eq!((status, &backend["weight"]), (200, &json!(9)));
    assert!(backend.get("drained").is_none());
    let (status, backend) = fixture
        .call("PATCH", &path, json!({ "weight": null }))
        .await;
    assert_eq!((status, &backend["weight"]), (200, &json!(3)));
}

#[tokio::test]
async fn changes_that_cannot_be_meant_are_refused() {
    let fixture = Fixture::new(None);
    for wrong in [
        json!({}),
        json!({ "weight": 0 }),
        json!({ "weight": "5" }),
        json!({ "state": "up" }),
        json!({ "state": "active", "deadline": "1s" }),
        json!({ "deadline": "1s" }),
        json!({ "state": "draining", "deadline": "25h" }),
        json!({ "other": 1 }),
        Value::Null,
    ] {
        let refused = fixture.call("PATCH", FIRST, wrong.clone()).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{wrong}");
    }
    for query in ["wait=5", "wait=301s", "wait", "weight=5"] {
        let path = format!("{FIRST}?{query}");
        let refused = fixture.call("PATCH", &path, json!({ "weight": 5 })).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{query}");
    }
    let unknown = fixture
        .call("PATCH", &format!("{BACKENDS}/x"), json!({ "weight": 5 }))
        .await;
    assert_eq!(code(&unknown), (404, "unknown_backend"));
    assert_eq!(*fixture.published.changes().borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_nothing_is_in_flight_or_the_time_is_up() {
    let fixture = Fixture::new(None);
    let path = format!("{FIRST}?wait=30s");
    let (status, backend) = fixture
        .call("PATCH", &path, json!({ "state": "maintenance" }))
        .await;
    assert_eq!((status, &backend["drained"]), (200, &json!(true)));
    let (status, backend) = fixture.call("PATCH", &path, Value::Null).await;
    assert_eq!((status, &backend["drained"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_process_that_drains_is_alive_and_not_ready() {
    let fixture = Fixture::new(Some("secret"));
    assert_eq!(fixture.get("/livez").await.0, 200);
    let (status, body) = fixture.get("/readyz").await;
    assert_eq!((status, &body["ready"]), (200, &json!(true)));
    fixture.lifecycle.enter(Phase::Draining);
    let (status, body) = fixture.get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(body["reasons"], json!([{ "code": "draining" }]));
    assert_eq!(fixture.get("/livez").await.0, 200);
}

#[tokio::test]
async fn what_is_not_there_is_json_too() {
    let fixture = Fixture::new(None);
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/upstreams/",
        "/api/v1/statu",
        "/livez/",
    ] {
        assert_eq!(
            code(&fixture.get(path).await),
            (404, "unknown_path"),
            "{path}"
        );
    }
    for (method, path) in [
        ("POST", "/livez"),
        ("DELETE", "/api/v1/upstreams"),
        ("GET", FIRST),
        ("POST", &format!("{FIRST}/heartbeat")),
    ] {
        let refused = fixture.call(method, path, Value::Null).await;
        assert_eq!(code(&refused), (405, "wrong_method"), "{method} {path}");
    }
}

#[tokio::test]
async fn the_methods_allowed_are_named() {
    let fixture = Fixture::new(None);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{FIRST}/heartbeat"))
        .header(HOST, "localhost")
        .body(Body::empty())
        .expect("a request");
    let (status, headers, _) = fixture.send(request).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "PUT,DELETE");
}

#[tokio::test]
async fn everything_but_the_probes_asks_for_the_token() {
    let fixture = Fixture::new(Some("secret"));
    for (method, path) in [
        ("GET", "/api/v1/upstreams"),
        ("GET", "/api/v1/upstreams/web"),
        ("PATCH", FIRST),
        ("PUT", &format!("{FIRST}/heartbeat")),
        ("DELETE", &format!("{FIRST}/heartbeat")),
    ] {
        let refused = fixture.call(method, path, Value::Null).await;
        assert_eq!(code(&refused), (401, "unauthorized"), "{method} {path}");
    }
    for (path, methods) in openapi::tests::documented() {
        let is_probe = ["/livez", "/readyz"].contains(&path.as_str());
        let path = path.replace("{upstream}", "web").replace("{backend}", "a");
        for method in methods.iter().map(|method| method.to_uppercase()) {
            let answer = fixture.call(&method, &path, Value::Null).await;
            assert_eq!(answer.0 == 401, !is_probe, "{method} {path}: {answer:?}");
        }
    }
    for (given, expected) in [("Bearer secret", 200), ("Bearer secre", 401)] {
        let request = Request::builder()
            .uri("/api/v1/upstreams")
            .header("authorization", given)
            .body(Body::empty())
            .expect("a request");
        let (status, headers, _) = fixture.send(request).await;
        assert_eq!(status, expected);
        assert_eq!(headers.contains_key("www-authenticate"), expected == 401);
    }
}

#[tokio::test]
async fn without_a_token_only_this_machines_own_names_are_answered() {
    let fixture = Fixture::new(None);
    for (host, expected) in [
        ("127.0.0.1:9901", 200),
        ("[::1]:9901", 200),
        ("localhost", 200),
        ("LOCALHOST:9901", 200),
        ("evil.example:9901", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        let request = Request::builder()
            .uri("/api/v1/upstreams")
            .header(HOST, host)
            .body(Body::empty())
            .expect("a request");
        assert_eq!(fixture.send(request).await.0, expected, "{host}");
    }
}

#[tokio::test]
async fn it_is_served_over_a_connection() {
    let fixture = Fixture::new(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = fixture.router.clone();
    let serving = tokio::spawn(async move {
        serve::serve(listener, LIMITS, router, std::future::pending()).await;
    });
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it closes");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"live\":true}"), "{answer}");
    serving.abort();
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("web".to_owned()),
        Just("192.0.2.1:1".to_owned()),
        Just("heartbeat".to_owned()),
        "[a-zA-Z0-9%:._-]{0,12}",
        "(%[0-9A-Fa-f]{2}){1,4}",
    ];
    let fits = proptest::collection::vec(segment, 0..5).prop_map(|segments| segments.join("/"));
    let query = prop_oneof![
        Just(String::new()),
        "\\?[a-z=&%0-9]{0,12}",
        Just("?wait=0s".to_owned())
    ];
    (fits, query).prop_map(|(path, query)| {
        if path.starts_with("web") {
            format!(
                "/api/v1/upstreams/{}{query}",
                path.replacen("web/", "web/backends/", 1)
            )
        } else {
            format!("/{path}{query}")
        }
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just("\"1s\"".to_owned()),
        Just("null".to_owned()),
        Just("\"draining\"".to_owned()),
        "-?[0-9]{1,25}(\\.[0-9]e[0-9]{1,4})?",
        "\"[^\"\\\\]{0,20}\"",
    ];
    let key = prop_oneof![
        Just("ttl"),
        Just("weight"),
        Just("address"),
        Just("state"),
        Just("deadline"),
        Just("x")
    ];
    let object = proptest::collection::vec((key, text), 0..4).prop_map(|entries| {
        let entries: Vec<String> = entries
            .into_iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", entries.join(",")).into_bytes()
    });
    prop_oneof![3 => object, 1 => proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No input panics, hangs or is answered with anything but JSON, or the page, and a status of
    /// the table.
    #[test]
    fn any_input_is_answered(
        method in prop_oneof![
            Just("GET"), Just("PUT"), Just("PATCH"), Just("DELETE"), Just("POST"), Just("OPTIONS")
        ],
        path in path(),
        body in body(),
    ) {
        let Ok(request) = Request::builder()
            .method(method)
            .uri(&path)
            .header(HOST, "localhost")
            .body(Body::from(body))
        else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (status, _, answer) = runtime.block_on(async { Fixture::new(None).send(request).await });
        let expected = [200, 201, 204, 400, 404, 405, 409, 422];
        prop_assert!(expected.contains(&status.as_u16()), "{} {}: {}", method, path, status);
        let is_page = page::has(path.split('?').next().unwrap_or_default());
        if !answer.is_empty() && !is_page {
            prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        }
    }
}

/// A request with these headers and this body.
fn request(method: &str, path: &str, headers: &[(HeaderName, &str)], body: &str) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name == HOST) {
        request = request.header(HOST, "127.0.0.1:9901");
    }
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let body = Body::from(body.to_owned());
    request.body(body).expect("a request")
}

#[tokio::test]
async fn every_call_of_the_document_is_there_and_takes_no_other_method() {
    let fixture = Fixture::new(None);
    for (path, methods) in openapi::tests::documented() {
        let path = path.replace("{upstream}", "web").replace("{backend}", "a");
        let (status, headers, _) = fixture.send(request("BREW", &path, &[], "")).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = headers["allow"].to_str().expect("ASCII").to_lowercase();
        let allowed = allowed.split(',').filter(|method| *method != "head");
        let allowed: std::collections::BTreeSet<String> = allowed.map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{path}");
    }
}

#[tokio::test]
async fn the_status_is_a_sentence_and_numbers() {
    let fixture = Fixture::new(None);
    let (status, shown) = fixture.get("/api/v1/status").await;
    assert_eq!((status, &shown["upstreams"]), (200, &json!(2)));
    assert_eq!(shown["health"], "All 3 backends of 2 upstreams serve");
    assert_eq!(shown["traffic"]["connections"], 3);
    assert_eq!(shown["traffic"]["p50"], Value::Null);
    let maintenance = json!({ "state": "maintenance" });
    assert_eq!(fixture.call("PATCH", FIRST, maintenance).await.0, 200);
    fixture.lifecycle.enter(Phase::Draining);
    let (_, shown) = fixture.get("/api/v1/status").await;
    let health = "This process drains and ends; 1 of 2 backends serves web; \
        192.0.2.1:1 in maintenance for 0 s, by the operator; the other upstream is fine";
    assert_eq!(shown["health"], health);
}

const WEB: &str = "/api/v1/upstreams/web";

#[tokio::test]
async fn an_algorithm_is_changed_and_given_back() {
    let fixture = Fixture::new(None);
    let (_, web) = fixture.get(WEB).await;
    for name in web["algorithms"].as_array().expect("a list") {
        let (status, changed) = fixture
            .call("PATCH", WEB, json!({ "algorithm": name }))
            .await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(&changed["operator"]["algorithm"], name);
        if name != "adaptive" {
            assert_eq!(&changed["algorithm"], name);
        }
    }
    let (status, back) = fixture
        .call("PATCH", WEB, json!({ "algorithm": null }))
        .await;
    assert_eq!(
        (status, &back["operator"]["algorithm"]),
        (200, &Value::Null)
    );
    let unknown = json!({ "algorithm": "least_conections" });
    let refused = fixture.call("PATCH", WEB, unknown).await;
    assert_eq!(code(&refused), (400, "invalid_request"));
    let hint = refused.1["hint"].as_str().expect("text");
    assert!(
        hint.ends_with("; did you mean `least_connections`?"),
        "{hint}"
    );
    for wrong in [
        json!({}),
        json!({ "algorithm": 1 }),
        json!({ "algorithm": "random", "x": 1 }),
    ] {
        let refused = fixture.call("PATCH", WEB, wrong.clone()).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{wrong}");
    }
    let path = "/api/v1/upstreams/x";
    let refused = fixture
        .call("PATCH", path, json!({ "algorithm": null }))
        .await;
    assert_eq!(code(&refused), (404, "unknown_upstream"));
}

#[tokio::test]
async fn a_write_for_what_has_changed_is_refused() {
    let fixture = Fixture::new(None);
    let tag = |headers: &HeaderMap| headers[ETAG].to_str().expect("ASCII").to_owned();
    let get = |path| request("GET", path, &[], "");
    let (_, headers, _) = fixture.send(get(WEB)).await;
    let seen = tag(&headers);
    let (_, headers, _) = fixture.send(get(WEB)).await;
    assert_eq!(tag(&headers), seen, "nothing has changed");
    let (_, all, _) = fixture.send(get("/api/v1/upstreams")).await;
    let change = |tag: &str, weight: u32| {
        let body = json!({ "weight": weight }).to_string();
        request("PATCH", FIRST, &[(IF_MATCH, tag)], &body)
    };
    let (status, headers, _) = fixture.send(change(&seen, 5)).await;
    assert_eq!(status, StatusCode::OK);
    let next = tag(&headers);
    assert_ne!(next, seen);
    let (status, _, body) = fixture.send(change(&seen, 6)).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let refused: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(code(&(412, refused)), (412, "precondition_failed"));
    assert_eq!(fixture.send(change("*", 7)).await.0, StatusCode::OK);
    assert_eq!(
        fixture.send(change("7", 8)).await.0,
        StatusCode::BAD_REQUEST
    );
    let (_, web) = fixture.get(WEB).await;
    assert_eq!(web["backends"][0]["weight"], 7);
    let (_, later, _) = fixture.send(get("/api/v1/upstreams")).await;
    assert_ne!(tag(&later), tag(&all));
    for (method, path, body) in [
        ("PATCH", WEB, json!({ "algorithm": "random" })),
        (
            "PUT",
            &format!("{BACKENDS}/192.0.2.20:80/heartbeat"),
            json!({ "ttl": "1s" }),
        ),
        (
            "DELETE",
            &format!("{BACKENDS}/192.0.2.20:80/heartbeat"),
            Value::Null,
        ),
    ] {
        let stale = request(method, path, &[(IF_MATCH, &seen)], &body.to_string());
        let (status, ..) = fixture.send(stale).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_no_json_is_refused() {
    let fixture = Fixture::new(None);
    for (kind, expected) in [
        ("application/json; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 415),
        ("application/xml", 415),
    ] {
        let headers = [(CONTENT_TYPE, kind)];
        let request = request("PATCH", FIRST, &headers, "{\"weight\": 5}");
        assert_eq!(fixture.send(request).await.0, expected, "{kind}");
    }
}

#[tokio::test]
async fn without_a_token_a_page_of_another_site_changes_nothing() {
    for (token, origin, expected) in [
        (None, "http://127.0.0.1:9901", 200),
        (None, "http://127.0.0.1:9902", 403),
        (None, "https://evil.example", 403),
        (None, "null", 403),
        (Some("secret"), "https://evil.example", 200),
    ] {
        let fixture = Fixture::new(token);
        let bearer = "Bearer secret";
        let headers = [(ORIGIN, origin), (AUTHORIZATION, bearer)];
        let change = request("PATCH", FIRST, &headers, "{\"weight\": 5}");
        assert_eq!(fixture.send(change).await.0, expected, "{origin}");
        let look = request("GET", WEB, &headers, "");
        assert_eq!(fixture.send(look).await.0, 200);
    }
}

#[tokio::test]
async fn every_write_is_told_in_the_timeline_with_what_was_before() {
    let fixture = Fixture::new(None);
    let path = format!("{BACKENDS}/192.0.2.20:80/heartbeat");
    for (method, path, body, expected) in [
        ("PATCH", WEB, json!({ "algorithm": "random" }), 200),
        ("PATCH", WEB, json!({ "algorithm": null }), 200),
        (
            "PATCH",
            FIRST,
            json!({ "weight": 5, "state": "draining" }),
            200,
        ),
        (
            "PATCH",
            FIRST,
            json!({ "weight": null, "state": "active" }),
            200,
        ),
        ("PATCH", FIRST, json!({ "weight": 0 }), 400),
        ("PATCH", &format!("{FIRST}?wait=0s"), Value::Null, 200),
        ("PUT", &path, json!({ "ttl": "10s" }), 201),
        ("PUT", &path, json!({ "ttl": "10s" }), 200),
        ("DELETE", &path, Value::Null, 204),
    ] {
        let (status, answer) = fixture.call(method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    let told: Vec<String> = fixture
        .timeline
        .last(100)
        .iter()
        .map(|entry| match &entry.happening {
            Happening::Operator { what } => what.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "web: algorithm adaptive -> random, by 127.0.0.1",
            "web: algorithm random -> adaptive, as configured, by 127.0.0.1",
            "web: 192.0.2.1:1: weight own -> 5, state active -> draining, by 127.0.0.1",
            "web: 192.0.2.1:1: weight 5 -> own, state draining -> active, by 127.0.0.1",
            "web: 192.0.2.20:80 registered at 192.0.2.20:80, by 127.0.0.1",
            "web: 192.0.2.20:80 left, by 127.0.0.1",
        ]
    );
}

fn operator(what: &str) -> Happening {
    Happening::Operator {
        what: what.to_owned(),
    }
}

#[tokio::test]
async fn events_are_a_list_for_who_asks_for_json() {
    let fixture = Fixture::new(None);
    for what in ["one", "two", "three"] {
        fixture.timeline.note(operator(what));
    }
    let list = async |query: &str| {
        let path = format!("/api/v1/events{query}");
        let (status, _, body) = fixture
            .send(request("GET", &path, &[(ACCEPT, "application/json")], ""))
            .await;
        assert_eq!(status, StatusCode::OK);
        let entries: Vec<Value> = serde_json::from_slice(&body).expect("a list");
        let ids = entries.iter().map(|entry| entry["id"].as_u64());
        ids.collect::<Option<Vec<_>>>().expect("numbers")
    };
    assert_eq!(list("").await, [1, 2, 3]);
    assert_eq!(list("?n=2").await, [2, 3]);
    assert_eq!(list("?after=1").await, [2, 3]);
    assert_eq!(list("?after=1&n=1").await, [3]);
    let refused = fixture.get("/api/v1/events?n=1000").await;
    assert_eq!(code(&refused), (400, "invalid_request"));
}

/// The stream of events, and what it says until `until`.
async fn follow(fixture: &Fixture, query: &str, headers: &[(HeaderName, &str)]) -> BodyDataStream {
    let path = format!("/api/v1/events{query}");
    let service = TowerToHyperService::new(fixture.router.clone());
    let response = service.call(request("GET", &path, headers, "")).await;
    let response = response.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    response.into_body().into_data_stream()
}

/// The next piece of a stream; `None` at its end.
async fn piece(stream: &mut BodyDataStream) -> Option<String> {
    let piece = stream.next().await?.expect("it does not break");
    Some(String::from_utf8(piece.to_vec()).expect("UTF-8"))
}

#[tokio::test(start_paused = true)]
async fn events_are_a_stream_that_begins_where_it_is_asked_to() {
    let fixture = Fixture::new(None);
    fixture.timeline.note(operator("one"));
    fixture.timeline.note(operator("two"));
    let mut stream = follow(&fixture, "?n=9", &[(LAST_EVENT_ID, "1")]).await;
    let begin = piece(&mut stream).await.expect("it begins");
    assert_eq!(begin, "retry: 1000\n: events\n\n");
    let two = piece(&mut stream).await.expect("it is kept");
    let (head, data) = two.split_once("data: ").expect("an event");
    assert_eq!(head, "id: 2\nevent: operator\n");
    let data: Value = serde_json::from_str(data.trim_end()).expect("JSON");
    assert_eq!((&data["id"], &data["what"]), (&json!(2), &json!("two")));
    fixture.timeline.note(operator("three"));
    assert!(
        piece(&mut stream)
            .await
            .expect("news")
            .starts_with("id: 3\n")
    );
    assert_eq!(piece(&mut stream).await.as_deref(), Some(": alive\n\n"));
    fixture.lifecycle.enter(Phase::HandedOver);
    assert_eq!(piece(&mut stream).await, None, "another process goes on");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_loses_the_oldest_and_says_how_many() {
    let fixture = Fixture::new(None);
    let mut stream = follow(&fixture, "", &[]).await;
    piece(&mut stream).await.expect("it begins");
    for number in 0..1_000 {
        fixture.timeline.note(operator(&number.to_string()));
    }
    let lost = piece(&mut stream).await.expect("a notice");
    assert_eq!(lost, "event: lost\ndata: {\"lost\":488}\n\n");
    assert!(
        piece(&mut stream)
            .await
            .expect("the rest")
            .starts_with("id: 489\n")
    );
    let mut late = follow(&fixture, "?after=400", &[]).await;
    piece(&mut late).await.expect("it begins");
    let lost = piece(&mut late).await.expect("a notice");
    assert_eq!(lost, "event: lost\ndata: {\"lost\":88}\n\n");
}

#[tokio::test(start_paused = true)]
async fn streams_are_few_and_end() {
    let fixture = Fixture::new(None);
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(follow(&fixture, "", &[]).await);
    }
    let refused = fixture.get("/api/v1/events").await;
    assert_eq!(code(&refused), (503, "too_many_streams"));
    let mut last = streams.pop().expect("there are some");
    let mut pieces = 0;
    while piece(&mut last).await.is_some() {
        pieces += 1;
    }
    assert!((20..40).contains(&pieces), "{pieces} in five minutes");
    drop(last);
    let _another = follow(&fixture, "", &[]).await;
}
