//! The metrics: series that requests write without a lock, and their
//! exposition in the Prometheus text format.
//!
//! A request's series are found when the snapshot is built and held there as
//! handles ([`RouteMetrics`], [`UpstreamMetrics`], [`BackendMetrics`]). The
//! `prometheus` crate's registry orders and encodes a scrape, but its vectors
//! are not used: they hash every label of every call, they hash labels without
//! a separator (`web1` + `0.0.0.1:80` is `web` + `10.0.0.1:80`), and their
//! histograms cost three to four atomic updates.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

pub use autoscaler::{AutoscalerMetrics, ScaleReading};
pub use cell::{Counter, Histogram, LATENCY_BOUNDS, OVERHEAD_BOUNDS};
pub use family::{Family, Kind, documentation};
pub use handles::{
    Answer, BackendMetrics, Counts, ListenerMetrics, NONE, RouteMetrics, UpstreamMetrics,
};
pub use live::{Live, LiveSource};
pub use sources::SourceMetrics;

mod autoscaler;
mod cell;
mod family;
mod handles;
mod live;
mod page;
mod process;
mod requests;
mod sources;
mod store;

#[cfg(test)]
mod tests;

/// Every metric of one instance. There is no global: two instances in one
/// process count apart.
pub struct Metrics {
    registry: Registry,
    store: Arc<store::Store>,
}

/// What the registry collects from.
struct Source {
    store: Arc<store::Store>,
    descriptions: Vec<Desc>,
}

impl Collector for Source {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.store.collect().into_families()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An instance without a series of requests yet.
    #[must_use]
    pub fn new() -> Self {
        let store = Arc::new(store::Store::new());
        let registry = Registry::new();
        let source = Source {
            store: Arc::clone(&store),
            descriptions: page::descriptions(),
        };
        registry
            .register(Box::new(source))
            .expect("the table's names are unique");
        Self { registry, store }
    }

    /// The handle of one listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        self.store
            .listeners
            .get(name.to_owned(), || ListenerMetrics::new(name))
    }

    /// The handle of one route and one of its upstreams, either of which may be
    /// [`NONE`]. `listeners` names every listener by its position in the
    /// configuration, which is how requests name them too.
    #[must_use]
    pub fn route(&self, listeners: &[&str], route: &str, upstream: &str) -> Arc<RouteMetrics> {
        let entrance = |listener: &&str| {
            let key = (
                (*listener).to_owned(),
                route.to_owned(),
                upstream.to_owned(),
            );
            handles::Entrance {
                listener: self.listener(listener),
                requests: self
                    .store
                    .requests
                    .get(key, requests::RequestCounts::default),
            }
        };
        let key = (route.to_owned(), upstream.to_owned());
        let totals = self
            .store
            .routes
            .get(route.to_owned(), handles::RouteTotals::new);
        Arc::new(RouteMetrics {
            route: route.into(),
            upstream: upstream.into(),
            entrances: listeners.iter().map(entrance).collect(),
            durations: self.store.durations.get(key, handles::Durations::new),
            totals,
        })
    }

    /// The handle of one target of the autoscaler.
    #[must_use]
    pub fn autoscaler(&self, upstream: &str) -> Arc<AutoscalerMetrics> {
        self.store
            .autoscalers
            .get(upstream.to_owned(), || AutoscalerMetrics::new(upstream))
    }

    /// The handle of one upstream.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        self.store
            .upstreams
            .get(name.to_owned(), || UpstreamMetrics::new(name))
    }

    /// The handle of one backend. Its series are exposed for as long as
    /// somebody holds it.
    #[must_use]
    pub fn backend(&self, upstream: &str, name: &str) -> Arc<BackendMetrics> {
        let key = (upstream.to_owned(), name.to_owned());
        self.store
            .backends
            .get(key, || BackendMetrics::new(upstream, name))
    }

    /// Calls `each` with what was counted of the requests of each route and upstream, either of
    /// which may be [`NONE`].
    pub fn counts(&self, mut each: impl FnMut(&str, &str, &Counts)) {
        for ((route, upstream), durations) in self.store.durations.held() {
            each(&route, &upstream, &durations.counts());
        }
    }

    /// Exposes the series of a backend no more: it has left. Asked for again, they begin at 0.
    pub fn forget_backend(&self, upstream: &str, name: &str) {
        let key = (upstream.to_owned(), name.to_owned());
        self.store.backends.forget(&key);
    }

    /// The handle of one source of backends. Its series are exposed for as long as somebody holds
    /// it.
    #[must_use]
    pub fn source(&self, upstream: &str, source: &str) -> Arc<SourceMetrics> {
        let key = (upstream.to_owned(), source.to_owned());
        self.store
            .sources
            .get(key, || SourceMetrics::new(upstream, source))
    }

    /// The count of access log lines lost, for the log to add to.
    #[must_use]
    pub fn access_log_dropped(&self) -> Arc<Counter> {
        Arc::clone(&self.store.access_log_dropped)
    }

    /// Sets what reports the values of the moment, in place of any before it.
    pub fn set_live(&self, source: LiveSource) {
        self.store.set_live(source);
    }

    /// A valid configuration was loaded, at this Unix time.
    pub fn config_loaded(&self, unix_seconds: f64) {
        self.store.config_loaded(unix_seconds);
    }

    /// Another configuration was loaded in the place of the one before, at this Unix time.
    pub fn config_reloaded(&self, unix_seconds: f64) {
        self.store.config_reloaded(unix_seconds);
    }

    /// A configuration was refused; the one before it stays in force.
    pub fn config_refused(&self) {
        self.store.config_refused();
    }

    /// Everything as Prometheus's families, for a display in the same process.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("every family gathered has a name and a series")
    }
}
