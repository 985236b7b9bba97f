//! What is shown to the other side of TLS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::FilePath;

/// Certificate and key for mutual TLS.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert", "key"]))]
pub(crate) struct ClientCert {
    /// PEM file with the certificate chain.
    #[schemars(required)]
    pub(crate) cert: Option<Written<FilePath>>,
    /// PEM file with the private key.
    #[schemars(required)]
    pub(crate) key: Option<Written<FilePath>>,
}
