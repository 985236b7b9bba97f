//! Who sent a request, as far as we believe it, and the request's own id.

use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's request id longer than this is replaced by one of ours.
const MAX_REQUEST_ID_BYTES: usize = 128;

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
