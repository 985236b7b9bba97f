//! How the health of backends is found out, and what follows from it, as run.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::config::units::Percent;

/// How an upstream learns about its backends.
#[derive(Clone, Debug)]
pub struct Health {
    /// Checks of our own making; `None` relies on traffic alone.
    pub active: Option<ActiveCheck>,
    /// What failed requests say; `None` ignores them, connect failures excepted.
    pub passive: Option<Passive>,
    /// Backends that are slower than their peers; `None` is off.
    pub outlier: Option<Outlier>,
    /// How long a backend is taken out, and how many may be.
    pub ejection: Ejection,
    /// Whether a backend counts as up before its first check has passed.
    pub initially_up: bool,
}

/// Checks made at an interval.
#[derive(Clone, Debug)]
pub struct ActiveCheck {
    /// What is asked.
    pub probe: Probe,
    /// Port to ask on; `None` is the backend's own.
    pub port: Option<u16>,
    /// Time between the starts of two checks of a backend.
    pub interval: Duration,
    /// Limit for a whole check, from connecting to the last byte.
    pub timeout: Duration,
    /// Passing checks in a row that bring a backend up; at least 1.
    pub rise: u32,
    /// Failing checks in a row that take it down; at least 1.
    pub fall: u32,
    /// Each interval is longer or shorter by up to this share of it.
    pub jitter: Percent,
    /// Checks of this upstream under way at a time; at least 1.
    pub concurrency: usize,
}

/// What a check asks.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A GET whose answer is looked at.
    Http(HttpProbe),
    /// A connection, with a TLS handshake where the upstream speaks TLS.
    Tcp,
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// The service asked for; empty is the whole server.
        service: String,
    },
}

/// A GET whose answer is looked at.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    /// Path and query.
    pub path: String,
    /// The `Host` sent; `None` is the backend's.
    pub host: Option<String>,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Statuses that pass; at least one range.
    pub expect: Vec<RangeInclusive<u16>>,
    /// Text that the first 64 KiB of the body must contain.
    pub body: Option<String>,
}

/// What failed requests say about a backend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passive {
    /// Failures in a row that eject; 0 is off.
    pub consecutive_failures: u32,
    /// Share of failures in the window that ejects.
    pub failure_ratio: Percent,
    /// The sliding window of the ratio.
    pub window: Duration,
    /// Requests in the window below which the ratio says nothing.
    pub min_requests: u32,
}

/// When a backend is slower than its peers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Whether anything follows; if not, it is only reported.
    pub enforce: bool,
    /// Standard deviations of the others above the mean of the others.
    pub deviations: f64,
    /// And times the median of the others; above 1.
    pub ratio: f64,
    /// And slower than this.
    pub floor: Duration,
    /// Requests in a window below which it says nothing.
    pub min_requests: u32,
    /// Windows in a row that eject; the first one cuts the share.
    pub windows: u32,
    /// Length of a window.
    pub window: Duration,
}

/// How long a backend is taken out, and how many may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    /// Multiplied by how often it was ejected in a row.
    pub base: Duration,
    /// No ejection is longer.
    pub max: Duration,
    /// Share of the backends that may be ejected at a time; of two or more, one always may.
    pub max_ejected: Percent,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            active: None,
            passive: Some(Passive::default()),
            outlier: Some(Outlier::default()),
            ejection: Ejection::default(),
            initially_up: false,
        }
    }
}

impl Default for Passive {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_ratio: Percent::HALF,
            window: Duration::from_secs(10),
            min_requests: 20,
        }
    }
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            enforce: true,
            deviations: 2.0,
            ratio: 1.5,
            floor: Duration::from_millis(5),
            min_requests: 20,
            windows: 3,
            window: Duration::from_secs(2),
        }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(30),
            max: Duration::from_mins(5),
            max_ejected: Percent::HALF,
        }
    }
}
