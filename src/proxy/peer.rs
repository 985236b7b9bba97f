//! What Pingora needs to know to reach a backend, prepared once per snapshot.
//!
//! Everything Pingora leaves open is set: every timeout, a server name for
//! every TLS connection (an empty one would turn verification off), and a pool
//! key of the upstream's own (Pingora's leaves out the CA, so two upstreams with
//! different trust could share a connection, and so could one and the same
//! before and after its CA was replaced).

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy, Tracer, Tracing};
use pingora_core::utils::tls::{CertKey, WrappedX509};
use xxhash_rust::xxh3::xxh3_64;

use crate::config;
use crate::snapshot::Snapshot;
use crate::upstream::{Endpoint, Member};

/// Streams one HTTP/2 connection to a backend carries at most.
const MAX_H2_STREAMS: usize = 100;

/// How one backend is reached.
#[derive(Debug)]
pub struct Transport {
    template: HttpPeer,
    protocol: config::Protocol,
    timeouts: config::Timeouts,
    expires: Option<i64>,
}

/// The state requests are served by.
pub type Live = Snapshot<Transport>;

/// Certificates an upstream's connections use, read when the configuration is loaded.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Authorities to trust instead of the system's.
    pub ca: Option<Arc<[WrappedX509]>>,
    /// Certificate and key shown to the backend.
    pub client: Option<Arc<CertKey>>,
    /// A hash of all of it; 0 without any.
    pub fingerprint: u64,
    /// When the first certificate of those shown to the backend ends, in Unix seconds.
    pub expires: Option<i64>,
}

/// What one request asks of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Time left until the request's deadline.
    pub(super) left: Duration,
    /// The client speaks HTTP/2.
    pub(super) http2: bool,
    /// The client asks to switch protocols.
    pub(super) upgrade: bool,
}

impl Transport {
    /// Prepares the way to one backend of `upstream`.
    #[must_use]
    pub fn new(upstream: &config::Upstream, identity: &Identity, member: &Member) -> Self {
        let endpoint = &member.endpoint;
        let address = endpoint.address();
        let tls = upstream.tls.as_ref();
        let sni = tls.map_or_else(String::new, |tls| server_name(tls, member));
        let mut template = HttpPeer::new(address, tls.is_some(), sni);
        template.group_key = xxh3_64(upstream.name.as_bytes()) ^ identity.fingerprint;
        template.client_cert_key.clone_from(&identity.client);
        let options = &mut template.options;
        options.verify_cert = tls.is_none_or(|tls| tls.verify);
        options.verify_hostname = options.verify_cert;
        options.ca.clone_from(&identity.ca);
        options.max_h2_streams = MAX_H2_STREAMS;
        options.idle_timeout = Some(upstream.timeouts.idle);
        // Upgrades go another way than through Pingora.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        options.tracer = Some(Tracer(Box::new(Gauge(Arc::clone(endpoint)))));
        Self {
            template,
            protocol: upstream.protocol,
            timeouts: upstream.timeouts,
            expires: identity.expires,
        }
    }

    /// When the certificate shown to the backend ends, in Unix seconds.
    #[must_use]
    pub const fn certificate_expires(&self) -> Option<i64> {
        self.expires
    }

    /// The peer for one attempt.
    pub(super) fn peer(&self, wish: &Wish) -> Box<HttpPeer> {
        let mut peer = Box::new(self.template.clone());
        let options = &mut peer.options;
        let connect = self.timeouts.connect.min(wish.left);
        options.connection_timeout = Some(connect);
        // The TCP connection and the TLS handshake each get the connect timeout.
        options.total_connection_timeout = Some((connect * 2).min(wish.left));
        options.read_timeout = Some(self.timeouts.read.min(wish.left));
        options.write_timeout = Some(self.timeouts.write.min(wish.left));
        options.alpn = self.alpn(wish);
        peer
    }

    /// The peer for a health check: verified as traffic is, but on a connection that is neither
    /// shared with traffic nor counted as it. The check limits its time itself.
    #[must_use]
    pub fn check_peer(&self) -> HttpPeer {
        let mut peer = self.template.clone();
        peer.options.tracer = None;
        peer.options.max_h2_streams = 1;
        peer.options.alpn = self.alpn(&Wish {
            left: Duration::ZERO,
            http2: false,
            upgrade: false,
        });
        peer
    }

    fn alpn(&self, wish: &Wish) -> ALPN {
        let tls = self.template.is_tls();
        match self.protocol {
            // Upgrades exist in HTTP/1.1 only.
            _ if wish.upgrade => ALPN::H1,
            config::Protocol::Http2 => ALPN::H2,
            config::Protocol::Auto if tls => ALPN::H2H1,
            config::Protocol::Auto if wish.http2 => ALPN::H2,
            config::Protocol::Http1 | config::Protocol::Auto => ALPN::H1,
        }
    }
}

/// The name to send and to verify: never empty, which would turn verification off.
fn server_name(tls: &config::UpstreamTls, member: &Member) -> String {
    let configured = tls.sni.clone().or_else(|| member.host.clone());
    configured.unwrap_or_else(|| member.endpoint.address().ip().to_string())
}

/// Keeps the backend's count of open connections.
#[derive(Debug)]
struct Gauge(Arc<Endpoint>);

impl Tracing for Gauge {
    fn on_connected(&self) {
        self.0.connection_opened();
    }

    fn on_disconnected(&self) {
        self.0.connection_closed();
    }

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}
