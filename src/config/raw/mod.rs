//! The configuration as written: the keys of the file, their forms, bounds and defaults.
//!
//! These types are the one source of the JSON Schema, of `docs/configuration.md`
//! and of the defaults. What a form allows is in [`format`](super::format);
//! what keys mean together is checked by the conversion.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use admin::Admin;
pub(crate) use autoscaler::{
    Autoscaler, Driver, DriverKind, Forecast, ForecastMode, Full, Prometheus, ScaleTarget, Signal,
    SignalKind,
};
pub(crate) use discovery::{Source, SourceKind, Sources};
pub(crate) use engine::EngineTls;
pub(crate) use health::{
    ActiveCheck, CheckKind, Ejection, Expect, ExpectItem, Health, Initial, Outlier, OutlierMode,
    Passive,
};
pub(crate) use identity::ClientCert;
pub(crate) use listener::{IpLimit, Listener};
pub(crate) use observe::{AccessLog, LogFormat, Metrics};
pub(crate) use route::{
    HeaderEdits, Match, PathMatch, Redirect, Respond, Retry, RetryCondition, RetryWord, Rewrite,
    Route, Split, ValueMatch, ValueTest,
};
pub(crate) use server::{Auto, Server, Workers};
pub(crate) use targets::{Entry, Item};
pub(crate) use upstream::{
    AlgorithmName, Backend, HashKey, HashPart, HashWord, Protocol, SecureCookie, Sticky, Tls,
    Upstream,
};

pub(crate) use written::Written;

mod admin;
mod autoscaler;
mod discovery;
mod engine;
mod health;
mod identity;
mod listener;
mod observe;
mod route;
mod server;
mod targets;
mod upstream;
mod written;

/// The configuration of Evenkeel.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["listeners", "routes", "upstreams"]))]
pub(crate) struct Config {
    /// Process-wide settings.
    pub(crate) server: Server,
    /// Sockets that accept traffic.
    #[schemars(length(min = 1, max = 32))]
    pub(crate) listeners: Vec<Listener>,
    /// Rules that say where requests go. Of the routes that match, the one with the most specific
    /// host wins, then the longest path, then the most conditions; the order here breaks ties.
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) routes: Vec<Route>,
    /// Groups of backends by name.
    #[schemars(extend("maxProperties" = 10_000, "propertyNames" = {"type": "string", "format": "name"}))]
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    /// The Prometheus endpoint, `GET /metrics`; `null` turns it off.
    #[serde(default = "Metrics::on")]
    pub(crate) metrics: Option<Metrics>,
    /// The access log; `null` turns it off.
    #[serde(default = "AccessLog::on")]
    pub(crate) access_log: Option<AccessLog>,
    /// The admin API; `null` turns it off.
    #[serde(default = "Admin::on")]
    pub(crate) admin: Option<Admin>,
    /// The autoscaler, which gives upstreams the backends that their load needs; `null` is off.
    pub(crate) autoscaler: Option<Autoscaler>,
}
