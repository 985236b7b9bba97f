//! How a Docker Engine is reached.

use std::path::PathBuf;

use super::identity::ClientCert;

/// Where a Docker Engine's API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `host:port`, without TLS.
    Tcp(String),
    /// `host:port`, with TLS.
    Tls(String, EngineTls),
}

/// TLS to a Docker Engine, whose certificate and name are always verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineTls {
    /// Name that is sent and verified; `None` is the host of the address.
    pub sni: Option<String>,
    /// PEM file with the authorities to trust, and no others; `None` is the system's.
    pub ca: Option<PathBuf>,
    /// Shown to the Engine.
    pub client_cert: Option<ClientCert>,
}
