//! What the deciding stages may see of a request.
//!
//! [`Facts`] borrows everything from the request and holds nothing of Pingora's,
//! so routing and selection stay pure: tests build a `Facts` from literals.

//!
//! The files below turn what a client sent into those facts: one spelling for
//! each [path](normalize_path) and [host](normalize_host), and iteration over
//! [query parameters](query()) and [cookies](cookies()) that allocates nothing.

use std::net::IpAddr;

use http::{HeaderMap, Method};

pub use cookies::{Cookies, cookie, cookies};
pub use host::{BadHost, normalize_host};
pub use path::{BadPath, normalize_path};
pub use query::{Encoded, Query, query};

mod cookies;
mod escape;
mod host;
mod path;
mod query;

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
