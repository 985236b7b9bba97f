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
const WEB: &str = "/api/v1/upstreams/web";
const BACKENDS: &str = "/api/v1/upstreams/web/backends";
const FIRST: &str = "/api/v1/upstreams/web/backends/192.0.2.1:1";

mod anything;
mod changes;
mod events;
mod guard;
mod registration;

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
