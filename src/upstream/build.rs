//! From a configuration and resolved addresses to an upstream.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::availability::Availability;
use super::endpoint::Endpoint;
use super::group::Group;
use super::hash_key::bytes_key;
use super::member::{Member, Resolved, host_name};
use super::select::Upstream;
use super::sticky::{Signer, Stickiness};
use super::tier::Tier;
use crate::config::{self, Algorithm};

/// More members than this are left out, with a warning. Far beyond what one process serves, and
/// within what the hashing tables can tell apart.
pub const MAX_MEMBERS: usize = 16_384;

impl Upstream {
    /// Builds an upstream.
    ///
    /// `resolved` are its backends; of two with the same address the first counts. `algorithms`
    /// are those that requests may ask for beside the configured one. `previous` is the same
    /// upstream before a change: live state of backends that stay (same address and same name),
    /// the queue, and the turns of unchanged tiers are taken over. `seed` decides where turns begin.
    #[must_use]
    pub fn build(
        config: &config::Upstream,
        resolved: &[Resolved],
        algorithms: &[Algorithm],
        signer: &Arc<Signer>,
        previous: Option<&Self>,
        seed: u64,
    ) -> Self {
        let group = previous.map_or_else(
            || Arc::new(Group::new(config.queue.size)),
            |previous| Arc::clone(&previous.group),
        );
        group.queue.resize(config.queue.size);
        let members = members(&config.name, resolved, previous, &group);
        let primaries = members.iter().filter(|member| !member.backup).count();
        let seed = seed ^ bytes_key(config.name.as_bytes());
        let tier = |range, index: usize| {
            let algorithms = algorithms.iter().copied().chain([config.algorithm]);
            let before = previous.map(|before| (&before.tiers[index], before.members()));
            Tier::new(&members, range, algorithms, before, seed)
        };
        let tiers = [tier(0..primaries, 0), tier(primaries..members.len(), 1)];
        let addresses = members.iter().map(|member| member.endpoint.address());
        let sticky = config
            .sticky
            .clone()
            .map(|settings| Stickiness::new(settings, &config.name, signer, addresses));
        Self {
            name: config.name.clone(),
            algorithm: config.algorithm,
            hash_key: config.hash_key.clone(),
            cap: config.max_in_flight_per_backend,
            panic_threshold: config.panic_threshold,
            availability: Availability::new(&tiers, &members, &group),
            members,
            tiers,
            sticky,
            group,
        }
    }
}

/// One member for each address, primaries first, otherwise in order.
fn members(
    upstream: &str,
    resolved: &[Resolved],
    previous: Option<&Upstream>,
    group: &Arc<Group>,
) -> Box<[Member]> {
    let kept: HashMap<SocketAddr, &Arc<Endpoint>> = previous
        .into_iter()
        .flat_map(Upstream::members)
        .map(|member| (member.endpoint.address(), &member.endpoint))
        .collect();
    let mut seen = HashSet::new();
    // A name's addresses come in any order; sorted, an unchanged set gives unchanged tables and turns.
    let mut resolved: Vec<&Resolved> = resolved.iter().collect();
    for same_name in resolved.chunk_by_mut(|a, b| a.backend.address == b.backend.address) {
        same_name.sort_by_key(|one| one.address);
    }
    let mut members: Vec<Member> = resolved
        .into_iter()
        .filter(|one| seen.insert(one.address))
        .take(MAX_MEMBERS)
        .map(|one| {
            let endpoint = kept
                .get(&one.address)
                .filter(|endpoint| endpoint.name() == one.name)
                .map_or_else(
                    || {
                        let name = one.name.clone();
                        Arc::new(Endpoint::new(name, one.address, Arc::clone(group)))
                    },
                    |endpoint| Arc::clone(endpoint),
                );
            Member {
                endpoint,
                weight: one.backend.weight.max(1),
                backup: one.backend.backup,
                host: host_name(&one.backend.address),
                zone: one.backend.zone.clone(),
            }
        })
        .collect();
    if seen.len() > MAX_MEMBERS {
        log::warn!("upstream {upstream}: only the first {MAX_MEMBERS} backends are used");
    }
    members.sort_by_key(|member| member.backup);
    members.into()
}
