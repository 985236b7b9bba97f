//! An upstream, and how it chooses a backend.

use std::sync::Arc;

use super::ask::Ask;
use super::availability::{Availability, Up};
use super::balance::Request;
use super::breaker::Trip;
use super::draw::Draws;
use super::eligible::{Candidates, Health, Standing};
use super::group::Group;
use super::member::Member;
use super::queue::Queue;
use super::retry;
use super::rules::Rules;
use super::selection::{PickReason, Selection, Unavailable};
use super::sticky::Stickiness;
use super::tier::Tier;
use crate::config::{Algorithm, HashKey, Percent};

/// Times a balancer is asked again when others were faster to the slot it chose.
const RACES: usize = 4;

/// A group of backends that serve the same content. Immutable but for what it shares with its
/// predecessors: the endpoints, the queue and the retry budget.
#[derive(Debug)]
pub struct Upstream {
    pub(super) name: String,
    /// `None` is adaptive.
    pub(super) fixed: Option<Algorithm>,
    /// What `adaptive` begins with.
    pub(super) start: Algorithm,
    pub(super) hash_key: HashKey,
    pub(super) cap: u32,
    pub(super) panic_threshold: Percent,
    pub(super) rules: Rules,
    /// Primaries first, then backups.
    pub(super) members: Box<[Member]>,
    pub(super) tiers: [Tier; 2],
    pub(super) availability: Availability,
    pub(super) sticky: Option<Stickiness>,
    pub(super) group: Arc<Group>,
}

impl Upstream {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The algorithm in force: the configured one, or what `adaptive` has chosen last.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.fixed
            .or_else(|| self.group.chosen())
            .unwrap_or(self.start)
    }

    /// Its backends, primaries first.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Where requests wait for a slot.
    #[must_use]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.group.queue
    }

    /// Requests in flight to any of its backends, those that a reload removed included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.group.in_flight()
    }

    /// Room for one more retry: its retries are at most `share` of its requests in flight, in the
    /// queue and in backoff. Hold the permit until the retry has ended.
    #[must_use]
    pub fn retry_permit(&self, share: Percent) -> Option<retry::Permit> {
        let active = self.group.in_flight() + self.group.queue.waiting();
        self.group.budget.acquire(share, active)
    }

    /// Name of the sticky cookie; `None` without stickiness.
    #[must_use]
    pub fn sticky_name(&self) -> Option<&str> {
        self.sticky.as_ref().map(Stickiness::name)
    }

    /// Whether a sticky cookie names one of the backends: a weighted split keeps the client here then.
    #[must_use]
    pub fn sticky_holder(&self, cookie: &str, unix_now: u64) -> bool {
        self.sticky
            .as_ref()
            .is_some_and(|sticky| sticky.binding(cookie, unix_now).is_some())
    }

    /// The `Set-Cookie` value the answer needs, so that the client comes back to this backend;
    /// `None` without stickiness, and when the cookie it presented will do.
    #[must_use]
    pub fn sticky_cookie(
        &self,
        selection: &Selection,
        presented: Option<&str>,
        unix_now: u64,
        secure_request: bool,
    ) -> Option<String> {
        self.sticky
            .as_ref()?
            .set_cookie(selection.member, presented, unix_now, secure_request)
    }

    /// Chooses a backend and takes a slot there.
    ///
    /// Sticky first, then a backend that waits to be tried again, then the primaries, then the
    /// backups. Health is ignored when the share of primaries that are available is below the
    /// panic threshold, unless the backups can stand in: when their own share is not below it, the
    /// primaries that are left and then the backups serve. A request that does not wait yet is
    /// sent behind those that do.
    pub fn select(&self, ask: &Ask<'_>) -> Result<Selection, Unavailable> {
        if !ask.queued && self.group.queue.waiting() > 0 {
            return Err(Unavailable::Saturated);
        }
        if let Some(selection) = self.select_sticky(ask) {
            return Ok(selection);
        }
        if let Some(selection) = self.select_probe(ask) {
            return Ok(selection);
        }
        let up = self
            .availability
            .get(&self.tiers, &self.members, &self.group);
        let health = self.health(&up);
        self.tiers
            .iter()
            .zip(up)
            .find_map(|(tier, up)| self.select_from(tier, up, health, ask))
            .or_else(|| self.select_half_open(ask))
            .ok_or_else(|| self.unavailable(health, ask))
    }

    fn health(&self, up: &[Up; 2]) -> Health {
        let threshold = self.panic_threshold.ratio();
        let suffices = threshold == 0.0
            || up
                .iter()
                .any(|up| up.of > 0 && f64::from(up.count) >= threshold * f64::from(up.of));
        if suffices {
            Health::Respected
        } else if up.iter().any(|up| up.count > 0) {
            Health::Ignored
        } else {
            Health::Desperate
        }
    }

    pub(super) fn tier_of(&self, member: usize) -> &Tier {
        let [primaries, backups] = &self.tiers;
        if member < backups.offset() {
            primaries
        } else {
            backups
        }
    }

    /// The backend the cookie names, if it is up and has room; else the client is moved.
    fn select_sticky(&self, ask: &Ask<'_>) -> Option<Selection> {
        let member = self
            .sticky
            .as_ref()?
            .binding(ask.sticky?, ask.unix_now)?
            .member;
        let tier = self.tier_of(member);
        let mut candidates = self.candidates(tier, 0, Health::Respected, ask);
        candidates.sticky = true;
        candidates.lot = None;
        let algorithm = self.algorithm_for(tier, ask);
        self.acquire(
            &candidates,
            member - tier.offset(),
            algorithm,
            PickReason::Sticky,
        )
    }

    fn select_from(&self, tier: &Tier, up: Up, health: Health, ask: &Ask<'_>) -> Option<Selection> {
        let algorithm = self.algorithm_for(tier, ask);
        let balancer = tier.balancer(algorithm)?;
        let weight = match health {
            Health::Respected => up.weight,
            Health::Ignored | Health::Desperate => tier.weight(),
        };
        let mut candidates = self.candidates(tier, weight, health, ask);
        let mut request = Request {
            facts: ask.facts,
            hash_key: &self.hash_key,
            draws: Draws::new(ask.random),
        };
        // The second round is without the lots, should they have spared nobody.
        for lot in [candidates.lot, None] {
            candidates.lot = lot;
            for _ in 0..RACES {
                let Some(pick) = balancer.pick(&candidates, &mut request) else {
                    break;
                };
                let reason = reason(tier, health, pick.exploring);
                if let Some(selection) = self.acquire(&candidates, pick.index, algorithm, reason) {
                    return Some(selection);
                }
            }
        }
        let reason = reason(tier, health, false);
        (0..candidates.len()).find_map(|index| self.acquire(&candidates, index, algorithm, reason))
    }

    fn candidates<'a>(
        &'a self,
        tier: &'a Tier,
        available_weight: u64,
        health: Health,
        ask: &'a Ask<'_>,
    ) -> Candidates<'a> {
        Candidates {
            members: tier.members(&self.members),
            offset: tier.offset(),
            alias: tier.alias(),
            available_weight,
            tried: ask.tried,
            health,
            cap: self.cap,
            now: ask.now,
            rules: &self.rules,
            sticky: false,
            lot: Some(ask.random),
            group: &self.group,
        }
    }

    pub(super) fn algorithm_for(&self, tier: &Tier, ask: &Ask<'_>) -> Algorithm {
        ask.algorithm
            .filter(|&algorithm| tier.balancer(algorithm).is_some())
            .unwrap_or_else(|| self.algorithm())
    }

    /// Takes the slot, and in a panic the probe's place at a backend that refused connections.
    fn acquire(
        &self,
        candidates: &Candidates<'_>,
        index: usize,
        algorithm: Algorithm,
        reason: PickReason,
    ) -> Option<Selection> {
        if !candidates.is_eligible(index) {
            return None;
        }
        let endpoint = &candidates.members[index].endpoint;
        let slot = endpoint.take_slot(candidates.now, self.cap)?;
        let open = endpoint.breaker.open();
        let probe = match open.map(|open| open.trip) {
            Some(_) if candidates.health == Health::Respected => return None,
            Some(Trip::Connect) => Some(endpoint.take_probe()?),
            Some(_) | None => None,
        };
        Some(Selection {
            member: candidates.offset + index,
            algorithm,
            reason,
            probe,
            slot,
        })
    }

    /// Saturated as soon as one backend lacks nothing but room.
    fn unavailable(&self, health: Health, ask: &Ask<'_>) -> Unavailable {
        let saturated = self.tiers.iter().any(|tier| {
            let mut candidates = self.candidates(tier, 0, health, ask);
            candidates.lot = None;
            (0..candidates.len()).any(|index| {
                // One that became free by now is as good a reason to wait: it ends the wait at once.
                matches!(
                    candidates.standing(index),
                    Standing::Full | Standing::Eligible
                )
            })
        });
        if saturated {
            Unavailable::Saturated
        } else {
            Unavailable::NoBackend
        }
    }
}

fn reason(tier: &Tier, health: Health, exploring: bool) -> PickReason {
    if health != Health::Respected {
        PickReason::Panic
    } else if tier.offset() > 0 {
        PickReason::Backup
    } else if exploring {
        PickReason::Probe
    } else {
        PickReason::Algorithm
    }
}
