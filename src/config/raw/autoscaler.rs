//! `autoscaler`: how many backends upstreams should have, and who makes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine::EngineTls;
use super::written::Written;
use crate::config::format::{
    BaseUrl, BearerToken, DurationText, EngineAddress, FilePath, HttpUrl, Name, PercentText,
    SigningSecret,
};

/// Keeps upstreams at the size that their load needs.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["targets"]))]
pub(crate) struct Autoscaler {
    /// From one decision to the next.
    #[schemars(with = "Written<DurationText>", extend("default" = "15s", "x-minimum" = "1s", "x-maximum" = "10m"))]
    pub(crate) interval: Option<Written<DurationText>>,
    /// Whether decisions are only told, and nothing is done. It is so until this is `false`.
    pub(crate) dry_run: bool,
    /// Changes of size in an hour, over all targets; beyond it sizes are held.
    #[schemars(range(min = 1, max = 3600))]
    pub(crate) max_actions_per_hour: u32,
    /// Where the signals `cpu` and `query` are asked for, and what forecasts begin with; `null` is
    /// nowhere.
    pub(crate) prometheus: Option<Prometheus>,
    /// The upstreams that are scaled; the others keep the backends they have.
    #[schemars(length(min = 1, max = 100))]
    pub(crate) targets: Vec<ScaleTarget>,
}

impl Default for Autoscaler {
    fn default() -> Self {
        Self {
            interval: None,
            dry_run: true,
            max_actions_per_hour: 60,
            prometheus: None,
            targets: Vec::new(),
        }
    }
}

/// A Prometheus server, or what speaks its API.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Prometheus {
    /// Where it is, without `/api/v1`.
    #[schemars(required)]
    pub(crate) url: Option<Written<BaseUrl>>,
    /// For one query, from connecting to the last byte; not longer than `interval`, which is the
    /// default where it is shorter.
    #[schemars(with = "Written<DurationText>", extend("default" = "5s", "x-minimum" = "100ms", "x-maximum" = "1m"))]
    pub(crate) timeout: Option<Written<DurationText>>,
    /// Bearer token that a query carries; `null` is none.
    pub(crate) token: Option<Written<BearerToken>>,
}

/// An upstream that is scaled.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["upstream", "max", "signals", "driver"]))]
pub(crate) struct ScaleTarget {
    /// Its name. It has `discovery`, which finds the backends that are made, and, where the driver is
    /// `docker`, active checks.
    #[schemars(required)]
    pub(crate) upstream: Option<Written<Name>>,
    /// Never fewer backends.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) min: u32,
    /// Never more backends; not less than `min`, and not more than `discovery` keeps.
    #[schemars(required, range(min = 1, max = 10_000))]
    pub(crate) max: Option<u32>,
    /// What the load is told by. Of what they recommend, the largest size wins.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) signals: Vec<Signal>,
    /// A size that differs from the present one by less than this share is not worth a change.
    #[schemars(extend("x-minimum" = "0%", "x-maximum" = "50%"))]
    pub(crate) tolerance: Written<PercentText>,
    /// How fast it grows.
    pub(crate) up: ScaleUp,
    /// How fast it shrinks.
    pub(crate) down: ScaleDown,
    /// After a change nothing more is done for so long.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(crate) cooldown: Written<DurationText>,
    /// What a new backend takes until it serves: how far the forecast looks ahead.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) provisioning: Written<DurationText>,
    /// How long a backend may take to finish what it has before it is stopped.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(crate) drain_timeout: Written<DurationText>,
    /// Looking ahead; `null` turns it off. A forecast only ever makes a pool larger.
    #[serde(default = "Forecast::on")]
    pub(crate) forecast: Option<Forecast>,
    /// Who makes backends and ends them.
    #[schemars(required)]
    pub(crate) driver: Option<Driver>,
}

impl Default for ScaleTarget {
    fn default() -> Self {
        Self {
            upstream: None,
            min: 1,
            max: None,
            signals: Vec::new(),
            tolerance: Written::of("10%"),
            up: ScaleUp::default(),
            down: ScaleDown::default(),
            cooldown: Written::of("15s"),
            provisioning: Written::of("30s"),
            drain_timeout: Written::of("30s"),
            forecast: Forecast::on(),
            driver: None,
        }
    }
}

/// A measure of load. The size changes where the share of a full backend's value that the backends
/// have on average leaves the band from `down` to `up`, and to the one that brings it to `target`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type"]))]
pub(crate) struct Signal {
    /// `cpu`: processor time against its limit, as cAdvisor tells it; `query`: anything that
    /// Prometheus knows; and what Evenkeel sees itself: `requests` a second, requests `in_flight`,
    /// the `queue` of those that wait, each per backend, and `p95`, the time that 95 % of them do
    /// not exceed.
    #[serde(rename = "type")]
    #[schemars(required)]
    pub(crate) kind: Option<SignalKind>,
    /// What it is called, other than `forecast`; unique in the target. `null` is the type's name.
    pub(crate) name: Option<Written<Name>>,
    /// `PromQL` that answers with one sample for each backend. `query` needs it; for `cpu` a full
    /// backend's value is 1, and `null` is the containers with the label `evenkeel.upstream=NAME`.
    #[schemars(length(max = 4096))]
    pub(crate) query: Option<String>,
    /// A full backend's value: a duration for `p95`, a number for the others; not for `cpu`.
    pub(crate) full: Option<Full>,
    /// Above this share it grows.
    #[schemars(with = "Written<PercentText>", extend("default" = "70%", "x-minimum" = "1%", "x-maximum" = "100%"))]
    pub(crate) up: Option<Written<PercentText>>,
    /// Below this share it shrinks, with `0%` never; less than `up`.
    #[schemars(with = "Written<PercentText>", extend("default" = "30%", "x-minimum" = "0%", "x-maximum" = "99%"))]
    pub(crate) down: Option<Written<PercentText>>,
    /// The share that the new size brings, from `down` to `up`; by default the middle of them.
    #[schemars(with = "Written<PercentText>", extend("default" = "50%", "x-minimum" = "1%", "x-maximum" = "100%"))]
    pub(crate) target: Option<Written<PercentText>>,
}

/// A kind of signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SignalKind {
    Cpu,
    Query,
    Requests,
    InFlight,
    Queue,
    P95,
}

/// The value at which a backend is full.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Full {
    Amount(#[schemars(range(min = 0.001, max = 1_000_000_000_000_i64))] f64),
    Time(#[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10m"))] Written<DurationText>),
}

/// How fast an upstream grows.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScaleUp {
    /// The smallest size that was recommended for so long counts.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(crate) window: Written<DurationText>,
    /// At most so many hundredths of the size more in a `period`, or `backends` where that is more.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) percent: u32,
    /// At most so many backends more in a `period`, or `percent` where that is more.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) backends: u32,
    /// What the two limits are for.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) period: Written<DurationText>,
}

impl Default for ScaleUp {
    fn default() -> Self {
        Self {
            window: Written::of("0s"),
            percent: 100,
            backends: 4,
            period: Written::of("15s"),
        }
    }
}

/// How fast an upstream shrinks.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScaleDown {
    /// The largest size that was recommended for so long counts.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(crate) window: Written<DurationText>,
    /// At most so many hundredths of the size less in a `period`, or `backends` where that is more.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) percent: u32,
    /// At most so many backends less in a `period`, or `percent` where that is more.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) backends: u32,
    /// What the two limits are for.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) period: Written<DurationText>,
}

impl Default for ScaleDown {
    fn default() -> Self {
        Self {
            window: Written::of("300s"),
            percent: 50,
            backends: 1,
            period: Written::of("60s"),
        }
    }
}

/// Looking ahead by what a new backend takes to serve.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Forecast {
    /// `observe` only shows it; `auto` shows it, and lets it count while its measured error is
    /// below `max_error`; `enforce` lets it count.
    pub(crate) mode: ForecastMode,
    /// The mean absolute error, as a share of what was needed, below which `auto` trusts it.
    #[schemars(extend("x-minimum" = "1%", "x-maximum" = "100%"))]
    pub(crate) max_error: Written<PercentText>,
    /// After so long load repeats itself; at least four times the `interval`.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "14d"))]
    pub(crate) season: Written<DurationText>,
}

impl Default for Forecast {
    fn default() -> Self {
        Self {
            mode: ForecastMode::Auto,
            max_error: Written::of("15%"),
            season: Written::of("24h"),
        }
    }
}

impl Forecast {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the key is on where the file does not say null"
    )]
    fn on() -> Option<Self> {
        Some(Self::default())
    }
}

/// What becomes of a forecast.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum ForecastMode {
    Observe,
    Auto,
    Enforce,
}

/// Who makes backends and ends them.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type"]))]
pub(crate) struct Driver {
    /// `docker`: containers of a compose service; `swarm`: the replicas of a service; `webhook`: a
    /// signed POST of the size that is wanted; `exec`: a program that is given it.
    #[serde(rename = "type")]
    #[schemars(required)]
    pub(crate) kind: Option<DriverKind>,
    /// Where the Engine's API is; `docker` and `swarm` only. Whoever reaches it is root on that
    /// machine: let it be a proxy that passes no more than what is needed.
    #[schemars(with = "Written<EngineAddress>", extend("default" = "unix:///var/run/docker.sock"))]
    pub(crate) endpoint: Option<Written<EngineAddress>>,
    /// TLS to the Engine; `null` is none; `docker` and `swarm` only.
    pub(crate) tls: Option<EngineTls>,
    /// The service in the compose file, or of the swarm; `docker` and `swarm` need it.
    pub(crate) service: Option<Written<Name>>,
    /// The compose project; `null` is the only one that has the service; `docker` only.
    pub(crate) project: Option<Written<Name>>,
    /// Where the size is posted; `webhook` needs it.
    pub(crate) url: Option<Written<HttpUrl>>,
    /// Signs what is posted (HMAC-SHA256), so that nobody else's word counts; `webhook` needs it.
    pub(crate) secret: Option<Written<SigningSecret>>,
    /// Must be `true` for `exec`: whoever can change this file can then run any program as the user
    /// that Evenkeel runs as.
    #[schemars(with = "bool", extend("default" = false))]
    pub(crate) allow_exec: Option<bool>,
    /// The program's absolute path; no shell is involved; `exec` needs it.
    pub(crate) program: Option<Written<FilePath>>,
    /// What the program is given before the size; `exec` only.
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub(crate) arguments: Vec<String>,
    /// For one call or run, after which it is ended; `webhook` and `exec` only.
    #[schemars(with = "Written<DurationText>", extend("default" = "10s", "x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub(crate) timeout: Option<Written<DurationText>>,
}

/// A kind of driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum DriverKind {
    Docker,
    Swarm,
    Webhook,
    Exec,
}
