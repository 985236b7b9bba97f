//! The request as the backend gets it: path, forwarding headers, hop-by-hop hygiene.
//!
//! Every header that says who the client is comes from us. What the client
//! itself sent of them is believed, and continued, only when the connection
//! comes from a trusted proxy.
//!
//! The headers are changed in a plain map, and their names leave in lower case:
//! keeping the client's spelling would make each change twice as expensive, and
//! HTTP/2 has no other case.

use std::mem;
use std::sync::Arc;

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Version};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::edit;
use super::origin::{Trail, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_REQUEST_ID};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Headers that are added to every request.
const ADDED: usize = 7;

/// Fields of a request that belong to the client's connection.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Fields that routing, trust and framing rest on, whatever `Connection` says.
const KEPT: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
];

/// Turns the client's request into the backend's.
pub(super) fn request(
    session: &Session,
    request: &mut RequestHeader,
    ctx: &mut Context,
) -> Result<()> {
    let empty = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts = Parts::from(mem::replace(request, empty));
    parts.headers.reserve(ADDED);
    forwarding(&mut parts, session.req_header().version, ctx);
    let id = ctx.request_id.clone();
    parts.headers.insert(X_REQUEST_ID, id);
    if let Some(target) = &ctx.target {
        parts.uri = with_target(mem::take(&mut parts.uri), target)?;
    }
    if let Some(route) = ctx.route() {
        edit::request(&mut parts.headers, &route.request_headers);
    }
    if parts.version != Version::HTTP_2 && !ctx.upgrade && ctx.surplus_connection() {
        let close = HeaderValue::from_static("close");
        parts.headers.insert(header::CONNECTION, close);
    }
    *request = RequestHeader::from(parts);
    Ok(())
}

/// Turns the client's request for another protocol into the backend's.
///
/// # Errors
///
/// The client's when its `Connection` names what a client cannot take away.
pub(super) fn upgrade(session: &Session, ctx: &mut Context) -> Result<RequestHeader> {
    let received = session.req_header();
    let mut onward = received.clone();
    for name in list(&received.headers, header::CONNECTION) {
        let name = HeaderName::from_bytes(name).ok();
        let name = name.filter(|name| !KEPT.contains(name)).ok_or_else(|| {
            let text = "a header that cannot be nominated by Connection";
            Error::explain(ErrorType::InvalidHTTPHeader, text).into_down()
        })?;
        onward.remove_header(&name);
    }
    for name in &HOP_BY_HOP {
        onward.remove_header(name);
    }
    onward.insert_header(header::CONNECTION, "Upgrade")?;
    for protocol in received.headers.get_all(header::UPGRADE) {
        onward.append_header(header::UPGRADE, protocol.clone())?;
    }
    request(session, &mut onward, ctx)?;
    Ok(onward)
}

/// The URI with another path and query; scheme and authority stay, where HTTP/2 has them.
fn with_target(uri: Uri, target: &str) -> Result<Uri> {
    let refused = |error: http::Error| {
        let text = "the target is no URI";
        Error::because(ErrorType::InvalidHTTPHeader, text, error).into_down()
    };
    let target = PathAndQuery::try_from(target).map_err(|error| refused(error.into()))?;
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|error| refused(error.into()))
}

/// Says who the client is.
fn forwarding(parts: &mut Parts, version: Version, ctx: &mut Context) {
    let trail = trail(parts, ctx);
    let origin = &ctx.origin;
    let headers = &mut parts.headers;
    let real_ip = if origin.client == origin.peer {
        trail.address.clone()
    } else {
        HeaderValue::try_from(origin.client.to_string()).expect("an address is a header value")
    };
    let via = match version {
        Version::HTTP_2 => "2 evenkeel",
        Version::HTTP_10 => "1.0 evenkeel",
        _ => "1.1 evenkeel",
    };
    let continues = origin.trusted;
    chain(headers, X_FORWARDED_FOR, continues, &trail.address);
    chain(headers, header::FORWARDED, continues, &trail.forwarded);
    chain(
        headers,
        header::VIA,
        continues,
        &HeaderValue::from_static(via),
    );
    headers.insert(X_REAL_IP, real_ip);
    if !(continues && headers.contains_key(X_FORWARDED_PROTO)) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if continues && headers.contains_key(X_FORWARDED_HOST) {
        return;
    }
    match &trail.host {
        Some(host) => headers.insert(X_FORWARDED_HOST, host.clone()),
        None => headers.remove(X_FORWARDED_HOST),
    };
}

/// What the connection's last request said of its client, where it still holds.
fn trail(parts: &Parts, ctx: &mut Context) -> Arc<Trail> {
    let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.or_else(|| parts.uri.authority().map(|host| host.as_str().as_bytes()));
    if let Some(trail) = &ctx.trail
        && trail.is_of(ctx.origin.peer, host)
    {
        return Arc::clone(trail);
    }
    let trail = Arc::new(Trail::new(ctx.origin.peer, host));
    ctx.trail = Some(Arc::clone(&trail));
    trail
}

/// Sets a list header to `link`, or continues it when a trusted proxy began it.
fn chain(headers: &mut HeaderMap, name: HeaderName, continues: bool, link: &HeaderValue) {
    let mut whole = link.clone();
    if continues && headers.contains_key(&name) {
        let mut list = Vec::new();
        for part in headers.get_all(&name) {
            list.extend_from_slice(part.as_bytes());
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(link.as_bytes());
        whole = HeaderValue::try_from(list).unwrap_or(whole);
    }
    headers.insert(name, whole);
}

/// The members of a header that is a list, over all its lines.
pub(super) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}
