//! Upstreams as run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use super::discovery::Discovery;
use super::health::Health;
use super::identity::ClientCert;
use crate::config::algorithm::Choice;
use crate::config::units::Percent;

/// A group of backends that serve the same content.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Unique name, a metrics label.
    pub name: String,
    /// How one of the backends is chosen.
    pub algorithm: Choice,
    /// What `consistent_hash` and `maglev` hash.
    pub hash_key: HashKey,
    /// The backends; addresses are unique; may be empty only where the environment or `discovery` fills them.
    pub backends: Vec<Backend>,
    /// Where further backends come from.
    pub discovery: Discovery,
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
    /// How long a backend that comes back or joins takes to get its full share.
    pub slow_start: Duration,
    /// How the health of the backends is found out.
    pub health: Health,
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
    /// `host:port`, the host in lower case; a name is resolved at the start.
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
