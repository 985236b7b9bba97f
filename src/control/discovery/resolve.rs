//! From the names in the configuration to addresses.
//!
//! A backend given by address is taken as it is; one given by name is looked up
//! when the configuration is loaded, and each of its addresses becomes a
//! backend of its own, for as long as that configuration is in force. The look-up
//! is a `ServiceDiscovery`, Pingora's interface for where backends come from. A
//! name whose addresses change belongs in `discovery`, see [`dns`](super::dns).

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use async_trait::async_trait;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::{Error, ErrorType};
use pingora_load_balancing::Backend;
use pingora_load_balancing::discovery::ServiceDiscovery;

use crate::config;
use crate::upstream::Resolved;

/// A `host:port` as a source of addresses.
struct Named<'a>(&'a str);

#[async_trait]
impl ServiceDiscovery for Named<'_> {
    async fn discover(&self) -> pingora_core::Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let found = tokio::net::lookup_host(self.0).await.map_err(|error| {
            Error::because(
                ErrorType::ConnectNoRoute,
                "looking up a backend's name",
                error,
            )
        })?;
        let backend = |address: SocketAddr| Backend {
            addr: PingoraAddr::Inet(address),
            weight: 1,
            ext: pingora_load_balancing::Extensions::new(),
        };
        Ok((found.map(backend).collect(), HashMap::new()))
    }
}

/// A backend's name has no address.
#[derive(Debug, thiserror::Error)]
#[error("upstream `{upstream}`: cannot look up backend `{backend}`: {reason}")]
pub struct ResolveError {
    upstream: String,
    backend: String,
    reason: String,
}

/// The addresses of every upstream's backends, in the configuration's order.
pub async fn resolve(upstreams: &[config::Upstream]) -> Result<Vec<Vec<Resolved>>, ResolveError> {
    let mut all = Vec::with_capacity(upstreams.len());
    for upstream in upstreams {
        let mut resolved = Vec::with_capacity(upstream.backends.len());
        for backend in &upstream.backends {
            let addresses = look_up(&backend.address)
                .await
                .map_err(|reason| ResolveError {
                    upstream: upstream.name.clone(),
                    backend: backend.address.clone(),
                    reason,
                })?;
            let several = addresses.len() > 1;
            resolved.extend(addresses.into_iter().map(|address| Resolved {
                address,
                name: if several {
                    address.to_string()
                } else {
                    backend.address.clone()
                },
                backend: backend.clone(),
            }));
        }
        all.push(resolved);
    }
    Ok(all)
}

/// The addresses of a `host:port`, at least one.
pub(in crate::control) async fn look_up(address: &str) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let (found, _) = Named(address)
        .discover()
        .await
        .map_err(|error| error.root_cause().to_string())?;
    let addresses: Vec<SocketAddr> = found
        .iter()
        .filter_map(|backend| backend.addr.as_inet().copied())
        .collect();
    if addresses.is_empty() {
        return Err("the name has no address".to_owned());
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_taken_as_it_is() {
        let found = look_up("[::1]:80").await;
        assert_eq!(found, Ok(vec!["[::1]:80".parse().expect("valid")]));
    }

    #[tokio::test]
    async fn a_name_is_looked_up() {
        let found = look_up("localhost:81").await.expect("known");
        assert!(found.iter().all(|a| a.ip().is_loopback() && a.port() == 81));
    }

    #[tokio::test]
    async fn an_unknown_name_is_an_error() {
        assert!(look_up("nobody.invalid:80").await.is_err());
    }
}
