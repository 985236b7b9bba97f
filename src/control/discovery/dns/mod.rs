//! The addresses of a name, looked up again before they grow old.
//!
//! The resolver keeps nothing between two looks: it is built anew for each, so
//! that a changed `resolv.conf` counts at once, and without a cache, which would
//! answer for a name server that is gone. How long an answer may be used is told
//! by its TTL, and a name is looked up again after that or after `interval`,
//! whichever is sooner. A and AAAA are asked for apart. The resolver's own
//! question for both takes the failure of one for its absence, and with it half
//! of the backends would leave.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join;
use futures_util::stream;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::config::DnsSource;
use crate::control::reconcile::Found;
use answer::{Answer, Family, Service, bare, words};

mod answer;

/// Names are not looked up more often, whatever their TTL.
const SHORTEST: Duration = Duration::from_secs(1);

/// For one question to one name server; there is a second try.
const TIMEOUT: Duration = Duration::from_secs(2);
const TRIES: usize = 2;

/// SRV records beyond these are left out.
const MAX_RECORDS: usize = 1_000;

/// Targets of SRV records looked up at a time.
const CONCURRENCY: usize = 16;

/// Looks a name up.
pub(super) struct Dns {
    source: DnsSource,
    /// What each name had when it was last looked up with success, by family.
    known: HashMap<String, [Vec<IpAddr>; 2]>,
    /// Until the next look.
    pause: Duration,
}

impl Dns {
    pub(super) fn new(source: DnsSource) -> Self {
        Self {
            pause: source.interval,
            known: HashMap::new(),
            source,
        }
    }

    pub(super) async fn look(&mut self) -> Result<Vec<Found>, String> {
        self.pause = self.source.interval;
        let resolver = resolver(self.source.resolver)?;
        match self.source.port {
            Some(port) => self.host(&resolver, port).await,
            None => self.service(&resolver).await,
        }
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
    }

    async fn host(&mut self, resolver: &TokioResolver, port: u16) -> Result<Vec<Found>, String> {
        let name = self.source.name.clone();
        let families = families(resolver, &name).await;
        let addresses = self.take(&name, families)?;
        let found = |address: IpAddr| Found {
            name: Some(bare(&name).to_owned()),
            ..Found::at(SocketAddr::new(address, port))
        };
        Ok(addresses.into_iter().map(found).collect())
    }

    async fn service(&mut self, resolver: &TokioResolver) -> Result<Vec<Found>, String> {
        let records = resolver.srv_lookup(self.source.name.as_str()).await;
        let answer = Answer::of(records, "the name has no SRV record")?;
        self.keep_until(answer.ttl);
        let service = Service::of(answer.records, MAX_RECORDS);
        let targets = stream::iter(service.targets())
            .map(|name| async move {
                let families = families(resolver, &name).await;
                (name, families)
            })
            .buffer_unordered(CONCURRENCY);
        let targets: Vec<_> = targets.collect().await;
        self.known
            .retain(|name, _| targets.iter().any(|(target, _)| target == name));
        let mut addresses = HashMap::new();
        let mut failure = None;
        for (name, families) in targets {
            match self.take(&name, families) {
                Ok(found) => {
                    addresses.insert(name, found);
                }
                Err(reason) => failure = Some(format!("{name}: {reason}")),
            }
        }
        match failure {
            Some(reason) if addresses.is_empty() => Err(reason),
            _ => Ok(service.found(&addresses)),
        }
    }

    /// What `name` has after these answers; a family that failed has what it had before.
    fn take(&mut self, name: &str, families: [Family; 2]) -> Result<Vec<IpAddr>, String> {
        if let Some(ttl) = families.iter().filter_map(Family::ttl).min() {
            self.keep_until(ttl);
        }
        let before = self.known.get(name).cloned().unwrap_or_default();
        match answer::settle(before.clone(), families) {
            Ok(now) => {
                let all = now.concat();
                self.known.insert(name.to_owned(), now);
                Ok(all)
            }
            // One target of several may fail while it is known where it was.
            Err(_) if self.source.port.is_none() && !before.concat().is_empty() => {
                Ok(before.concat())
            }
            Err(reason) => Err(reason),
        }
    }

    fn keep_until(&mut self, ttl: Duration) {
        self.pause = self.pause.min(ttl).max(SHORTEST);
    }
}

/// A resolver that asks `server`, or those of the system.
fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let mut builder = match server {
        Some(server) => {
            let at = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
            let server = NameServerConfig::new(server.ip(), true, connections);
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().map_err(|error| words(&error))?,
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    options.timeout = TIMEOUT;
    options.attempts = TRIES;
    if server.is_some() {
        options.use_hosts_file = ResolveHosts::Never;
    }
    builder.build().map_err(|error| words(&error))
}

/// Its IPv4 and its IPv6 addresses.
async fn families(resolver: &TokioResolver, name: &str) -> [Family; 2] {
    let (four, six) = join(resolver.ipv4_lookup(name), resolver.ipv6_lookup(name)).await;
    [Family::of(four), Family::of(six)]
}
