//! `autoscaler`: how many backends an upstream should have, and who makes them.

use std::path::PathBuf;
use std::time::Duration;

use super::engine::Endpoint;
use crate::config::units::{Percent, Secret};

/// Keeps upstreams at the size that their load needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaler {
    /// From one decision to the next.
    pub interval: Duration,
    /// Whether decisions are only told, and nothing is done.
    pub dry_run: bool,
    /// Changes of size, over all targets; beyond it the size is held.
    pub max_actions_per_hour: u32,
    /// Where queries go, and the history that forecasts begin with comes from; `None` where no signal
    /// needs it and forecasts begin with nothing.
    pub prometheus: Option<Prometheus>,
    /// One for each upstream that is scaled, sorted by its name.
    pub targets: Vec<ScaleTarget>,
}

/// A Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// `http://` or `https://`, host, port and perhaps a path, without a slash at the end.
    pub url: String,
    /// For one query, from connecting to the last byte; at most the autoscaler's `interval`.
    pub timeout: Duration,
    /// Bearer token.
    pub token: Option<Secret>,
}

/// An upstream that is scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleTarget {
    /// Its name; there is such an upstream, and it has discovery, which keeps at least `max`
    /// backends.
    pub upstream: String,
    /// Never fewer; at least 1.
    pub min: u32,
    /// Never more; at least `min`.
    pub max: u32,
    /// What its load is told by; the largest recommendation wins. Never empty, names are unique.
    pub signals: Vec<Signal>,
    /// A recommendation that differs less from the present size changes nothing.
    pub tolerance: Percent,
    /// How fast it grows.
    pub up: Steps,
    /// How fast it shrinks.
    pub down: Steps,
    /// After an action nothing is done for so long.
    pub cooldown: Duration,
    /// What a new backend takes to serve: how far the forecast looks ahead.
    pub provisioning: Duration,
    /// How long a backend may take to finish what it has before it is stopped.
    pub drain_timeout: Duration,
    /// `None` turns it off.
    pub forecast: Option<Forecast>,
    /// Who makes backends and ends them.
    pub driver: Driver,
}

/// A measure of load.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The kind's name, or the one that was given; never `forecast`.
    pub name: String,
    /// What is measured.
    pub kind: SignalKind,
    /// Grows above this share of a full backend.
    pub up: f64,
    /// Shrinks below it; less than `up`.
    pub down: f64,
    /// The share that the new size should bring; between `down` and `up`.
    pub target: f64,
}

/// What a signal measures, with the value at which a backend is full.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalKind {
    /// Processor time against its limit; `None` asks for the containers of the upstream as cAdvisor
    /// tells them. A query answers with one sample for each backend, 1 is full.
    Cpu {
        /// `PromQL`.
        query: Option<String>,
    },
    /// Anything that Prometheus knows.
    Query {
        /// `PromQL`; one sample for each backend.
        query: String,
        /// A full backend's value.
        full: f64,
    },
    /// Requests per second and backend.
    Requests {
        /// A full backend's value.
        full: f64,
    },
    /// Requests under way per backend.
    InFlight {
        /// A full backend's value.
        full: f64,
    },
    /// Requests that wait for a slot, per backend.
    Queue {
        /// A full backend's value.
        full: f64,
    },
    /// The time that 95 % of the requests do not exceed.
    P95 {
        /// A full backend's value.
        full: Duration,
    },
}

/// How fast a size may change, and how long it is waited before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The most cautious recommendation of so long counts: the smallest one for growing, the largest
    /// one for shrinking.
    pub window: Duration,
    /// At most so many hundredths of the size per period, or `backends` where that is more; not both
    /// are 0.
    pub percent: u32,
    /// See `percent`.
    pub backends: u32,
    /// What the limits are for.
    pub period: Duration,
}

/// Looking ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// What becomes of it.
    pub mode: ForecastMode,
    /// The mean absolute error, as a share, below which `auto` trusts it.
    pub max_error: Percent,
    /// How long a season is, after which load repeats itself; at least four intervals.
    pub season: Duration,
}

/// What becomes of a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForecastMode {
    /// It is only shown.
    Observe,
    /// It is shown until its error is small enough, and counts from then on.
    Auto,
    /// It counts.
    Enforce,
}

/// Who makes backends and ends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Containers of a compose service.
    Docker {
        /// Where the Engine's API is.
        endpoint: Endpoint,
        /// The compose project; `None` is the only one that has the service.
        project: Option<String>,
        /// The service in the compose file.
        service: String,
    },
    /// A service of a Docker swarm.
    Swarm {
        /// Where the Engine's API is.
        endpoint: Endpoint,
        /// The service's name.
        service: String,
    },
    /// Tells an address the size that is wanted.
    Webhook {
        /// `http://` or `https://`.
        url: String,
        /// Signs the body, HMAC-SHA256.
        secret: Secret,
        /// For one call.
        timeout: Duration,
    },
    /// Runs a program with the size that is wanted.
    Exec {
        /// An absolute path.
        program: PathBuf,
        /// What comes before the size.
        arguments: Vec<String>,
        /// After this it is ended.
        timeout: Duration,
    },
}
