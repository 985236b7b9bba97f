//! The backend's pages: a request goes in, its answer comes out.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use serde_json::json;

use super::body::Answer;
use super::burn::{Furnace, MAX_BURN};
use super::connection::{Connection, Stopping};
use super::echo::{self, ReadError};
use super::options::{BackendOptions, Delay};
use super::pages::{self, StopFor, error, json_page};
use super::record::{Endpoint, Record, Ticket};
use super::websocket;
use crate::clock::{self, Moment};

/// Largest body `/echo` takes: 64 MiB.
const MAX_ECHO: usize = 64 << 20;

const SERVER_ID: HeaderName = HeaderName::from_static("x-server-id");
const PATHS: [&str; 9] = [
    "/",
    "/health",
    "/load?ms=",
    "/delay?ms=",
    "/status/{code}",
    "/bytes/{n}",
    "/echo",
    "/ws",
    "/metrics",
];

/// Everything the pages need, shared by all connections.
pub(super) struct Site {
    options: BackendOptions,
    server_id: String,
    server_id_header: HeaderValue,
    /// The part of `/`'s JSON that never changes.
    root_prefix: Vec<u8>,
    roots: AtomicU64,
    warm_at: Moment,
    record: Arc<Record>,
    furnace: Furnace,
    stop_for: Option<StopFor>,
}

impl Site {
    pub(super) fn new(
        options: BackendOptions,
        address: SocketAddr,
        cores: usize,
    ) -> std::io::Result<Self> {
        let host_name = host_name();
        let server_id = options.server_id.as_ref().map_or_else(
            || format!("backend-{}", address.port()),
            |id| id.replace("{hostname}", &host_name),
        );
        let server_id_header = HeaderValue::from_str(&server_id).map_err(|_| {
            std::io::Error::other(format!(
                "the server id {server_id:?} cannot stand in a header"
            ))
        })?;
        let fixed = json!({ "server_id": server_id, "hostname": host_name, "address": address.to_string() });
        let mut root_prefix = fixed.to_string().into_bytes();
        root_prefix.pop();
        root_prefix.extend_from_slice(b",\"request_count\":");
        Ok(Self {
            warm_at: clock::now().after(options.warm_up),
            options,
            server_id,
            server_id_header,
            root_prefix,
            roots: AtomicU64::new(0),
            record: Arc::new(Record::new().map_err(std::io::Error::other)?),
            furnace: Furnace::new(cores),
            stop_for: None,
        })
    }

    pub(super) fn server_id(&self) -> &str {
        &self.server_id
    }

    pub(super) fn allow_stop(&mut self, stop_for: StopFor) {
        self.stop_for = Some(stop_for);
    }

    /// Answers one request.
    pub(super) async fn answer(
        &self,
        connection: Connection,
        stopping: &Stopping,
        mut request: Request<Incoming>,
    ) -> Response<Answer> {
        let (endpoint, argument) = endpoint(request.uri().path());
        let mut ticket = Ticket::take(&self.record, endpoint);
        let upgrade = (endpoint == Endpoint::WebSocket).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let mut response = match (endpoint, upgrade) {
            (Endpoint::Echo, _) => self.echo(connection, &parts, body).await,
            (_, Some(upgrade)) => websocket::answer(&parts, upgrade, stopping.clone()),
            _ => match discard(body).await {
                Ok(()) => self.page(endpoint, argument, &parts, &ticket).await,
                Err(refusal) => *refusal,
            },
        };
        response
            .headers_mut()
            .insert(SERVER_ID, self.server_id_header.clone());
        if parts.method == Method::HEAD {
            response = pages::without_body(response);
        }
        ticket.answered(response.status().as_u16());
        response.map(|body| body.holding(ticket))
    }

    async fn page(
        &self,
        endpoint: Endpoint,
        argument: Option<u64>,
        request: &Parts,
        ticket: &Ticket,
    ) -> Response<Answer> {
        match endpoint {
            Endpoint::Root => self.root(ticket).await,
            Endpoint::Health => self.health(),
            Endpoint::Load => self.load(request).await,
            Endpoint::Delay => pages::delay(request).await,
            Endpoint::Status => pages::status(argument),
            Endpoint::Bytes => pages::bytes(argument),
            Endpoint::Metrics => self.metrics(),
            Endpoint::Echo | Endpoint::WebSocket | Endpoint::Unknown => self.unknown(request).await,
        }
    }

    async fn root(&self, ticket: &Ticket) -> Response<Answer> {
        let delay = self.options.simulated_delay;
        if delay != Delay::default() {
            tokio::time::sleep(delay.at(rand::random())).await;
        }
        let count = self.roots.fetch_add(1, Ordering::Relaxed) + 1;
        if falls(self.options.error_rate.ratio()) {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "simulated failure");
        }
        let took = clock::now().since(ticket.started());
        let mut page = Vec::with_capacity(self.root_prefix.len() + 64);
        page.extend_from_slice(&self.root_prefix);
        write!(
            page,
            "{count},\"processing_time_ms\":{:.3}}}",
            took.as_secs_f64() * 1e3
        )
        .expect("a vector takes every write");
        json_page(StatusCode::OK, page)
    }

    fn health(&self) -> Response<Answer> {
        if clock::now() < self.warm_at {
            return json_page(
                StatusCode::SERVICE_UNAVAILABLE,
                &b"{\"status\":\"warming_up\"}"[..],
            );
        }
        if falls(self.options.health_failure_rate.ratio()) {
            return json_page(
                StatusCode::SERVICE_UNAVAILABLE,
                &b"{\"status\":\"failing\"}"[..],
            );
        }
        json_page(StatusCode::OK, &b"{\"status\":\"healthy\"}"[..])
    }

    async fn load(&self, request: &Parts) -> Response<Answer> {
        let Some(time) = pages::milliseconds(request, MAX_BURN) else {
            return error(
                StatusCode::BAD_REQUEST,
                "write /load?ms=N with N from 0 to 10000",
            );
        };
        if self.furnace.burn(time).await.is_ok() {
            return json_page(
                StatusCode::OK,
                format!("{{\"burned_ms\":{}}}", time.as_millis()),
            );
        }
        let mut refusal = error(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests burn CPU already",
        );
        refusal
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        refusal
    }

    async fn echo(
        &self,
        connection: Connection,
        request: &Parts,
        body: Incoming,
    ) -> Response<Answer> {
        match echo::receive(body, MAX_ECHO).await {
            Ok(received) => echo::answer(&self.server_id, connection, request, received),
            Err(ReadError::TooLong) => {
                error(StatusCode::PAYLOAD_TOO_LARGE, "/echo takes at most 64 MiB")
            }
            Err(ReadError::Broken(cause)) => pages::unreadable(&cause),
        }
    }

    fn metrics(&self) -> Response<Answer> {
        let mut response = Response::new(Answer::bytes(self.record.page()));
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        );
        response
    }

    async fn unknown(&self, request: &Parts) -> Response<Answer> {
        if let Some(stop_for) = self
            .stop_for
            .as_ref()
            .filter(|_| request.uri.path() == "/_demo/stop")
        {
            return pages::stop(request, stop_for).await;
        }
        json_page(
            StatusCode::NOT_FOUND,
            json!({ "error": "not found", "paths": PATHS }).to_string(),
        )
    }
}

/// The endpoint of a path, and the number that follows its name where it is one.
fn endpoint(path: &str) -> (Endpoint, Option<u64>) {
    let endpoint = match path {
        "/" => Endpoint::Root,
        "/health" => Endpoint::Health,
        "/load" => Endpoint::Load,
        "/delay" => Endpoint::Delay,
        "/echo" => Endpoint::Echo,
        "/ws" => Endpoint::WebSocket,
        "/metrics" => Endpoint::Metrics,
        _ => {
            let after = |prefix| path.strip_prefix(prefix).map(|number| number.parse().ok());
            return match (after("/status/"), after("/bytes/")) {
                (Some(code), _) => (Endpoint::Status, code),
                (_, Some(count)) => (Endpoint::Bytes, count),
                _ => (Endpoint::Unknown, None),
            };
        }
    };
    (endpoint, None)
}

/// Reads the body of a page that has no use for it, so that the connection can be kept.
async fn discard(body: Incoming) -> Result<(), Box<Response<Answer>>> {
    if body.is_end_stream() {
        return Ok(());
    }
    echo::discard(body)
        .await
        .map_err(|cause| Box::new(pages::unreadable(&cause)))
}

fn falls(share: f64) -> bool {
    share > 0.0 && rand::random::<f64>() < share
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "localhost".to_owned())
}
