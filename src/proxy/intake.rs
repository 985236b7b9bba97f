//! From a request header to a decision: refuse, answer, or forward.

use std::borrow::Cow;

use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, Method, Version};
use pingora_core::{Error, ErrorType};
use pingora_proxy::Session;

use super::context::{Context, Host, downstream, raw_host};
use super::forward::list;
use super::origin::{Origin, request_id};
use crate::clock;
use crate::config::{Action, Rewrite};
use crate::listen::Connections;
use crate::reject::Reject;
use crate::request::{self, BadPath};
use crate::route;

/// What is done with a request.
pub(super) enum Decision {
    /// A backend answers.
    Forward,
    /// The route's own answer is given.
    Answer,
}

/// Notes where the request came from, and sets the limits of its connection.
pub(super) fn arrive(connections: &Connections, session: &mut Session, ctx: &mut Context) {
    ctx.started = clock::now();
    let local = session
        .server_addr()
        .and_then(|address| address.as_inet().copied());
    ctx.listener = local
        .and_then(|local| connections.listener_of(&local))
        .unwrap_or(0);
    if let Some(peer) = session.client_addr().and_then(|address| address.as_inet()) {
        let trusted = &ctx.live.config().listeners[ctx.listener].trusted_proxies;
        ctx.origin = Origin::of(peer.ip(), trusted, &session.req_header().headers);
    }
    ctx.request_id = request_id(&session.req_header().headers, rand::random());
    let body_timeout = ctx.listener().body_timeout;
    session.set_read_timeout(Some(body_timeout));
    if downstream(session).is_some_and(crate::listen::Downstream::close_after) {
        session.set_keepalive(None);
    }
}

/// Decides what is done with the request.
pub(super) fn decide(session: &Session, ctx: &mut Context) -> Result<Decision, Reject> {
    check(session, ctx)?;
    let live = std::sync::Arc::clone(&ctx.live);
    let facts = ctx.facts(session);
    let found = live.router().find(&facts).ok_or(Reject::NoRoute)?;
    let route = &live.config().routes[found.route];
    let Action::Forward(splits) = &route.action else {
        ctx.route = Some(found);
        return Ok(Decision::Answer);
    };
    let destination = live.destination(route, splits, &facts, clock::unix_seconds, rand::random)?;
    let target = target(&facts, ctx.path.is_some(), route.rewrite.as_ref(), found)?;
    let target = target.map(Cow::into_owned);
    ctx.route = Some(found);
    ctx.upstream = Some(destination.upstream);
    ctx.algorithm = destination.algorithm;
    ctx.target = target;
    ctx.upgrade = upgrade(session.req_header().version, &session.req_header().headers);
    if let Some(connection) = downstream(session) {
        connection.set_deadline(Some(ctx.started.after(route.timeout)));
    }
    Ok(Decision::Forward)
}

/// Refuses what must not be forwarded, and brings host and path into one form.
fn check(session: &Session, ctx: &mut Context) -> Result<(), Reject> {
    let request = session.req_header();
    if matches!(request.method, Method::TRACE | Method::CONNECT) {
        return Err(Reject::MethodNotAllowed);
    }
    let host = raw_host(session);
    if host.is_empty() {
        if request.version != Version::HTTP_10 {
            return Err(Reject::BadHost);
        }
    } else {
        ctx.host = match request::normalize_host(host).map_err(|_| Reject::BadHost)? {
            Cow::Borrowed(start) => Host::Start(start.len()),
            Cow::Owned(host) => Host::Other(host),
        };
    }
    if !request.raw_path_is_utf8() {
        return Err(Reject::BadRequest);
    }
    let path: Result<Cow<'_, str>, BadPath> = request::normalize_path(request.uri.path());
    if let Cow::Owned(path) = path.map_err(|_| Reject::BadRequest)? {
        ctx.path = Some(path);
    }
    let limit = ctx.listener().max_body.unwrap_or(u64::MAX);
    if content_length(&request.headers).is_some_and(|length| length > limit) {
        return Err(Reject::BodyTooLarge);
    }
    Ok(())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Counts a piece of the request's body against the listener's limit.
pub(super) fn count_body(bytes: usize, ctx: &mut Context) -> Result<(), Box<Error>> {
    ctx.body_bytes += bytes as u64;
    if ctx.body_bytes <= ctx.listener().max_body.unwrap_or(u64::MAX) {
        return Ok(());
    }
    ctx.reject = Some(Reject::BodyTooLarge);
    let status = ErrorType::HTTPStatus(Reject::BodyTooLarge.status().as_u16());
    Err(Error::explain(status, Reject::BodyTooLarge.label()).into_down())
}

/// Path and query for the backend, where they differ from what the client sent.
fn target<'a>(
    facts: &request::Facts<'a>,
    normalized: bool,
    rewrite: Option<&'a Rewrite>,
    found: route::RouteMatch,
) -> Result<Option<Cow<'a, str>>, Reject> {
    let path = match rewrite {
        Some(rewrite) => {
            route::rewrite::rewrite(facts.path, found, rewrite).map_err(|_| Reject::BadRequest)?
        }
        None if normalized => Cow::Borrowed(facts.path),
        None => return Ok(None),
    };
    Ok(Some(match facts.query {
        Some(query) => Cow::Owned(format!("{path}?{query}")),
        None => path,
    }))
}

/// Whether the client asks to switch protocols. HTTP/2 by upgrade is not offered.
fn upgrade(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && list(headers, UPGRADE).next().is_some()
        && !list(headers, UPGRADE).any(|protocol| is(protocol, b"h2c"))
        && list(headers, CONNECTION).any(|option| is(option, b"upgrade"))
}

fn is(member: &[u8], word: &[u8]) -> bool {
    member.eq_ignore_ascii_case(word)
}
