//! `listeners`: sockets that accept traffic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::{Cidr, DurationText, Name, SizeLimit, SizeText, SocketAddress};

/// One socket that accepts traffic.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "address"]))]
pub(crate) struct Listener {
    /// Unique name, a metrics label.
    #[schemars(required)]
    pub(crate) name: Option<Written<Name>>,
    /// Address to bind.
    #[schemars(required)]
    pub(crate) address: Option<Written<SocketAddress>>,
    /// What clients speak. `http` is HTTP/1.1 and, with `h2c`, HTTP/2.
    pub(crate) protocol: ListenerProtocol,
    /// How long an idle connection is kept between requests.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(crate) keepalive: Written<DurationText>,
    /// Limit for the whole request header; 408 beyond.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub(crate) header_timeout: Written<DurationText>,
    /// Limit between two pieces of a request body; 408 beyond.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(crate) body_timeout: Written<DurationText>,
    /// Largest request header; 431 beyond.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1MiB"))]
    pub(crate) max_header_bytes: Written<SizeText>,
    /// Largest request body, or `unlimited`; 413 beyond.
    pub(crate) max_body: Written<SizeLimit>,
    /// Connections on this listener.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: u32,
    /// Connections from one client address, or `unlimited`.
    pub(crate) max_connections_per_ip: IpLimit,
    /// Peers whose `X-Forwarded-*` and `Forwarded` are believed.
    #[schemars(length(max = 10_000))]
    pub(crate) trusted_proxies: Vec<Written<Cidr>>,
    /// Whether plaintext HTTP/2 (prior knowledge) is accepted.
    pub(crate) h2c: bool,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            name: None,
            address: None,
            protocol: ListenerProtocol::Http,
            keepalive: Written::of("65s"),
            header_timeout: Written::of("10s"),
            body_timeout: Written::of("30s"),
            max_header_bytes: Written::of("32KiB"),
            max_body: Written::of("10MiB"),
            max_connections: 10_000,
            max_connections_per_ip: IpLimit::Unlimited(Unlimited::Unlimited),
            trusted_proxies: Vec::new(),
            h2c: true,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum ListenerProtocol {
    Http,
}

/// Connections from one address.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum IpLimit {
    Unlimited(Unlimited),
    Count(#[schemars(range(min = 1, max = 1_000_000))] u32),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Unlimited {
    Unlimited,
}
