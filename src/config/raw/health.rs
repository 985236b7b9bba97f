//! `upstreams.*.health`: how backends are found well or ill, and what follows.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::{
    Authority, DurationText, HeaderValueText, PercentText, StatusRange, Target,
};

/// How an upstream learns about its backends, and what follows from it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    /// Checks of Evenkeel's own; `null` is off and leaves the judgement to the traffic. `{}` turns
    /// them on.
    pub(crate) active: Option<ActiveCheck>,
    /// What failed requests say; `null` is off, connections that are refused excepted.
    pub(crate) passive: Option<Passive>,
    /// Backends that answer slower than the others; `null` is off.
    pub(crate) outlier: Option<Outlier>,
    /// How long a backend is taken out, and how many may be.
    pub(crate) ejection: Ejection,
    /// What a backend counts as before its first active check has passed. Goes with `active`:
    /// without checks, every backend counts as up.
    #[schemars(with = "Initial", extend("default" = "down"))]
    pub(crate) initial: Option<Initial>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            active: None,
            passive: Some(Passive::default()),
            outlier: Some(Outlier::default()),
            ejection: Ejection::default(),
            initial: None,
        }
    }
}

/// What a backend counts as before its first check has passed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Initial {
    Down,
    Up,
}

/// Checks made at an interval.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ActiveCheck {
    /// What is asked: `http` is a GET; `tcp` a connection, with a TLS handshake where `tls` is
    /// enabled; `grpc` the call `grpc.health.v1.Health/Check`.
    #[serde(rename = "type")]
    #[schemars(with = "CheckKind", extend("default" = "http"))]
    pub(crate) kind: Option<CheckKind>,
    /// Path and query of the GET; `http` only.
    pub(crate) path: Written<Target>,
    /// The `Host` sent; `null` is that of the backend's address; `http` only.
    pub(crate) host: Option<Written<Authority>>,
    /// Further headers; `http` only.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"type": "string", "format": "header-name"}))]
    pub(crate) headers: BTreeMap<String, Written<HeaderValueText>>,
    /// Statuses that pass: one, a range, or a list of them; `http` only.
    pub(crate) expect: Expect,
    /// Text that the first 64 KiB of the body must contain; `http` only.
    #[schemars(length(max = 1024))]
    pub(crate) body: Option<String>,
    /// The service asked for, empty for the whole server; `grpc` only.
    #[schemars(length(max = 256))]
    pub(crate) service: String,
    /// Port to ask on; `null` is the backend's own.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) port: Option<u16>,
    /// Time between the starts of two checks of a backend.
    #[schemars(with = "Written<DurationText>", extend("default" = "5s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) interval: Option<Written<DurationText>>,
    /// Limit for a whole check, from connecting to the last byte; not longer than `interval`, which
    /// is the default where it is shorter.
    #[schemars(with = "Written<DurationText>", extend("default" = "2s", "x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub(crate) timeout: Option<Written<DurationText>>,
    /// Passing checks in a row that bring a backend up.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) rise: u32,
    /// Failing checks in a row that take it down. A refused connection needs no second.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) fall: u32,
    /// Share of `interval` by which each one is longer or shorter, at random.
    #[schemars(extend("x-minimum" = "0%", "x-maximum" = "50%"))]
    pub(crate) jitter: Written<PercentText>,
    /// Checks of this upstream under way at a time.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) concurrency: u32,
}

impl Default for ActiveCheck {
    fn default() -> Self {
        Self {
            kind: None,
            path: Written::of("/health"),
            host: None,
            headers: BTreeMap::new(),
            expect: Expect::Range(Written::of("200-399")),
            body: None,
            service: String::new(),
            port: None,
            interval: None,
            timeout: None,
            rise: 2,
            fall: 3,
            jitter: Written::of("10%"),
            concurrency: 64,
        }
    }
}

/// What a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum CheckKind {
    Http,
    Tcp,
    Grpc,
}

/// Statuses that pass.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Expect {
    Status(#[schemars(schema_with = "status")] u16),
    Range(Written<StatusRange>),
    List(#[schemars(length(min = 1, max = 32))] Vec<ExpectItem>),
}

/// One of several statuses or ranges that pass.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum ExpectItem {
    Status(#[schemars(schema_with = "status")] u16),
    Range(Written<StatusRange>),
}

fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 200, "maximum": 599 })
}

/// What failed requests say about a backend. Answers 500 to 599, timeouts and broken connections
/// are failures; what a client did wrong is not.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Passive {
    /// Failures in a row that eject; 0 is off.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) consecutive_failures: u32,
    /// Share of failures in `window` that ejects.
    #[schemars(extend("x-minimum" = "1%", "x-maximum" = "100%"))]
    pub(crate) failure_ratio: Written<PercentText>,
    /// How far back `failure_ratio` looks.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10m"))]
    pub(crate) window: Written<DurationText>,
    /// Requests in `window` below which `failure_ratio` says nothing.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) min_requests: u32,
}

impl Default for Passive {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_ratio: Written::of("50%"),
            window: Written::of("10s"),
            min_requests: 20,
        }
    }
}

/// When a backend is slower than the others: by `deviations`, by `ratio` and by `floor`, all of
/// them, in `windows` windows in a row.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Outlier {
    /// `enforce` takes the share away and then ejects; `observe` only reports what `enforce` would
    /// have done; `off`.
    pub(crate) mode: OutlierMode,
    /// Standard deviations of the others' mean times above their mean. With one other backend,
    /// `ratio` alone decides.
    #[schemars(range(min = 0, max = 10), extend("default" = 2))]
    pub(crate) deviations: f64,
    /// Times the median of the others.
    #[schemars(range(min = 1.05, max = 100))]
    pub(crate) ratio: f64,
    /// A faster backend is never an outlier.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1m"))]
    pub(crate) floor: Written<DurationText>,
    /// Requests in a window below which it says nothing about a backend.
    #[schemars(range(min = 2, max = 100_000))]
    pub(crate) min_requests: u32,
    /// Windows in a row that eject; the first one cuts the share.
    #[schemars(range(min = 1, max = 20))]
    pub(crate) windows: u32,
    /// Length of a window.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub(crate) window: Written<DurationText>,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            mode: OutlierMode::Enforce,
            deviations: 2.0,
            ratio: 1.5,
            floor: Written::of("5ms"),
            min_requests: 20,
            windows: 3,
            window: Written::of("2s"),
        }
    }
}

/// What follows when a backend is slower than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum OutlierMode {
    Enforce,
    Observe,
    Off,
}

/// How long a backend is taken out, and how many may be.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ejection {
    /// How long the first time; twice as long the second time in a row, three times the third.
    #[schemars(with = "Written<DurationText>", extend("default" = "30s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) base: Option<Written<DurationText>>,
    /// No ejection is longer; not shorter than `base`, which is the default where it is longer.
    #[schemars(with = "Written<DurationText>", extend("default" = "300s", "x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub(crate) max: Option<Written<DurationText>>,
    /// Share of the backends that may be ejected at a time. Of two or more, one always may.
    #[schemars(extend("x-minimum" = "1%", "x-maximum" = "100%"))]
    pub(crate) max_ejected: Written<PercentText>,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            base: None,
            max: None,
            max_ejected: Written::of("50%"),
        }
    }
}
