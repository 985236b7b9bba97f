//! Everything a request needs to be served, built as a whole and swapped as a whole.
//!
//! A request loads the current [`Snapshot`] once and keeps it to the end, so it
//! never sees half of a change. Building one can fail; publishing cannot. What
//! must outlive it, the backends' live state and the metrics' series, is taken
//! over from the snapshot before by name and address.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::clock::Moment;
use crate::config::{Action, Algorithm, Config};
use crate::observe::metrics::{BackendMetrics, Metrics, NONE, RouteMetrics, UpstreamMetrics};
use crate::route::Router;
use crate::upstream::sticky::Signer;
use crate::upstream::{BuildContext, Journal, Member, Resolved, Upstream, retry};

/// One consistent state of the data plane. `T` is what the proxy needs to reach a backend.
#[derive(Debug)]
pub struct Snapshot<T> {
    config: Arc<Config>,
    router: Router,
    routes: Box<[RouteHandles]>,
    unrouted: Arc<RouteMetrics>,
    retries: Box<[retry::Policy]>,
    groups: Box<[Group<T>]>,
}

/// One upstream and what belongs to it.
#[derive(Debug)]
pub struct Group<T> {
    /// The backends and how one is chosen.
    pub upstream: Upstream,
    /// The upstream's series.
    pub metrics: Arc<UpstreamMetrics>,
    /// How each member is reached, in the order of the members.
    pub transports: Box<[T]>,
    /// Each member's series, in the order of the members.
    pub backends: Box<[Arc<BackendMetrics>]>,
}

/// The series of one route, by upstream.
#[derive(Debug)]
struct RouteHandles {
    answered: Arc<RouteMetrics>,
    forwarded: Box<[(usize, Arc<RouteMetrics>)]>,
}

/// What a snapshot is built from beside the configuration.
pub struct Parts<'a, T> {
    /// The addresses of every upstream's backends, in the configuration's order.
    pub resolved: &'a [Vec<Resolved>],
    /// Signs sticky cookies.
    pub signer: &'a Arc<Signer>,
    /// Where the series live.
    pub metrics: &'a Metrics,
    /// Makes the way to a backend of the upstream at a position.
    pub transport: &'a dyn Fn(usize, &Member) -> T,
    /// Where the upstreams' events go.
    pub journal: &'a Journal,
    /// The present moment.
    pub now: Moment,
    /// Decides where each upstream's turns begin.
    pub seed: u64,
}

impl<T> Snapshot<T> {
    /// Builds the state for `config`, taking over live state from `previous`.
    #[must_use]
    pub fn build(config: Arc<Config>, parts: &Parts<'_, T>, previous: Option<&Self>) -> Self {
        let algorithms = overrides(&config);
        let groups = config.upstreams.iter().zip(parts.resolved).enumerate();
        let groups: Box<[Group<T>]> = groups
            .map(|(index, (upstream, resolved))| {
                let before = previous.and_then(|snapshot| snapshot.group_named(&upstream.name));
                let upstream = Upstream::build(
                    upstream,
                    resolved,
                    &BuildContext {
                        algorithms,
                        signer: parts.signer,
                        journal: parts.journal,
                        now: parts.now,
                        seed: parts.seed,
                    },
                    before.map(|group| &group.upstream),
                );
                group(upstream, index, &config.upstreams[index].name, parts)
            })
            .collect();
        let listeners: Vec<&str> = config.listeners.iter().map(|l| l.name.as_str()).collect();
        let handles = |route: &str, upstream| parts.metrics.route(&listeners, route, upstream);
        let routes = config.routes.iter().map(|route| RouteHandles {
            answered: handles(&route.name, NONE),
            forwarded: match &route.action {
                Action::Forward(splits) => splits
                    .iter()
                    .map(|split| {
                        let upstream = &config.upstreams[split.upstream].name;
                        (split.upstream, handles(&route.name, upstream))
                    })
                    .collect(),
                Action::Respond { .. } | Action::Redirect { .. } => Box::default(),
            },
        });
        Self {
            router: Router::new(&config.routes),
            routes: routes.collect(),
            unrouted: handles(NONE, NONE),
            retries: config
                .routes
                .iter()
                .map(|route| retry::Policy::new(route.retry.clone()))
                .collect(),
            groups,
            config,
        }
    }

    /// The configuration this was built from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same, to be kept.
    #[must_use]
    pub fn shared_config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// Finds the route of a request.
    #[must_use]
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// When a failed try on this route is repeated.
    #[must_use]
    pub fn retry(&self, route: usize) -> &retry::Policy {
        &self.retries[route]
    }

    /// Every upstream, in the configuration's order.
    #[must_use]
    pub const fn groups(&self) -> &[Group<T>] {
        &self.groups
    }

    /// The series of a request that went this far.
    #[must_use]
    pub fn route_metrics(&self, route: Option<usize>, upstream: Option<usize>) -> &RouteMetrics {
        let Some(handles) = route.map(|route| &self.routes[route]) else {
            return &self.unrouted;
        };
        let forwarded = handles.forwarded.iter();
        let found = forwarded
            .clone()
            .find(|(index, _)| Some(*index) == upstream);
        found.map_or(&handles.answered, |(_, metrics)| metrics)
    }

    /// The upstream of this name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<&Group<T>> {
        let index = self.config.upstreams.iter().position(|u| u.name == name)?;
        self.groups.get(index)
    }
}

/// The algorithms requests may ask for: all of them where a route allows any.
fn overrides(config: &Config) -> &'static [Algorithm] {
    if config.routes.iter().any(|route| route.algorithm_override) {
        Algorithm::ALL
    } else {
        &[]
    }
}

fn group<T>(upstream: Upstream, index: usize, name: &str, parts: &Parts<'_, T>) -> Group<T> {
    let members = upstream.members().iter();
    let transports = members
        .clone()
        .map(|member| (parts.transport)(index, member))
        .collect();
    let backends = members
        .map(|member| parts.metrics.backend(name, member.endpoint.name()))
        .collect();
    Group {
        metrics: parts.metrics.upstream(name),
        upstream,
        transports,
        backends,
    }
}

/// The state requests are served by now.
#[derive(Debug)]
pub struct Published<T> {
    current: ArcSwap<Snapshot<T>>,
    changes: watch::Sender<u64>,
}

impl<T> Published<T> {
    /// Publishes the first snapshot.
    #[must_use]
    pub fn new(first: Snapshot<T>) -> Self {
        Self {
            current: ArcSwap::from_pointee(first),
            changes: watch::Sender::new(0),
        }
    }

    /// The current snapshot, to be kept for the whole of a request.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot<T>> {
        self.current.load_full()
    }

    /// Replaces the snapshot for every request that begins from now on.
    pub fn publish(&self, next: Snapshot<T>) {
        self.current.store(Arc::new(next));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Counts what was published; wakes whoever waits for the next one.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str, metrics: &Metrics, previous: Option<&Snapshot<()>>) -> Snapshot<()> {
        let config = crate::config::load(text, "test", &|_| None).expect("valid");
        let resolved: Vec<Vec<Resolved>> = config
            .upstreams
            .iter()
            .map(|upstream| {
                let one = |backend: &crate::config::Backend| Resolved {
                    address: backend.address.parse().expect("an address"),
                    name: backend.address.clone(),
                    backend: backend.clone(),
                };
                upstream.backends.iter().map(one).collect()
            })
            .collect();
        let parts = Parts {
            resolved: &resolved,
            signer: &Arc::new(Signer::new(None, [7; 32])),
            metrics,
            transport: &|_, _| (),
            journal: &Journal::default(),
            now: Moment::ZERO,
            seed: 1,
        };
        Snapshot::build(Arc::new(config), &parts, previous)
    }

    fn text(web: &str) -> String {
        format!(
            "listeners: [{{ name: l, address: '127.0.0.1:1' }}]\n\
             routes: [{{ name: r, upstream: web }}, {{ name: say, match: {{ path: {{ exact: /x }} }}, respond: {{ status: 200 }} }}]\n\
             upstreams: {{ web: {{ backends: [{web}] }} }}\n"
        )
    }

    #[test]
    fn live_state_is_taken_over_by_address_whatever_else_changes() {
        let metrics = Metrics::new();
        let before = snapshot(
            &text("{ address: '192.0.2.1:1', weight: 1 }, { address: '192.0.2.2:1' }"),
            &metrics,
            None,
        );
        let after = snapshot(
            &text("{ address: '192.0.2.3:1' }, { address: '192.0.2.1:1', weight: 9 }"),
            &metrics,
            Some(&before),
        );
        let (old, new) = (&before.groups()[0], &after.groups()[0]);
        let (old_members, new_members) = (old.upstream.members(), new.upstream.members());
        assert!(Arc::ptr_eq(
            &old_members[0].endpoint,
            &new_members[1].endpoint
        ));
        assert_eq!(new_members[1].weight, 9);
        assert!(Arc::ptr_eq(&old.backends[0], &new.backends[1]));
        assert!(Arc::ptr_eq(&old.metrics, &new.metrics));
    }

    #[test]
    fn a_request_is_counted_where_it_went() {
        let metrics = Metrics::new();
        let snapshot = snapshot(&text("{ address: '192.0.2.1:1' }"), &metrics, None);
        let labels = |route, upstream| {
            let handles = snapshot.route_metrics(route, upstream);
            (handles.route().to_string(), handles.upstream().to_string())
        };
        let pair = |route: &str, upstream: &str| (route.to_owned(), upstream.to_owned());
        assert_eq!(labels(Some(0), Some(0)), pair("r", "web"));
        assert_eq!(labels(Some(1), None), pair("say", NONE));
        assert_eq!(labels(None, None), pair(NONE, NONE));
    }

    #[test]
    fn publishing_replaces_the_snapshot_for_later_requests_only() {
        let metrics = Metrics::new();
        let published = Published::new(snapshot(
            &text("{ address: '192.0.2.1:1' }"),
            &metrics,
            None,
        ));
        let held = published.load();
        published.publish(snapshot(
            &text("{ address: '192.0.2.2:1' }"),
            &metrics,
            Some(&held),
        ));
        let name = |snapshot: &Snapshot<()>| {
            snapshot.groups()[0].upstream.members()[0]
                .endpoint
                .name()
                .to_owned()
        };
        assert_eq!(name(&held), "192.0.2.1:1");
        assert_eq!(name(&published.load()), "192.0.2.2:1");
    }
}
