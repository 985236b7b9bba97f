//! The first look, before anything is served.
//!
//! A process that takes over from another one must not begin without the
//! backends that the other one had found. So every source is looked at before
//! the first snapshot is built. One that takes too long is not waited for: its
//! own task tells what is wrong with it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::finder::Finder;
use crate::config;
use crate::control::reconcile::Sighting;

/// The start waits no longer for its sources.
const LIMIT: Duration = Duration::from_secs(2);

/// What each source of `upstreams` sees, those left out that cannot say in time.
pub async fn first(upstreams: &[config::Upstream]) -> Vec<Sighting> {
    let mut looks = JoinSet::new();
    for upstream in upstreams {
        for source in &upstream.discovery.sources {
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
