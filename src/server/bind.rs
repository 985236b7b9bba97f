//! Addresses: whether they are free, and where two processes meet to hand them over.
//!
//! Pingora binds inside its services, where a failure leaves a process that
//! runs without the listener. Binding each address once before anything starts
//! turns that into a clear end.

use std::hash::Hasher;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use tokio::net::TcpSocket;
use xxhash_rust::xxh3::Xxh3;

use super::error::StartError;
use crate::config::Config;

/// Connections the system may hold for the metrics endpoint, and for the admin API.
const BACKLOG: u32 = 256;

/// Binds every address once, and lets go of it again.
pub(super) fn check(config: &Config) -> Result<(), StartError> {
    let listeners = config
        .listeners
        .iter()
        .map(|listener| (format!("listener `{}`", listener.name), listener.address));
    let metrics = config
        .metrics
        .iter()
        .map(|metrics| ("metrics".to_owned(), metrics.address));
    let admin = config
        .admin
        .iter()
        .map(|admin| ("admin".to_owned(), admin.address));
    // All are held until the last: two that want the same address must not both find it free.
    let mut held = Vec::new();
    for (what, address) in listeners.chain(metrics).chain(admin) {
        // The standard library sets SO_REUSEADDR, so connections in TIME_WAIT do not count.
        let listener = TcpListener::bind(address).map_err(|source| StartError::Bind {
            what,
            address,
            source,
        })?;
        held.push(listener);
    }
    Ok(())
}

/// A socket beside which another process may listen on the same address, as one
/// does while it takes over.
pub(super) fn shared(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The path both processes derive from the same configuration file, or without one from the same
/// listeners: an upgrade is the way to other listeners, so where there is a choice they do not count.
pub(super) fn upgrade_socket(config: &Config, file: Option<&Path>) -> PathBuf {
    let mut hash = Xxh3::new();
    match file.and_then(|file| file.canonicalize().ok()) {
        Some(file) => hash.write(file.as_os_str().as_encoded_bytes()),
        None => {
            for listener in &config.listeners {
                hash.write(listener.address.to_string().as_bytes());
            }
        }
    }
    let directory =
        std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    directory.join(format!("evenkeel-{:016x}.sock", hash.finish()))
}
