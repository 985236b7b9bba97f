//! From a configuration and resolved addresses to an upstream.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::adaptive;
use super::availability::Availability;
use super::endpoint::Endpoint;
use super::event::Journal;
use super::group::Group;
use super::hash_key::bytes_key;
use super::member::{Member, Resolved, host_name};
use super::rules::Rules;
use super::select::Upstream;
use super::sticky::{Signer, Stickiness};
use super::tier::Tier;
use crate::clock::Moment;
use crate::config::{self, Algorithm, Choice};

/// More members than this are left out, with a warning. Far beyond what one process serves, and
/// within what the hashing tables can tell apart.
pub const MAX_MEMBERS: usize = 16_384;

/// What an upstream is built with beside its configuration.
#[derive(Clone, Copy)]
pub struct BuildContext<'a> {
    /// Algorithms that requests may ask for beside the configured one.
    pub algorithms: &'a [Algorithm],
    /// Signs sticky cookies.
    pub signer: &'a Arc<Signer>,
    /// Where events go.
    pub journal: &'a Journal,
    /// The present moment.
    pub now: Moment,
    /// Decides where turns begin.
    pub seed: u64,
}

impl Upstream {
    /// Builds an upstream.
    ///
    /// `resolved` are its backends; of two with the same address the first counts. `previous` is
    /// the same upstream before a change: live state of backends that stay (same address and same
    /// name), the queue, and the turns of unchanged tiers are taken over.
    #[must_use]
    pub fn build(
        config: &config::Upstream,
        resolved: &[Resolved],
        context: &BuildContext<'_>,
        previous: Option<&Self>,
    ) -> Self {
        let group = previous.map_or_else(
            || Arc::new(Group::new(&config.name, context.journal)),
            |previous| Arc::clone(&previous.group),
        );
        group.queue.resize(config.queue.size);
        let rules = Rules {
            health: config.health.clone(),
            slow_start: config.slow_start,
        };
        let members = members(config, resolved, previous, &group, &rules, context.now);
        group.bound_ejections(members.len(), config.health.ejection.max_ejected);
        let primaries = members.iter().filter(|member| !member.backup).count();
        let seed = context.seed ^ bytes_key(config.name.as_bytes());
        let tier = |range, index: usize| {
            let own: &[Algorithm] = match &config.algorithm {
                Choice::Fixed(algorithm) => std::slice::from_ref(algorithm),
                Choice::Adaptive => adaptive::CHOICES,
            };
            let algorithms = context.algorithms.iter().chain(own).copied();
            let before = previous.map(|before| (&before.tiers[index], before.members()));
            Tier::new(&members, range, algorithms, before, seed)
        };
        let tiers = [tier(0..primaries, 0), tier(primaries..members.len(), 1)];
        let addresses = members.iter().map(|member| member.endpoint.address());
        let sticky = config
            .sticky
            .clone()
            .map(|settings| Stickiness::new(settings, &config.name, context.signer, addresses));
        let upstream = Self {
            name: config.name.clone(),
            fixed: match config.algorithm {
                Choice::Fixed(algorithm) => Some(algorithm),
                Choice::Adaptive => None,
            },
            hash_key: config.hash_key.clone(),
            cap: config.max_in_flight_per_backend,
            start: adaptive::start(members[..primaries].iter().map(|member| member.weight)),
            panic_threshold: config.panic_threshold,
            rules,
            availability: Availability::new(&tiers, &members, &group),
            members,
            tiers,
            sticky,
            group,
        };
        for member in &upstream.members {
            upstream.schedule_probe(&member.endpoint, context.now);
        }
        upstream
    }
}

/// One member for each address, primaries first, otherwise in order.
fn members(
    config: &config::Upstream,
    resolved: &[Resolved],
    previous: Option<&Upstream>,
    group: &Arc<Group>,
    rules: &Rules,
    now: Moment,
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
            let endpoint = kept.get(&one.address);
            let endpoint = endpoint.filter(|endpoint| endpoint.name() == one.name);
            let endpoint = if let Some(endpoint) = endpoint {
                endpoint.adapt(now, rules);
                Arc::clone(endpoint)
            } else {
                let (group, joined) = (Arc::clone(group), previous.is_some());
                let endpoint = Endpoint::new(&one.name, one.address, group, joined, now);
                endpoint.begin(now, rules);
                Arc::new(endpoint)
            };
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
        let upstream = &config.name;
        log::warn!("upstream {upstream}: only the first {MAX_MEMBERS} backends are used");
    }
    members.sort_by_key(|member| member.backup);
    members.into()
}
