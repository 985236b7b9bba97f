//! Tells the metrics what the other parts know at the moment of a scrape.

use std::sync::Arc;

use crate::clock;
use crate::listen::Connections;
use crate::observe::logging::Dropped;
use crate::observe::metrics::{Live, Metrics};
use crate::proxy::Transport;
use crate::snapshot::{Group, Published};
use crate::upstream::Journal;

/// Makes `metrics` report what is published and what is connected.
pub(super) fn report(
    metrics: &Metrics,
    published: &Arc<Published<Transport>>,
    connections: &Arc<Connections>,
    journal: &Journal,
    log: Option<Dropped>,
) {
    let (published, connections) = (Arc::clone(published), Arc::clone(connections));
    let journal = journal.clone();
    metrics.set_live(Box::new(move |tell| {
        let snapshot = published.load();
        for (index, listener) in snapshot.config().listeners.iter().enumerate() {
            tell(Live::Listener {
                listener: &listener.name,
                active_connections: connections.open(index) as u64,
            });
        }
        tell(Live::Journal {
            lost: journal.lost(),
        });
        if let Some(log) = &log {
            tell(Live::Log { dropped: log.get() });
        }
        for group in snapshot.groups() {
            upstream(group, tell);
        }
    }));
}

fn upstream(group: &Group<Transport>, tell: &mut dyn FnMut(Live<'_>)) {
    let upstream = &group.upstream;
    tell(Live::Upstream {
        upstream: upstream.name(),
        algorithm: upstream.algorithm(),
        waiting: upstream.queue().waiting() as u64,
        in_flight_limit: upstream.in_flight_limit(),
    });
    let mut transports = group.transports.iter();
    if let Some(expires) = transports.find_map(Transport::certificate_expires) {
        let certificate = format!("upstreams.{}.tls.client_cert", upstream.name());
        tell(Live::Certificate {
            certificate: &certificate,
            expires,
        });
    }
    let now = clock::now();
    for (index, member) in upstream.members().iter().enumerate() {
        let endpoint = &member.endpoint;
        let Some(status) = upstream.status(index, now) else {
            continue;
        };
        tell(Live::Backend {
            upstream: upstream.name(),
            backend: endpoint.name(),
            in_flight: u64::from(endpoint.in_flight()),
            connections: endpoint.connections() as u64,
            weight: f64::from(member.weight),
            share: f64::from(status.share),
            state: status.state,
            reason: status.reason,
        });
    }
}
