//! One check of one target: the right probe, under one limit of time.
//!
//! The probes are Pingora's [`HealthCheck`]s. Their own limits are for a single
//! connect or read, which a backend that sends a byte now and then never
//! exceeds; so they have none here, and the whole of a check has one.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_load_balancing::health_check::{HealthCheck, TcpHealthCheck};
use pingora_load_balancing::{Backend, Extensions};

use super::grpc::GrpcCheck;
use super::http::HttpCheck;
use super::verdict::Verdict;
use crate::config::{ActiveCheck, Probe};

/// What all checks share: the connectors, which hold the system's certificates.
pub(super) struct Probes {
    http: Connector,
    tcp: TcpHealthCheck,
}

/// Who is checked.
pub(super) struct Target<'a> {
    /// How traffic reaches it.
    pub(super) peer: HttpPeer,
    /// The host by which it is configured; `None` for an address.
    pub(super) host: Option<&'a str>,
}

impl Probes {
    pub(super) fn new() -> Self {
        let mut tcp = TcpHealthCheck::default();
        tcp.peer_template.options.connection_timeout = None;
        Self {
            http: Connector::new(None),
            tcp,
        }
    }

    /// Checks a target as `check` says.
    pub(super) async fn check(&self, check: &ActiveCheck, target: Target<'_>) -> Verdict {
        let Some(backend) = target.peer._address.as_inet().copied() else {
            return Verdict::Failed("the backend has no IP address".to_owned());
        };
        let port = check.port.unwrap_or(backend.port());
        let asked = SocketAddr::new(backend.ip(), port);
        let asks = self.ask(check, target, asked);
        match tokio::time::timeout(check.timeout, asks).await {
            Ok(result) => Verdict::of(result, asked, backend),
            Err(_) => Verdict::TimedOut(check.timeout),
        }
    }

    async fn ask(&self, check: &ActiveCheck, target: Target<'_>, asked: SocketAddr) -> Result<()> {
        let mut peer = target.peer;
        let place = place(PingoraAddr::Inet(asked));
        let connector = &self.http;
        match &check.probe {
            Probe::Http(probe) => {
                let host = probe.host.as_deref();
                let authority = host.map_or_else(
                    || authority(target.host, asked, peer.is_tls()),
                    ToOwned::to_owned,
                );
                let probe = HttpCheck {
                    connector,
                    probe,
                    peer,
                    authority: &authority,
                };
                probe.check(&place).await
            }
            Probe::Grpc { service } => {
                peer.options.alpn = ALPN::H2;
                let authority = authority(target.host, asked, peer.is_tls());
                let probe = GrpcCheck {
                    connector,
                    service,
                    peer,
                    authority: &authority,
                    timeout: check.timeout,
                };
                probe.check(&place).await
            }
            Probe::Tcp => self.reach(peer, &place).await,
        }
    }

    /// Whether a backend can be connected to within `limit`.
    pub(super) async fn can_connect(&self, peer: HttpPeer, limit: Duration) -> bool {
        let place = place(peer._address.clone());
        let reached = tokio::time::timeout(limit, self.reach(peer, &place)).await;
        matches!(reached, Ok(Ok(())))
    }

    async fn reach(&self, peer: HttpPeer, place: &Backend) -> Result<()> {
        if peer.is_tls() {
            let connector = &self.http;
            HandshakeCheck { connector, peer }.check(place).await
        } else {
            self.tcp.check(place).await
        }
    }
}

fn place(addr: PingoraAddr) -> Backend {
    Backend {
        addr,
        weight: 1,
        ext: Extensions::new(),
    }
}

/// A connection and a TLS handshake. Pingora's `TcpHealthCheck` knows no client certificate.
struct HandshakeCheck<'a> {
    connector: &'a Connector,
    peer: HttpPeer,
}

#[async_trait]
impl HealthCheck for HandshakeCheck<'_> {
    async fn check(&self, target: &Backend) -> Result<()> {
        let mut peer = self.peer.clone();
        peer._address = target.addr.clone();
        self.connector.get_http_session(&peer).await.map(drop)
    }

    fn health_threshold(&self, _success: bool) -> usize {
        // Counting is the upstream's business.
        1
    }
}

/// The authority to ask for: the host or else the address, with the port unless it goes without
/// saying.
fn authority(host: Option<&str>, asked: SocketAddr, tls: bool) -> String {
    let default = if tls { 443 } else { 80 };
    let port = asked.port();
    match (host, asked) {
        (Some(host), _) if port == default => host.to_owned(),
        (Some(host), _) => format!("{host}:{port}"),
        (None, SocketAddr::V4(address)) if port == default => address.ip().to_string(),
        (None, SocketAddr::V6(address)) if port == default => format!("[{}]", address.ip()),
        (None, address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests;
