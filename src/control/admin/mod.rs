//! The admin API: what the backends are doing, and changing what they should do.
//!
//! | call | what it does |
//! |---|---|
//! | `GET /` | the [dashboard](page) |
//! | `GET /livez` | 200 while the process runs |
//! | `GET /readyz` | 200, or 503 with reasons |
//! | `GET /api/v1/upstreams` | every upstream and its backends |
//! | `GET /api/v1/upstreams/{u}` | one upstream |
//! | `PATCH /api/v1/upstreams/{u}/backends/{b}` | weight, draining, maintenance |
//! | `PUT /api/v1/upstreams/{u}/backends/{b}/heartbeat` | registers a backend, or renews it |
//! | `DELETE /api/v1/upstreams/{u}/backends/{b}/heartbeat` | takes it out again |
//!
//! It reads the published snapshot and hands every change to the reconciler, so
//! nothing here decides or keeps anything. The two probes ask for no token: an
//! orchestrator's probe has none, and they tell little. Everything else does,
//! and without a token (which only a loopback address may lack) the `Host` must
//! be this machine's, or a web page could reach in through a browser here by
//! giving its own name this address.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, put};
use tokio::net::TcpListener;

use super::reconcile::Refusal;
use super::serve::{self, Limits, Peer};
use crate::clock;
pub use api::Api;
pub use code::Code;

use answer::{Note, Refused, json};

mod answer;
mod api;
pub mod client;
mod code;
pub mod inherit;
mod input;
mod page;
mod view;
mod write;

const LIMITS: Limits = Limits {
    name: "admin",
    connections: 256,
    // The longest wait, and time for everything around it.
    connection: Duration::from_secs(input::MAX_WAIT.as_secs() + 30),
};

/// Bytes of a path that the log shows.
const MAX_LOGGED: usize = 256;

/// Serves the API until `shutdown` is ready.
pub async fn serve<T>(listener: TcpListener, api: Api<T>, shutdown: impl Future<Output = ()>)
where
    T: Send + Sync + 'static,
{
    serve::serve(listener, LIMITS, router(api), shutdown).await;
}

fn router<T>(api: Api<T>) -> Router
where
    T: Send + Sync + 'static,
{
    let api = Arc::new(api);
    let guarded = Router::new()
        .route("/api/v1/upstreams", get(upstreams::<T>))
        .route("/api/v1/upstreams/{upstream}", get(upstream::<T>))
        .route(
            "/api/v1/upstreams/{upstream}/backends/{backend}",
            patch(write::patch::<T>),
        )
        .route(
            "/api/v1/upstreams/{upstream}/backends/{backend}/heartbeat",
            put(write::heartbeat::<T>).delete(write::leave::<T>),
        )
        .route_layer(from_fn_with_state(Arc::clone(&api), guard::<T>))
        .route_layer(from_fn(audit));
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz::<T>))
        .merge(guarded)
        .merge(page::router())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(api)
}

async fn livez() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "live": true }))
}

async fn readyz<T>(State(api): State<Arc<Api<T>>>) -> Response {
    let phase = api.lifecycle.phase();
    let readiness = view::readiness(&api.published.load(), phase, clock::now());
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &readiness)
}

async fn upstreams<T>(State(api): State<Arc<Api<T>>>) -> Result<Response, Refused>
where
    T: Send + Sync,
{
    let snapshot = api.published.load();
    let mut upstreams = Vec::with_capacity(snapshot.groups().len());
    for group in snapshot.groups() {
        let records = api.commands.recall(group.upstream.name()).await?;
        upstreams.push(view::upstream(group, &records, clock::now()));
    }
    Ok(json(StatusCode::OK, &view::Upstreams { upstreams }))
}

async fn upstream<T>(
    State(api): State<Arc<Api<T>>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused>
where
    T: Send + Sync,
{
    let Path(name) =
        path.map_err(|error| Refused::invalid(error.body_text(), "percent-encode UTF-8"))?;
    let snapshot = api.published.load();
    let mut groups = snapshot.groups().iter();
    let group = groups
        .find(|group| group.upstream.name() == name)
        .ok_or(Refusal::UnknownUpstream(name))?;
    let records = api.commands.recall(group.upstream.name()).await?;
    let upstream = view::upstream(group, &records, clock::now());
    Ok(json(StatusCode::OK, &upstream))
}

async fn unknown_path() -> Refused {
    let hint = "the API begins at /api/v1/upstreams";
    Refused::new(Code::UnknownPath, "there is nothing here", hint)
}

async fn wrong_method() -> Refused {
    let hint = "the header `Allow` lists those that are";
    Refused::new(Code::WrongMethod, "the method is not allowed here", hint)
}

/// Lets only those pass who may.
async fn guard<T>(State(api): State<Arc<Api<T>>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !serve::is_allowed(headers, api.token.as_ref()) {
        let hint = "send `Authorization: Bearer` with the token in `admin.token`";
        let message = "a bearer token is required";
        return Refused::new(Code::Unauthorized, message, hint).into_response();
    }
    if api.token.is_none() && !is_local_host(headers) {
        let hint = "call it by IP address or as localhost, or set `admin.token`";
        let message = "without a token the Host must be an IP address or localhost";
        return Refused::new(Code::WrongHost, message, hint).into_response();
    }
    next.run(request).await
}

/// Whether the client called us by an address or as `localhost`, not by a name anybody can own.
fn is_local_host(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<axum::http::uri::Authority>().ok())
    else {
        return false;
    };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// One line in the process log for each call that changes something, or tried to.
async fn audit(Extension(Peer(peer)): Extension<Peer>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(MAX_LOGGED).collect();
    let mut response = next.run(request).await;
    let note = response.extensions_mut().remove::<Note>();
    let (what, is_routine) =
        note.map_or_else(Default::default, |note| (note.text, note.is_routine));
    let status = response.status().as_u16();
    if is_routine {
        tracing::debug!(%peer, %method, path, status, "admin: {what}");
    } else {
        tracing::info!(%peer, %method, path, status, "admin: {what}");
    }
    response
}

#[cfg(test)]
mod tests;
