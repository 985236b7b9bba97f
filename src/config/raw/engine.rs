//! How a Docker Engine is reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::ClientCert;
use super::written::Written;
use crate::config::format::{DnsName, FilePath};

/// TLS to a Docker Engine, whose certificate and name are always verified.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EngineTls {
    /// Name that is sent and verified; `null` is the host of `endpoint`.
    pub(crate) sni: Option<Written<DnsName>>,
    /// PEM file with the authorities to trust, and no others; `null` is the system's.
    pub(crate) ca: Option<Written<FilePath>>,
    /// Certificate and key to show to the Engine.
    pub(crate) client_cert: Option<ClientCert>,
}
