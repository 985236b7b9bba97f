//! Routes as run.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;

use crate::config::units::Percent;

/// One rule that says where requests go.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique name, a metrics label.
    pub name: String,
    /// The conditions; all must hold.
    pub matches: Match,
    /// What is done with a matching request.
    pub action: Action,
    /// How the path changes on its way to the backend.
    pub rewrite: Option<Rewrite>,
    /// Changes to the request's headers.
    pub request_headers: HeaderEdits,
    /// Changes to the response's headers.
    pub response_headers: HeaderEdits,
    /// Limit for the whole request, retries included.
    pub timeout: Duration,
    /// When and how a failed attempt is repeated.
    pub retry: Retry,
    /// Whether `?algo=NAME` picks the algorithm for one request.
    pub algorithm_override: bool,
}

/// The conditions of a route. An empty list or map does not constrain.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Positions of listeners in [`Config::listeners`](super::Config::listeners).
    pub listeners: Vec<usize>,
    /// Host patterns, any of which may match.
    pub hosts: Vec<HostPattern>,
    /// The path condition; `None` matches every path.
    pub path: Option<PathPattern>,
    /// Methods, any of which may match.
    pub methods: Vec<Method>,
    /// Headers, all of which must match.
    pub headers: Vec<(HeaderName, ValuePattern)>,
    /// Query parameters, all of which must match.
    pub query: Vec<(String, ValuePattern)>,
    /// Cookies, all of which must match.
    pub cookies: Vec<(String, ValuePattern)>,
    /// Media type of the request body in lower case, parameters ignored: `application/json`.
    pub content_type: Option<String>,
}

/// A host condition, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host only.
    Exact(String),
    /// Any host that ends in this suffix, which starts with a dot: `*.example.org` is `.example.org`.
    Suffix(String),
}

/// A path condition, applied to the normalised path.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// The path is exactly this.
    Exact(String),
    /// The path is this or continues it after a `/`: `/api` matches `/api` and `/api/x`, not `/apis`.
    Prefix(String),
    /// The expression matches somewhere in the path.
    Regex(Regex),
}

/// A condition on a header, query parameter or cookie.
#[derive(Clone, Debug)]
pub enum ValuePattern {
    /// The value is exactly this.
    Exact(String),
    /// The expression matches somewhere in the value.
    Regex(Regex),
    /// It is there (`true`) or absent (`false`).
    Present(bool),
}

/// What is done with a matching request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send it to one of these upstreams, in proportion to the weights (at least one is positive).
    Forward(Vec<Split>),
    /// Answer with this.
    Respond {
        /// Status of the answer.
        status: StatusCode,
        /// Body of the answer, sent as `text/plain; charset=utf-8` unless response headers say otherwise.
        body: String,
    },
    /// Redirect the client.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
        /// Where to; what the file left out stays as in the request.
        to: RedirectTarget,
    },
}

/// One share of a weighted split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Position in [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Share in proportion to the other weights; 0 gets nothing.
    pub weight: u32,
}

/// Parts of a redirect's `Location`; `None` keeps the request's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedirectTarget {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host, with a port where needed.
    pub host: Option<String>,
    /// Path and, where it contains `?`, query.
    pub path: Option<String>,
}

/// How the path changes on its way to the backend.
#[derive(Clone, Debug)]
pub enum Rewrite {
    /// What the route's prefix matched is replaced by this.
    Prefix(String),
    /// The whole path becomes this; the query stays.
    Path(String),
    /// Every match of `pattern` is replaced; `$1` and `${name}` stand for groups.
    Regex {
        /// What is replaced.
        pattern: Regex,
        /// By what.
        replacement: String,
    },
}

/// Header changes, applied in the order remove, set, add.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    /// Replaces any value there is.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Adds a value beside those there are.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Taken away.
    pub remove: Vec<HeaderName>,
}

/// When and how a failed attempt is repeated, always on another backend.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts after the first; 0 turns retries off; at most 10.
    pub attempts: u8,
    /// What is repeated.
    pub on: RetryOn,
    /// Wait before the second and later retries, doubled each time, with jitter; the first
    /// retry goes to another backend at once.
    pub backoff: Duration,
    /// Retries in flight and in backoff, as a share of the requests in flight.
    pub budget: Percent,
    /// Whether POST and PATCH may be repeated too.
    pub non_idempotent: bool,
}

/// The failures that are repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// The connection could not be established (always safe).
    pub connect: bool,
    /// The connection broke before the first byte of an answer.
    pub reset: bool,
    /// The backend did not answer in time.
    pub timeout: bool,
    /// The backend answered with one of these (only 5xx and 429 are accepted).
    pub statuses: Vec<StatusCode>,
}
