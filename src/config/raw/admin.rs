//! `admin`: the admin API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::{BearerToken, SocketAddress};

/// The admin API.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Address to bind. Other than a loopback address, it needs a `token`.
    pub(crate) address: Written<SocketAddress>,
    /// Bearer token that every call must carry; `null` asks for none.
    pub(crate) token: Option<Written<BearerToken>>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: Written::of("127.0.0.1:9901"),
            token: None,
        }
    }
}

impl Admin {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the key is on where the file does not say null"
    )]
    pub(super) fn on() -> Option<Self> {
        Some(Self::default())
    }
}
