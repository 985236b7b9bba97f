//! What the sources of one upstream have found.
//!
//! A source brings its whole set each time, so there is nothing to add up and a
//! report that got lost does no harm; one that cannot be asked brings nothing,
//! and its last set stays. Of sources that a new configuration has no more, the
//! backends stay until those it has instead have been asked with success: a
//! source that only moved must not leave the upstream empty meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use crate::config::{self, Discovery};
use crate::upstream::Resolved;

/// Sources that are no more and whose backends stay for a while.
const MAX_LEAVING: usize = 8;

/// A backend that a source has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it listens; its id.
    pub address: SocketAddr,
    /// The host name it was found under, for TLS and the `Host` of checks.
    pub name: Option<String>,
    /// Share of the traffic in proportion to the others; at least 1.
    pub weight: u32,
    /// Gets requests only when no primary qualifies.
    pub backup: bool,
    /// Free text for people and dashboards.
    pub zone: Option<String>,
    /// Free labels for people and dashboards.
    pub labels: BTreeMap<String, String>,
}

impl Found {
    /// One that is like any other.
    #[must_use]
    pub const fn at(address: SocketAddr) -> Self {
        Self {
            address,
            name: None,
            weight: 1,
            backup: false,
            zone: None,
            labels: BTreeMap::new(),
        }
    }

    fn resolved(&self) -> Resolved {
        let address = match &self.name {
            Some(name) => format!("{name}:{}", self.address.port()),
            None => self.address.to_string(),
        };
        Resolved {
            address: self.address,
            name: self.address.to_string(),
            backend: config::Backend {
                address,
                weight: self.weight,
                backup: self.backup,
                zone: self.zone.clone(),
                labels: self.labels.clone(),
            },
        }
    }
}

/// Everything that a source sees at a time.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The upstream's name.
    pub upstream: String,
    /// The source's id.
    pub source: String,
    /// In any order; of two with the same address the first counts.
    pub found: Vec<Found>,
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Backends of the source from now on.
    pub kept: usize,
    /// Those beyond its limit.
    pub left_out: usize,
    /// Addresses that it did not have before.
    pub joined: usize,
    /// Addresses that it has no more.
    pub left: usize,
}

/// The sets of all sources of one upstream.
#[derive(Debug, Default)]
pub(super) struct Discovered {
    /// The most important first.
    sources: Vec<Known>,
    /// What sources found that are no more.
    leaving: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    source: String,
    limit: usize,
    /// `None` before the first sighting.
    found: Option<Vec<Found>>,
}

impl Discovered {
    /// The sources of `config`, none asked yet.
    pub(super) fn new(config: &Discovery) -> Self {
        let mut discovered = Self::default();
        discovered.follow(config);
        discovered
    }

    /// Goes over to the sources of `config`; those that stay keep what they found.
    pub(super) fn follow(&mut self, config: &Discovery) {
        let mut before = std::mem::take(&mut self.sources);
        let known = |source: &config::Source| {
            let at = before.iter().position(|known| known.source == source.id);
            let found = at.and_then(|at| before.swap_remove(at).found);
            Known {
                source: source.id.clone(),
                limit: source.max_backends,
                found,
            }
        };
        self.sources = config.sources.iter().map(known).collect();
        before.retain(|known| known.found.is_some());
        self.leaving.append(&mut before);
        let too_many = self.leaving.len().saturating_sub(MAX_LEAVING);
        self.leaving.drain(..too_many);
        self.see_off();
    }

    /// Takes what a source sees, and whether that changes anything. One that is not asked any more
    /// has no say.
    pub(super) fn take(&mut self, source: &str, found: Vec<Found>) -> (Taken, bool) {
        let mut sources = self.sources.iter_mut();
        let Some(known) = sources.find(|known| known.source == source) else {
            return (Taken::default(), false);
        };
        let (found, left_out) = tidy(found, known.limit);
        let addresses = |found: &[Found]| -> HashSet<SocketAddr> {
            found.iter().map(|one| one.address).collect()
        };
        let before = known.found.replace(found);
        let is_first = before.is_none();
        let (before, now) = (before.unwrap_or_default(), known.found.as_deref());
        let now = now.unwrap_or_default();
        let (old, new) = (addresses(&before), addresses(now));
        let taken = Taken {
            kept: now.len(),
            left_out,
            joined: new.difference(&old).count(),
            left: old.difference(&new).count(),
        };
        let changed = before != now;
        (taken, (is_first && self.see_off()) || changed)
    }

    /// Drops what sources found that are no more, unless one that came is still to be asked.
    fn see_off(&mut self) -> bool {
        if self.leaving.is_empty() || self.sources.iter().any(|known| known.found.is_none()) {
            return false;
        }
        self.leaving.clear();
        true
    }

    /// Adds everything to `all` whose address and id are not there already, the most important
    /// source first.
    pub(super) fn merge_into(&self, all: &mut Vec<Resolved>) {
        let mut addresses: HashSet<SocketAddr> = all.iter().map(|one| one.address).collect();
        let names: HashSet<String> = all.iter().map(|one| one.name.clone()).collect();
        for (_, found) in self.each() {
            if addresses.contains(&found.address) {
                continue;
            }
            let resolved = found.resolved();
            if !names.contains(&resolved.name) {
                addresses.insert(resolved.address);
                all.push(resolved);
            }
        }
    }

    /// The source of the backend with this id.
    pub(super) fn source_of(&self, id: &str) -> Option<&str> {
        let address: SocketAddr = id.parse().ok()?;
        let mut found = self.each().filter(|(_, found)| found.address == address);
        found.next().map(|(source, _)| source)
    }

    /// The id of every backend and its source, the most important source of an id last.
    pub(super) fn ids(&self) -> impl Iterator<Item = (String, &str)> {
        let mut all: Vec<_> = self.each().collect();
        all.reverse();
        all.into_iter()
            .map(|(source, found)| (found.address.to_string(), source))
    }

    fn each(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.sources.iter().chain(&self.leaving).flat_map(|known| {
            let found = known.found.iter().flatten();
            found.map(|found| (known.source.as_str(), found))
        })
    }
}

/// One for each address, primaries first, in an order that does not depend on theirs; and how many
/// are too many.
fn tidy(mut found: Vec<Found>, limit: usize) -> (Vec<Found>, usize) {
    let mut seen = HashSet::new();
    found.retain(|one| seen.insert(one.address));
    found.sort_by_key(|one| (one.backup, one.address));
    let left_out = found.len().saturating_sub(limit);
    found.truncate(limit);
    (found, left_out)
}

#[cfg(test)]
mod tests;
