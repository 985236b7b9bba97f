//! The configuration as run: every default filled in, every name resolved.
//!
//! A value of these types is valid by construction: only the conversion from
//! the file as written makes them, so nothing that runs has to check again.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use autoscaler::{
    Autoscaler, Driver, Forecast, ForecastMode, Prometheus, ScaleTarget, Signal, SignalKind, Steps,
};
pub use discovery::{Discovery, DnsSource, DockerSource, FileSource, Source, SourceKind};
pub use engine::{Endpoint, EngineTls};
pub use health::{ActiveCheck, Ejection, Health, HttpProbe, Outlier, Passive, Probe};
pub use identity::ClientCert;
pub use route::{
    Action, HeaderEdits, HostPattern, Match, PathPattern, RedirectTarget, Retry, RetryOn, Rewrite,
    Route, Split, ValuePattern,
};
pub use upstream::{
    Backend, HashKey, Protocol, Queue, SecureCookie, Sticky, Timeouts, Upstream, UpstreamTls,
};

use super::units::{Percent, Secret};

mod autoscaler;
mod discovery;
mod engine;
mod health;
mod identity;
mod route;
mod upstream;

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
    /// The admin API; `None` turns it off.
    pub admin: Option<Admin>,
    /// Keeps upstreams at the size that their load needs; `None` turns it off.
    pub autoscaler: Option<Autoscaler>,
}

/// The admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Address to bind; a loopback address where there is no token.
    pub address: SocketAddr,
    /// Bearer token that every call must carry; `None` asks for none.
    pub token: Option<Secret>,
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
