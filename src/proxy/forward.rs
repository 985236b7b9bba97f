//! The request as the backend gets it: path, forwarding headers, hop-by-hop hygiene.
//!
//! Every header that says who the client is comes from us. What the client
//! itself sent of them is believed, and continued, only when the connection
//! comes from a trusted proxy.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Version};
use ipnet::IpNet;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::edit;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's request id longer than this is replaced by one of ours.
const MAX_REQUEST_ID_BYTES: usize = 128;

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

/// Who sent a request, as far as we believe it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    /// The client: the peer, or what a trusted proxy reports.
    pub(super) client: IpAddr,
    /// The peer is a trusted proxy.
    pub(super) trusted: bool,
}

impl Origin {
    /// Finds the client: the right-most address in `X-Forwarded-For` that is not a trusted proxy's.
    pub(super) fn of(peer: IpAddr, trusted_proxies: &[IpNet], headers: &HeaderMap) -> Self {
        let is_trusted = |address: &IpAddr| trusted_proxies.iter().any(|net| net.contains(address));
        let trusted = is_trusted(&peer);
        let mut client = peer;
        if trusted {
            let lines: Vec<&str> = headers
                .get_all(X_FORWARDED_FOR)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect();
            for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
                let Some(address) = parse_hop(hop.trim()) else {
                    break;
                };
                client = address;
                if !is_trusted(&address) {
                    break;
                }
            }
        }
        Self {
            peer,
            client,
            trusted,
        }
    }

    /// Whether the client's connection is known to be TLS.
    pub(super) fn secure(&self, headers: &HeaderMap) -> bool {
        self.trusted
            && headers
                .get(X_FORWARDED_PROTO)
                .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
    }
}

/// An address as it stands in `X-Forwarded-For`: bare, with a port, or in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    hop.parse()
        .ok()
        .or_else(|| {
            hop.parse()
                .ok()
                .map(|socket: std::net::SocketAddr| socket.ip())
        })
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// The request's id: the client's where it is usable, else one made of `random`.
pub(super) fn request_id(headers: &HeaderMap, random: u128) -> HeaderValue {
    let usable = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers
        .get(X_REQUEST_ID)
        .filter(usable)
        .cloned()
        .unwrap_or_else(|| {
            HeaderValue::from_str(&format!("{random:032x}")).expect("hex digits are a header value")
        })
}

/// Turns the client's request into the backend's.
pub(super) fn request(session: &Session, request: &mut RequestHeader, ctx: &Context) -> Result<()> {
    let onward = Onward {
        origin: &ctx.origin,
        version: session.req_header().version,
    };
    onward.forwarding(request)?;
    request.insert_header(X_REQUEST_ID, ctx.request_id.clone())?;
    if let Some(target) = &ctx.target {
        request.set_raw_path(target.as_bytes())?;
    } else if is_absolute(request) {
        origin_form(request)?;
    }
    if let Some(route) = ctx.route() {
        edit::request(request, &route.request_headers)?;
    }
    if !ctx.upgrade && ctx.surplus_connection() {
        request.insert_header(header::CONNECTION, "close")?;
    }
    Ok(())
}

/// Turns the client's request for another protocol into the backend's.
///
/// # Errors
///
/// The client's when its `Connection` names what a client cannot take away.
pub(super) fn upgrade(session: &Session, ctx: &Context) -> Result<RequestHeader> {
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
            .map(|host| host.as_bytes())
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
        if let Some(host) = host {
            if !(trusted && request.headers.contains_key(X_FORWARDED_HOST)) {
                request.insert_header(X_FORWARDED_HOST, host)?;
            }
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

/// The members of a header that is a list, over all its lines.
pub(super) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}
