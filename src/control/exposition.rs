//! The metrics endpoint: `GET /metrics` for Prometheus, and nothing else.
//!
//! It stays up while the data plane is in trouble, which is when it matters, so
//! everything about it is bounded: connections, header, and the life of a
//! connection, which serves one request. A scraper that hangs or a stranger who
//! holds connections open costs at most [`MAX_CONNECTIONS`] of them.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::Secret;

/// Connections served at a time; more wait in the listen queue.
pub const MAX_CONNECTIONS: usize = 64;

/// Limit for the request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Limit for a connection, from accepting it to the last byte of the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest request header in bytes; 431 beyond.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Most header fields; 431 beyond.
const MAX_HEADERS: usize = 64;

/// How long answers under way may take after the shutdown signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Wait after an error of `accept`, which is mostly a lack of descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

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
    let router = router(render, token);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the metrics endpoint cannot accept a connection");
                    sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
    drop(listener);
    let answers = async { while connections.join_next().await.is_some() {} };
    // Whatever is left is cut with the set.
    let _ = timeout(SHUTDOWN_GRACE, answers).await;
}

async fn connection<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_TIMEOUT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a metrics connection broke"),
        Err(_) => tracing::debug!("a metrics connection took too long"),
    }
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
    let allowed = |token: &Secret| bearer(&headers).is_some_and(|given| same(given, token));
    if !exposition.token.as_ref().is_none_or(allowed) {
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

/// The token of `Authorization: Bearer`, the scheme in any case.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then_some(token.trim_ascii())
}

/// Compares in a time that tells nothing but the length.
fn same(given: &[u8], token: &Secret) -> bool {
    given.ct_eq(token.expose()).into()
}

#[cfg(test)]
mod tests;
