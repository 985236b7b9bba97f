//! The metrics endpoint: `GET /metrics` for Prometheus, and nothing else.
//!
//! A scraper that hangs or a stranger who holds connections open costs at most
//! [`MAX_CONNECTIONS`] of them; see `serve` for the other bounds.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::serve::{self, Limits};
use crate::config::Secret;

/// Connections served at a time; more wait in the listen queue.
pub const MAX_CONNECTIONS: usize = 64;

/// Limit for a connection, from accepting it to the last byte of the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

const LIMITS: Limits = Limits {
    name: "metrics",
    connections: MAX_CONNECTIONS,
    connection: CONNECTION_TIMEOUT,
};

const POINTER: &str = "Evenkeel metrics for Prometheus.\nSee /metrics\n";

struct Exposition<R> {
    render: R,
    token: Option<Secret>,
}

/// Serves what `render` returns until `shutdown` is ready, to clients that
/// carry `token` if there is one.
pub async fn serve<R>(
    listener: TcpListener,
    render: R,
    token: Option<Secret>,
    shutdown: impl Future<Output = ()>,
) where
    R: Fn() -> String + Send + Sync + 'static,
{
    serve::serve(listener, LIMITS, router(render, token), shutdown).await;
}

fn router<R>(render: R, token: Option<Secret>) -> Router
where
    R: Fn() -> String + Send + Sync + 'static,
{
    Router::new()
        .route("/metrics", get(metrics::<R>))
        .route("/", get(async || POINTER))
        .with_state(Arc::new(Exposition { render, token }))
}

async fn metrics<R>(
    State(exposition): State<Arc<Exposition<R>>>,
    headers: HeaderMap,
) -> Result<Response, Infallible>
where
    R: Fn() -> String + Send + Sync + 'static,
{
    if !serve::is_allowed(&headers, exposition.token.as_ref()) {
        let challenge = [(WWW_AUTHENTICATE, "Bearer")];
        let body = "a bearer token is required\n";
        return Ok((StatusCode::UNAUTHORIZED, challenge, body).into_response());
    }
    let kind = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, (exposition.render)()).into_response())
}

#[cfg(test)]
mod tests;
