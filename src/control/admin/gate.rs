//! Who may call, and the record of who changed what.
//!
//! Everything but the probes asks for the token. Without one (which only a
//! loopback address may lack) two more doors have to be shut, both to web pages
//! in a browser on this machine: one that gives its own name this address, whose
//! `Host` gives it away, and one that sends a form here blindly, whose `Origin`
//! does. With a token neither gets anywhere, because browsers do not send it by
//! themselves.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::{Note, Refused};
use super::api::Api;
use super::code::Code;
use crate::control::serve::{self, Peer};
use crate::control::timeline::Happening;

/// Bytes of a path that the log shows.
const MAX_LOGGED: usize = 256;

/// Lets only those pass who may.
pub(super) async fn guard<T>(
    State(api): State<Arc<Api<T>>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if !serve::is_allowed(headers, api.token.as_ref()) {
        let hint = "send `Authorization: Bearer` with the token in `admin.token`";
        let message = "a bearer token is required";
        return Refused::new(Code::Unauthorized, message, hint).into_response();
    }
    if api.token.is_none() {
        if !is_local_host(headers) {
            let hint = "call it by IP address or as localhost, or set `admin.token`";
            let message = "without a token the Host must be an IP address or localhost";
            return Refused::new(Code::WrongHost, message, hint).into_response();
        }
        if !request.method().is_safe() && !is_own_origin(headers) {
            let hint = "call it from no other site's page, or set `admin.token`";
            let message = "without a token other sites' pages may change nothing";
            return Refused::new(Code::WrongOrigin, message, hint).into_response();
        }
    }
    next.run(request).await
}

/// Whether the client called us by an address or as `localhost`, not by a name anybody can own.
fn is_local_host(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Whether the request comes from a page of ours, or from none: only browsers say `Origin`.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok();
    let origin = origin.and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin
        .zip(host)
        .is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
}

/// One line in the process log for each call that changes something, or tried to, and one in the
/// timeline where it did.
pub(super) async fn audit<T>(
    State(api): State<Arc<Api<T>>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(MAX_LOGGED).collect();
    let mut response = next.run(request).await;
    let note = response.extensions_mut().remove::<Note>();
    let Note { text, is_routine } = note.unwrap_or_default();
    let status = response.status();
    if is_routine {
        tracing::debug!(%peer, %method, path, status = status.as_u16(), "admin: {text}");
        return response;
    }
    tracing::info!(%peer, %method, path, status = status.as_u16(), "admin: {text}");
    if status.is_success() {
        let what = format!("{text}, by {}", peer.ip());
        api.seen.timeline.note(Happening::Operator { what });
    }
    response
}
