//! The configuration as run: every default filled in, every name resolved.
//!
//! A value of these types is valid by construction. The file as written is
//! [`raw`]; [`load`] turns one into the other and reports every error at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use regex::Regex;

pub use algorithm::Algorithm;
pub use units::{Percent, Secret};

mod algorithm;
mod units;

/// Everything Evenkeel runs by.
#[derive(Clone, Debug)]
pub struct Config {
    /// Process-wide settings.
    pub server: Server,
    /// Sockets that accept traffic, in the order of the file; names are unique.
    pub listeners: Vec<Listener>,
    /// Routes in the order of the file; names are unique.
    pub routes: Vec<Route>,
    /// Groups of backends, sorted by name.
    pub upstreams: Vec<Upstream>,
    /// The Prometheus endpoint; `None` turns it off.
    pub metrics: Option<Metrics>,
    /// The access log; `None` turns it off.
    pub access_log: Option<AccessLog>,
}

/// Process-wide settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Threads that proxy traffic.
    pub workers: NonZeroUsize,
    /// How long in-flight requests get after SIGTERM.
    pub drain_timeout: Duration,
    /// Downstream connections over all listeners.
    pub max_connections: usize,
    /// Signs sticky cookies; `None` makes a random one at each start.
    pub secret: Option<Secret>,
}

/// One socket that accepts HTTP traffic.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Unique name, a metrics label.
    pub name: String,
    /// Address to bind.
    pub address: SocketAddr,
    /// How long an idle connection is kept between requests.
    pub keepalive: Duration,
    /// Limit for the whole request header.
    pub header_timeout: Duration,
    /// Limit between two pieces of a request body.
    pub body_timeout: Duration,
    /// Largest request header in bytes.
    pub max_header_bytes: usize,
    /// Largest request body in bytes; `None` is unlimited.
    pub max_body: Option<u64>,
    /// Connections on this listener.
    pub max_connections: usize,
    /// Connections from one client address; `None` is unlimited.
    pub max_connections_per_ip: Option<u32>,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether plaintext HTTP/2 (prior knowledge) is accepted.
    pub h2c: bool,
}

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
    /// Positions of listeners in [`Config::listeners`].
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
    /// Position in [`Config::upstreams`].
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

/// A group of backends that serve the same content.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Unique name, a metrics label.
    pub name: String,
    /// How one of the backends is chosen.
    pub algorithm: Algorithm,
    /// What `consistent_hash` and `maglev` hash.
    pub hash_key: HashKey,
    /// The backends; addresses are unique; may be empty only where the environment fills them.
    pub backends: Vec<Backend>,
    /// Cookie stickiness; `None` is off.
    pub sticky: Option<Sticky>,
    /// Requests in flight to one backend.
    pub max_in_flight_per_backend: u32,
    /// Where requests wait for a slot.
    pub queue: Queue,
    /// Limits on the backend connection.
    pub timeouts: Timeouts,
    /// Idle connections kept to one backend.
    pub max_idle_per_backend: usize,
    /// What is spoken to the backends.
    pub protocol: Protocol,
    /// TLS to the backends; `None` is plaintext.
    pub tls: Option<UpstreamTls>,
    /// With fewer available than this share, health is ignored; 0 answers 503 instead.
    pub panic_threshold: Percent,
}

/// What consistent hashes hash; a request without it is hashed by client address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    #[default]
    ClientIp,
    /// The first value of this header.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(String),
    /// The normalised path.
    Path,
}

/// One backend as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// `host:port`; a name is resolved at the start.
    pub address: String,
    /// Share of the traffic in proportion to the others; 1 to 65,535.
    pub weight: u32,
    /// Gets requests only when no primary qualifies.
    pub backup: bool,
    /// Free text for people and dashboards.
    pub zone: Option<String>,
    /// Free labels for people and dashboards.
    pub labels: BTreeMap<String, String>,
}

/// Cookie stickiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Name of the cookie.
    pub cookie: String,
    /// How long the client stays with its backend without coming back.
    pub ttl: Duration,
    /// When the cookie carries `Secure`.
    pub secure: SecureCookie,
}

/// When the sticky cookie carries `Secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecureCookie {
    /// When the client's connection is TLS, as far as we or a trusted proxy know.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where requests wait for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Requests that may wait; 0 answers 503 at once.
    pub size: usize,
    /// How long one may wait.
    pub timeout: Duration,
}

/// Limits on the backend connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connection, and again the TLS handshake.
    pub connect: Duration,
    /// Between two pieces of the answer, and until its first byte.
    pub read: Duration,
    /// For one write of the request.
    pub write: Duration,
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// How long a connection that switched protocols (WebSocket) may be silent.
    pub tunnel: Duration,
}

/// What is spoken to the backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, over plaintext by prior knowledge.
    Http2,
    /// HTTP/2 where TLS negotiates it, otherwise HTTP/1.1; on plaintext, what the client spoke.
    Auto,
}

/// TLS to the backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Name sent and verified; `None` uses the backend's host, or for an IP address the address itself.
    pub sni: Option<String>,
    /// PEM file with the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Certificate and key shown to the backend.
    pub client_cert: Option<ClientCert>,
    /// Whether certificate and name are verified.
    pub verify: bool,
}

/// Certificate and key for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// The Prometheus endpoint.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Address to bind.
    pub address: SocketAddr,
    /// Bearer token a scrape must carry; `None` asks for none.
    pub token: Option<Secret>,
}

/// The access log.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// One JSON object a line, or one text line in the common log's spirit.
    pub format: LogFormat,
    /// Where to.
    pub path: LogPath,
    /// Share of requests logged; errors of ours and backends' are always logged.
    pub sample: Percent,
}

/// Shape of an access log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// One readable line.
    Text,
}

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogPath {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to this file; reopened when it was moved away.
    File(PathBuf),
}
