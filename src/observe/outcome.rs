//! What happened, as plain facts: one finished request, one try at a backend.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode, Version};

use crate::clock::Moment;
use crate::config::Algorithm;
use crate::reject::Reject;

use super::metrics::{Answer, BackendMetrics, RouteMetrics, UpstreamMetrics};

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The algorithm in force for the request.
    pub algorithm: Algorithm,
    /// What decided: one of a small fixed vocabulary.
    pub reason: &'static str,
}

/// The connection an attempt was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// One was established, which took so long.
    New(Duration),
    /// A kept one.
    Reused,
    /// None could be established.
    Failed,
}

/// One try at a backend, known when its response begins or it has failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Why this backend.
    pub pick: Pick,
    /// On which connection.
    pub connection: Connection,
    /// How it ended.
    pub answer: Answer,
    /// Time from the request being sent to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// Why the request is now tried on another backend; `None` when it is not.
    pub retry: Option<&'static str>,
}

/// Where a request's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From its header to the end of the response.
    pub total: Duration,
    /// In the queue for a free slot; `None` when it did not have to wait.
    pub queue: Option<Duration>,
    /// Establishing the last attempt's connection; `None` on a kept one.
    pub connect: Option<Duration>,
    /// From the last attempt being sent to the first byte of its response.
    pub first_byte: Option<Duration>,
    /// All of the total that was spent waiting for somebody else: a backend,
    /// the client, a free slot, a backoff.
    pub waited: Duration,
}

impl Times {
    /// The proxy's own share of the total.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        self.total.saturating_sub(self.waited)
    }
}

/// One finished request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'r> {
    /// Position of the listener in the configuration.
    pub listener: usize,
    /// The method as sent.
    pub method: &'r Method,
    /// The status the client got, or would have got had it stayed.
    pub status: StatusCode,
    /// Why the response is not, or not completely, a backend's.
    pub reject: Option<Reject>,
    /// The last pick; `None` when no backend was chosen.
    pub pick: Option<Pick>,
    /// Tries at backends.
    pub attempts: u32,
    /// Why each repeated attempt was repeated.
    pub retried: &'r [&'static str],
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// When the header had arrived.
    pub started: Moment,
    /// Where the time went.
    pub times: Times,
}

/// The handles of the parts a request met.
#[derive(Clone, Copy, Debug)]
pub struct Handles<'r> {
    /// Its route and upstream, or [`NONE`](super::metrics::NONE) for what it had none of.
    pub route: &'r RouteMetrics,
    /// Its upstream.
    pub upstream: Option<&'r UpstreamMetrics>,
    /// The last backend it was sent to.
    pub backend: Option<&'r BackendMetrics>,
}

/// What only the access log tells of a request.
#[derive(Clone, Copy, Debug)]
pub struct Description<'r> {
    /// The request's id, as in `X-Request-Id`.
    pub request_id: &'r str,
    /// The client's address: the peer's, or what a trusted proxy reports.
    pub client: IpAddr,
    /// Host in lower case, without the port.
    pub host: &'r str,
    /// The normalised path, without the query, which may carry secrets.
    pub path: &'r str,
    /// The client's protocol.
    pub version: Version,
    /// The `User-Agent`, as sent.
    pub user_agent: Option<&'r [u8]>,
    /// The `Referer`, as sent.
    pub referer: Option<&'r [u8]>,
    /// What stickiness did; `None` where it is off.
    pub sticky: Option<&'static str>,
}
