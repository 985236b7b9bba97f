//! The backend's response on its way to the client.

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::forward::list;
use super::{attempt, edit, record};
use crate::clock;
use crate::observe::Recorder;
use crate::observe::metrics::Answer;
use crate::request;
use crate::upstream::Failure;

/// Fields of a response that belong to the backend's connection.
const HOP_BY_HOP: [HeaderName; 4] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::UPGRADE,
];

/// Fields that say where the body ends, whatever `Connection` says.
const FRAMING: [HeaderName; 2] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// A response header arrived: measures it, and drops it where another backend will be asked.
pub(super) fn receive(
    recorder: &Recorder,
    session: &mut Session,
    header: &mut ResponseHeader,
    ctx: &mut Context,
) -> Result<()> {
    let upgraded = header.status == StatusCode::SWITCHING_PROTOCOLS;
    if header.status.is_informational() && !upgraded {
        return Ok(());
    }
    ctx.times.first_byte = clock::now();
    measure(header.status, ctx);
    if attempt::retry_status(recorder, session, ctx, header.status) {
        return Err(Error::explain(
            attempt::RETRY_STATUS,
            header.status.as_str().to_owned(),
        ));
    }
    record::attempt(recorder, ctx, Answer::Status(header.status), None);
    if !upgraded && is_bodiless(session, header) {
        done(ctx);
    }
    if session.is_process_shutting_down() {
        session.set_keepalive(None);
    }
    let protocol = header.headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(header);
    if upgraded {
        header.insert_header(header::CONNECTION, "Upgrade")?;
        if let Some(protocol) = protocol {
            header.insert_header(header::UPGRADE, protocol)?;
        }
    }
    stick(session, header, ctx)?;
    match ctx.route() {
        Some(route) => edit::response(header, &route.response_headers),
        None => Ok(()),
    }
}

/// A piece of the response's body passes.
///
/// # Errors
///
/// The route's `timeout` has passed. HTTP/1 connections have a timer for that;
/// an HTTP/2 stream has none of its own and is looked at here.
pub(super) fn body(session: &Session, end_of_stream: bool, ctx: &mut Context) -> Result<()> {
    if end_of_stream {
        answered(ctx);
    } else if session.req_header().version == Version::HTTP_2 && ctx.left(clock::now()).is_zero() {
        let late = Error::explain(ErrorType::ReadTimedout, "the route's timeout has passed");
        return Err(late.into_up());
    }
    Ok(())
}

/// Notes that the backend has given all of its answer.
pub(super) fn answered(ctx: &mut Context) {
    ctx.times.answered = clock::now();
    done(ctx);
}

fn done(ctx: &mut Context) {
    if let Some(selection) = &mut ctx.attempts.selection {
        selection.done();
    }
}

/// Whether the header is all there is of an answer. Nobody says so of those whose header does not.
fn is_bodiless(session: &Session, header: &ResponseHeader) -> bool {
    let none = |length: &HeaderValue| length.as_bytes() == b"0";
    session.req_header().method == Method::HEAD
        || matches!(
            header.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || header.headers.get(header::CONTENT_LENGTH).is_some_and(none)
}

/// Tells the backend's live state how it did.
fn measure(status: StatusCode, ctx: &mut Context) {
    let Some((upstream, selection)) = ctx.current() else {
        return;
    };
    let times = &ctx.times;
    if status.is_server_error() {
        upstream.failed(selection, times.first_byte, Failure::Status(status));
        ctx.attempts.counted = true;
    } else {
        let first_byte = times.first_byte.since(times.connected);
        upstream.answered(selection, times.first_byte, first_byte);
    }
    ctx.attempts.response = Some(status);
}

fn strip_hop_by_hop(header: &mut ResponseHeader) {
    let named: Vec<HeaderName> = list(&header.headers, header::CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !FRAMING.contains(name))
        .collect();
    for name in &named {
        header.remove_header(name);
    }
    header.remove_header(&header::CONNECTION);
    for name in &HOP_BY_HOP {
        if header.headers.contains_key(name) {
            header.remove_header(name);
        }
    }
}

/// Binds the client to the backend that answered, where the upstream is sticky.
fn stick(session: &Session, header: &mut ResponseHeader, ctx: &mut Context) -> Result<()> {
    let (Some(index), Some(selection)) = (ctx.upstream, &ctx.attempts.selection) else {
        return Ok(());
    };
    let upstream = &ctx.live.groups()[index].upstream;
    let Some(name) = upstream.sticky_name() else {
        return Ok(());
    };
    let headers = &session.req_header().headers;
    let presented = request::cookie(headers, name);
    let secure = ctx.origin.secure(headers);
    let cookie = upstream.sticky_cookie(selection, presented, clock::unix_seconds(), secure);
    ctx.sticky = Some(if cookie.is_some() { "set" } else { "kept" });
    match cookie {
        Some(cookie) => header.append_header(header::SET_COOKIE, cookie).map(|_| ()),
        None => Ok(()),
    }
}
