//! A backend as one upstream uses it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::endpoint::Endpoint;
use crate::config;

/// An address and the configured backend it was resolved from; a name may give several addresses.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The backend's id, a metrics label: `host:port` as configured, or the address where the name
    /// gave several.
    pub name: String,
    /// What was configured.
    pub backend: config::Backend,
}

/// A backend's place in an upstream: live state and configuration.
#[derive(Clone, Debug)]
pub struct Member {
    /// The live state.
    pub endpoint: Arc<Endpoint>,
    /// Share of the traffic in proportion to the others; at least 1.
    pub weight: u32,
    /// Gets requests only when no primary qualifies.
    pub backup: bool,
    /// The configured host where it is a name, for TLS; `None` for an address.
    pub host: Option<String>,
    /// Free text for people and dashboards.
    pub zone: Option<String>,
}

/// The host of a `host:port`, when it is a name.
pub(crate) fn host_name(address: &str) -> Option<String> {
    let (host, _port) = address.rsplit_once(':')?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    (!bare.is_empty() && bare.parse::<IpAddr>().is_err()).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::host_name;

    #[test]
    fn only_names_are_host_names() {
        assert_eq!(
            host_name("api.internal:443").as_deref(),
            Some("api.internal")
        );
        for address in ["10.0.0.1:80", "[::1]:80", ":80", "nothing"] {
            assert_eq!(host_name(address), None);
        }
    }
}
