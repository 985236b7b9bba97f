//! A file of backends, as `discovery: { type: file }` reads it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::BackendAddress;

/// One element of the list.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Item {
    Address(Written<BackendAddress>),
    Entry(Entry),
}

/// A backend, or several with the same settings: exactly one of `address` and `targets`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["address"]}, {"required": ["targets"]}]))]
pub(crate) struct Entry {
    /// `HOST:PORT`.
    #[schemars(required)]
    pub(crate) address: Option<Written<BackendAddress>>,
    /// Several of them, as Prometheus has it.
    #[schemars(required, length(max = 10_000))]
    pub(crate) targets: Option<Vec<Written<BackendAddress>>>,
    /// Share of the traffic in proportion to the others.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) weight: Option<u32>,
    /// Gets requests only when no other backend qualifies.
    pub(crate) backup: Option<bool>,
    /// Free text for people and dashboards.
    #[schemars(length(max = 256))]
    pub(crate) zone: Option<String>,
    /// Free labels for people and dashboards.
    #[schemars(extend("maxProperties" = 64))]
    pub(crate) labels: BTreeMap<String, String>,
}
