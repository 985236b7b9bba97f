//! An upstream, and how it chooses a backend.

use std::sync::Arc;

use super::ask::Ask;
use super::availability::{Availability, Up};
use super::balance::Request;
use super::choice::{Choice, Entry, Purpose, Task};
use super::eligible::{Candidates, Health};
use super::exclusion::Exclusion;
use super::group::Group;
use super::member::Member;
use super::queue::Queue;
use super::retry;
use super::rules::Rules;
use super::selection::{PickReason, Selection, Unavailable};
use super::sticky::Stickiness;
use super::tier::Tier;
use crate::clock::Moment;
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

    /// Requests that may be in flight to each backend.
    #[must_use]
    pub const fn in_flight_limit(&self) -> u32 {
        self.cap
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
        self.decide(&Task {
            ask,
            purpose: Purpose::Serve,
            take: |choice| self.take(choice, ask.now),
        })
    }

    /// Makes a decision; see [`Self::select`].
    pub(super) fn decide<T>(
        &self,
        task: &Task<'_, impl Fn(Choice) -> Option<T>>,
    ) -> Result<T, Unavailable> {
        let ask = task.ask;
        if !ask.queued && self.group.queue.waiting() > 0 {
            return Err(Unavailable::Saturated);
        }
        if let Some(taken) = self.select_sticky(task) {
            return Ok(taken);
        }
        if let Some(taken) = self.select_probe(task) {
            return Ok(taken);
        }
        let up = self.up();
        let health = self.health(&up);
        self.tiers
            .iter()
            .zip(up)
            .find_map(|(tier, up)| self.select_from(tier, up, health, task))
            .or_else(|| self.select_half_open(task))
            .ok_or_else(|| self.unavailable(health, ask))
    }

    /// What is up in each tier.
    pub(super) fn up(&self) -> [Up; 2] {
        self.availability
            .get(&self.tiers, &self.members, &self.group)
    }

    pub(super) fn health(&self, up: &[Up; 2]) -> Health {
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
    fn select_sticky<T>(&self, task: &Task<'_, impl Fn(Choice) -> Option<T>>) -> Option<T> {
        let member = self.bound(task.ask)?;
        let choice = Choice {
            member,
            algorithm: self.algorithm_for(self.tier_of(member), task.ask),
            reason: PickReason::Sticky,
            entry: Entry::Closed,
            drawn: false,
        };
        acquire(&self.candidates_for_bound(member, task.ask), choice, task)
    }

    /// The member that the sticky cookie names.
    pub(super) fn bound(&self, ask: &Ask<'_>) -> Option<usize> {
        let binding = self.sticky.as_ref()?.binding(ask.sticky?, ask.unix_now)?;
        Some(binding.member)
    }

    /// The tier of the member that the sticky cookie names, as its client sees it.
    pub(super) fn candidates_for_bound<'a>(
        &'a self,
        member: usize,
        ask: &'a Ask<'_>,
    ) -> Candidates<'a> {
        Candidates {
            sticky: true,
            lot: None,
            ..self.candidates(self.tier_of(member), 0, Health::Respected, ask)
        }
    }

    fn select_from<T>(
        &self,
        tier: &Tier,
        up: Up,
        health: Health,
        task: &Task<'_, impl Fn(Choice) -> Option<T>>,
    ) -> Option<T> {
        let algorithm = self.algorithm_for(tier, task.ask);
        let balancer = tier.balancer(algorithm)?;
        let mut candidates = self.candidates(tier, weight(tier, up, health), health, task.ask);
        let mut request = self.request(task.ask, task.purpose);
        let choice = |index, exploring, drawn| Choice {
            member: tier.offset() + index,
            algorithm,
            reason: reason(tier, health, exploring),
            entry: match health {
                Health::Respected => Entry::Closed,
                Health::Ignored | Health::Desperate => Entry::Panic,
            },
            drawn,
        };
        // The second round is without the lots, should they have spared nobody.
        for lot in [candidates.lot, None] {
            candidates.lot = lot;
            for _ in 0..RACES {
                let Some(pick) = balancer.pick(&candidates, &mut request) else {
                    break;
                };
                let drawn = request.draws.have_begun(task.ask.random);
                let choice = choice(pick.index, pick.exploring, drawn);
                if let Some(taken) = acquire(&candidates, choice, task) {
                    return Some(taken);
                }
            }
        }
        (0..candidates.len())
            .find_map(|index| acquire(&candidates, choice(index, false, true), task))
    }

    /// What a balancer may use of the request.
    pub(super) fn request<'a>(&'a self, ask: &Ask<'a>, purpose: Purpose) -> Request<'a> {
        Request::new(ask.facts, &self.hash_key, ask.random, purpose)
    }

    /// The backends of a tier as the balancer sees them in the end: with the lots, unless they
    /// spare nobody.
    pub(super) fn view<'a>(
        &'a self,
        tier: &'a Tier,
        up: Up,
        health: Health,
        ask: &'a Ask<'_>,
    ) -> Candidates<'a> {
        let candidates = self.candidates(tier, weight(tier, up, health), health, ask);
        let lot = candidates.lot.filter(|_| candidates.has_eligible());
        Candidates { lot, ..candidates }
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

    /// Takes the slot, and the probe's place where one is needed.
    fn take(&self, choice: Choice, now: Moment) -> Option<Selection> {
        let endpoint = &self.members[choice.member].endpoint;
        let slot = endpoint.take_slot(self.cap)?;
        let trip = endpoint.breaker.open().map(|open| open.trip);
        let probe = if choice.entry.needs_place(trip)? {
            Some(endpoint.take_probe()?)
        } else {
            None
        };
        endpoint.picked(now);
        Some(Selection {
            member: choice.member,
            algorithm: choice.algorithm,
            reason: choice.reason,
            probe,
            slot,
        })
    }

    /// The choice, if [`Self::take`] would get it at this moment.
    pub(super) fn foresee(&self, choice: Choice) -> Option<Choice> {
        let endpoint = &self.members[choice.member].endpoint;
        let open = endpoint.breaker.open();
        let needs_place = choice.entry.needs_place(open.map(|open| open.trip))?;
        let is_let_in = !needs_place || open.is_some_and(|open| !open.is_probing());
        (is_let_in && endpoint.in_flight() < self.cap).then_some(choice)
    }

    /// Saturated as soon as one backend lacks nothing but room.
    fn unavailable(&self, health: Health, ask: &Ask<'_>) -> Unavailable {
        let saturated = self.tiers.iter().any(|tier| {
            let mut candidates = self.candidates(tier, 0, health, ask);
            candidates.lot = None;
            (0..candidates.len()).any(|index| {
                // One that became free by now is as good a reason to wait: it ends the wait at once.
                matches!(candidates.exclusion(index), None | Some(Exclusion::AtCap))
            })
        });
        if saturated {
            Unavailable::Saturated
        } else {
            Unavailable::NoBackend
        }
    }
}

/// Does with a choice what is to be done, if the request may go there.
fn acquire<T>(
    candidates: &Candidates<'_>,
    choice: Choice,
    task: &Task<'_, impl Fn(Choice) -> Option<T>>,
) -> Option<T> {
    if !candidates.is_eligible(choice.member - candidates.offset) {
        return None;
    }
    (task.take)(choice)
}

/// The weight of those whose health counts as good.
const fn weight(tier: &Tier, up: Up, health: Health) -> u64 {
    match health {
        Health::Respected => up.weight,
        Health::Ignored | Health::Desperate => tier.weight(),
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
