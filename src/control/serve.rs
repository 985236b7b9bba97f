//! Serves a small HTTP/1.1 interface beside the traffic, with a bound on everything.
//!
//! The metrics endpoint and the admin API must answer while the data plane is
//! in trouble, and must not become the trouble: connections, header and the
//! life of a connection, which serves one request, are limited. A client that
//! hangs costs one connection until its time is up.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::Secret;

/// Limit for the request's header.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest request header in bytes; 431 beyond.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Most header fields; 431 beyond.
pub(super) const MAX_HEADERS: usize = 64;

/// How long answers under way may take after the shutdown signal.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Wait after an error of `accept`, which is mostly a lack of descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// What an interface may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// What the log calls it.
    pub(super) name: &'static str,
    /// Connections served at a time; more wait in the listen queue.
    pub(super) connections: usize,
    /// From accepting a connection to the last byte of the answer.
    pub(super) connection: Duration,
}

/// The client's address, an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves `router` until `shutdown` is ready.
pub(super) async fn serve(
    listener: TcpListener,
    limits: Limits,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, peer)) => {
                    let router = router.clone().layer(Extension(Peer(peer)));
                    connections.spawn(connection(stream, limits, router));
                }
                Err(error) => {
                    tracing::warn!(%error, "{}: cannot accept a connection", limits.name);
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

/// Serves one request.
pub(super) async fn connection<S>(stream: S, limits: Limits, router: Router)
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
    match timeout(limits.connection, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "{}: a connection broke", limits.name),
        Err(_) => tracing::debug!("{}: a connection took too long", limits.name),
    }
}

/// Whether a request may pass: it carries `token`, or none is asked for.
pub(super) fn is_allowed(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let carries = |token| bearer(headers).is_some_and(|given| same(given, token));
    token.is_none_or(carries)
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
