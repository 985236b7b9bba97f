//! The first look, before anything is served.
//!
//! A process that takes over from another one must not begin without the
//! backends that the other one had found, nor an upstream that a reload brings
//! without its own. So every source that is new is looked at before the snapshot
//! is built. One that takes too long is not waited for: its own task tells what
//! is wrong with it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::finder::Finder;
use crate::config::{Config, Source};
use crate::control::reconcile::Sighting;

/// A start or a reload waits no longer for its sources.
const LIMIT: Duration = Duration::from_secs(2);

/// What each source of `config` sees, those left out that cannot say in time, and those that are
/// asked for the same in `running` already.
pub async fn first(config: &Config, running: Option<&Config>) -> Vec<Sighting> {
    let mut looks = JoinSet::new();
    for upstream in &config.upstreams {
        let known = running.map_or(&[][..], |running| sources(running, &upstream.name));
        let sources = upstream.discovery.sources.iter();
        for source in sources.filter(|source| !known.contains(source)) {
            let mut finder = Finder::new(&source.kind);
            let (upstream, source) = (upstream.name.clone(), source.id.clone());
            looks.spawn(async move {
                let found = timeout(LIMIT, finder.look()).await.ok()?.ok()?;
                Some(Sighting {
                    upstream,
                    source,
                    found,
                })
            });
        }
    }
    let sightings = looks.join_all().await;
    sightings.into_iter().flatten().collect()
}

fn sources<'c>(config: &'c Config, upstream: &str) -> &'c [Source] {
    let mut named = config.upstreams.iter().filter(|one| one.name == upstream);
    named.next().map_or(&[], |one| &one.discovery.sources)
}
