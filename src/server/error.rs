//! Why a process could not start: exit code 2.

use std::io;
use std::net::SocketAddr;

use crate::control::discovery::ResolveError;

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not ours.
    #[error("{what}: cannot listen on {address}: {source}")]
    Bind {
        /// Which part of the configuration wants it.
        what: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A backend's name has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A certificate or key cannot be used.
    #[error("upstream `{upstream}`: {path}: {reason}")]
    Identity {
        /// The upstream.
        upstream: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The access log cannot be opened.
    #[error("access log: {0}")]
    AccessLog(io::Error),
    /// The system gave no runtime.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}
