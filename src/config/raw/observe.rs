//! `metrics` and `access_log`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::{BearerToken, LogTarget, PercentText, SocketAddress};

/// The Prometheus endpoint.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Address to bind.
    pub(crate) address: Written<SocketAddress>,
    /// Bearer token that a scrape must carry; `null` asks for none.
    pub(crate) token: Option<Written<BearerToken>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            address: Written::of("0.0.0.0:8000"),
            token: None,
        }
    }
}

impl Metrics {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the key is on where the file does not say null"
    )]
    pub(super) fn on() -> Option<Self> {
        Some(Self::default())
    }
}

/// The access log.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessLog {
    /// Shape of a line.
    pub(crate) format: LogFormat,
    /// Where to: `stdout`, `stderr` or a file, which is reopened when it was moved away.
    pub(crate) path: Written<LogTarget>,
    /// Share of the requests logged. Errors of Evenkeel's and of backends are always logged.
    pub(crate) sample: Written<PercentText>,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            path: Written::of("stdout"),
            sample: Written::of("100%"),
        }
    }
}

impl AccessLog {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the key is on where the file does not say null"
    )]
    pub(super) fn on() -> Option<Self> {
        Some(Self::default())
    }
}

/// Shape of an access log line.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One readable line.
    Text,
}
