//! The request as the backend gets it: path, forwarding headers, hop-by-hop hygiene.
//!
//! Every header that says who the client is comes from us. What the client
//! itself sent of them is believed, and continued, only when the connection
//! comes from a trusted proxy.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::{HeaderValue, Version};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::edit;
use super::origin::{Origin, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_REQUEST_ID};
use super::peer::Upgrade;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Turns the client's request into the backend's.
pub(super) fn request(session: &Session, request: &mut RequestHeader, ctx: &Context) -> Result<()> {
    let onward = Onward {
        origin: &ctx.origin,
        version: session.req_header().version,
    };
    onward.forwarding(request)?;
    request.insert_header(X_REQUEST_ID, ctx.request_id.clone())?;
    if ctx.upgrade == Some(Upgrade::Other) {
        strip_hop_by_hop(request);
    }
    if let Some(target) = &ctx.target {
        request.set_raw_path(target.as_bytes())?;
    } else if is_absolute(request) {
        origin_form(request)?;
    }
    if let Some(route) = ctx.route() {
        edit::request(request, &route.request_headers)?;
    }
    if request.version != Version::HTTP_2 && ctx.surplus_connection() {
        request.insert_header(header::CONNECTION, "close")?;
    }
    Ok(())
}

/// Whether the target names the scheme and host as well.
fn is_absolute(request: &RequestHeader) -> bool {
    !matches!(request.raw_path().first(), Some(b'/' | b'*'))
}

/// An absolute-form target becomes the origin-form that backends expect.
fn origin_form(request: &mut RequestHeader) -> Result<()> {
    let target = request
        .uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned());
    request.set_raw_path(target.as_bytes())
}

/// What the forwarding headers are made of.
struct Onward<'a> {
    origin: &'a Origin,
    version: Version,
}

impl Onward<'_> {
    fn forwarding(&self, request: &mut RequestHeader) -> Result<()> {
        let Origin {
            peer,
            client,
            trusted,
        } = *self.origin;
        let host = request
            .headers
            .get(header::HOST)
            .map(HeaderValue::as_bytes)
            .or_else(|| request.uri.authority().map(|host| host.as_str().as_bytes()))
            .and_then(|host| HeaderValue::from_bytes(host).ok());
        let mut text = String::with_capacity(128);

        text.clear();
        write!(text, "{peer}").expect("writing to a string succeeds");
        let peer_value = value(&text);
        chain(request, &X_FORWARDED_FOR, trusted, &text)?;

        if client == peer {
            request.insert_header(X_REAL_IP, peer_value)?;
        } else {
            request.insert_header(X_REAL_IP, value(&client.to_string()))?;
        }
        if !(trusted && request.headers.contains_key(X_FORWARDED_PROTO)) {
            request.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static("http"))?;
        }
        text.clear();
        match peer {
            IpAddr::V4(peer) => write!(text, "for={peer};proto=http"),
            IpAddr::V6(peer) => write!(text, "for=\"[{peer}]\";proto=http"),
        }
        .expect("writing to a string succeeds");
        if let Some(host) = host.as_ref().and_then(|host| host.to_str().ok()) {
            write!(text, ";host=\"{host}\"").expect("writing to a string succeeds");
        }
        chain(request, &header::FORWARDED, trusted, &text)?;
        if let Some(host) = host
            && !(trusted && request.headers.contains_key(X_FORWARDED_HOST))
        {
            request.insert_header(X_FORWARDED_HOST, host)?;
        }
        let via = match self.version {
            Version::HTTP_2 => "2 evenkeel",
            Version::HTTP_10 => "1.0 evenkeel",
            _ => "1.1 evenkeel",
        };
        chain(request, &header::VIA, trusted, via)
    }
}

/// Sets a list header to `link`, or continues it when a trusted proxy began it.
fn chain(
    request: &mut RequestHeader,
    name: &HeaderName,
    continues: bool,
    link: &str,
) -> Result<()> {
    if continues && request.headers.contains_key(name) {
        let mut list = Vec::new();
        for part in request.headers.get_all(name) {
            list.extend_from_slice(part.as_bytes());
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(link.as_bytes());
        let list = HeaderValue::from_bytes(&list).unwrap_or_else(|_| value(link));
        return request.insert_header(name, list);
    }
    request.insert_header(name, value(link))
}

/// Text of ours as a header value; what does not fit one is left empty.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Takes away what belongs to the client's connection and Pingora left in place for an upgrade.
fn strip_hop_by_hop(request: &mut RequestHeader) {
    for name in ["keep-alive", "proxy-connection", "proxy-authorization"] {
        if request.headers.contains_key(name) {
            request.remove_header(name);
        }
    }
}
