//! What the deciding stages may see of a request.
//!
//! [`Facts`] borrows everything from the request and holds nothing of Pingora's,
//! so routing and selection stay pure: tests build a `Facts` from literals.

use std::net::IpAddr;

use http::{HeaderMap, Method};

/// The facts of one request, borrowed for as long as the request lives.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    /// Position of the listener in the configuration's list.
    pub listener: usize,
    /// The method as sent.
    pub method: &'r Method,
    /// Host in lower case, without the port; empty when an HTTP/1.0 client sent none.
    pub host: &'r str,
    /// The normalised path.
    pub path: &'r str,
    /// What follows the first `?`, undecoded and without it.
    pub query: Option<&'r str>,
    /// The headers as sent.
    pub headers: &'r HeaderMap,
    /// The client's address: the peer's, or what a trusted proxy reports.
    pub client: IpAddr,
}
