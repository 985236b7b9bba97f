//! `server`: process-wide settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::{DurationText, SigningSecret};

/// Process-wide settings.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Threads that proxy traffic; `auto` is one for each processor.
    pub(crate) workers: Workers,
    /// How long requests in flight get after SIGTERM. The process ends as soon as none is left.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(crate) drain_timeout: Written<DurationText>,
    /// Connections from clients over all listeners.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: u32,
    /// Signs sticky cookies, so that they outlive a restart and hold for every instance with the
    /// same secret; `null` makes a random one at each start.
    pub(crate) secret: Option<Written<SigningSecret>>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            workers: Workers::Auto(Auto::Auto),
            drain_timeout: Written::of("30s"),
            max_connections: 20_000,
            secret: None,
        }
    }
}

/// A number of threads.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Workers {
    Auto(Auto),
    Count(#[schemars(range(min = 1, max = 1024))] u32),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Auto {
    Auto,
}
