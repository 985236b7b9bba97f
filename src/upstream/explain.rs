//! Why a request would go where it would go.
//!
//! Nothing is decided a second time here. The pick is foreseen by the code that
//! picks; who is out, and why, is asked of `eligible`; scores come from the
//! balancers. An explanation uses up no turn, slot or probe. What it may do is
//! refresh what selections remember of the backends' states and latencies, as the
//! next selection would.

use std::sync::Arc;

use super::ask::Ask;
use super::availability::Up;
use super::balance::{Balancer, Measure};
use super::choice::{Choice, Purpose, Task};
use super::eligible::{Candidates, Health};
use super::endpoint::Endpoint;
use super::exclusion::Exclusion;
use super::gate::FULL;
use super::select::Upstream;
use super::selection::{PickReason, Unavailable};
use super::tier::Tier;
use crate::config::{Algorithm, HashKey};
use crate::state::{Reason, State};

/// How one pick comes about.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The algorithm in force for the request.
    pub algorithm: Algorithm,
    /// Who says that it is in force.
    pub source: Source,
    /// What the backends' scores are.
    pub measure: Measure,
    /// What is hashed; only for the algorithms that hash.
    pub key: Option<u64>,
    /// Requests that wait for a slot; others are sent behind them.
    pub waiting: usize,
    /// What the sticky cookie comes to.
    pub binding: Binding,
    /// Whether health counts, and why.
    pub panic: Panic,
    /// The backends, primaries first: all of them, or as many as were asked for.
    pub backends: Vec<Considered>,
    /// Backends that are left out of the list.
    pub left_out: usize,
    /// What would be picked.
    pub pick: Result<Foreseen, Unavailable>,
}

/// Who says which algorithm is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The configuration.
    Configured,
    /// `adaptive`, by what it has seen.
    Adaptive,
    /// The request.
    Request,
}

/// What the sticky cookie comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The upstream is not sticky.
    Off,
    /// The request has no cookie.
    None,
    /// Forged, expired, another upstream's, or of a backend that has left.
    Void,
    /// It names the member at this position, which serves the client.
    Holds(usize),
    /// It names the member at this position, which may not get the request: the client is moved.
    Moves(usize, Exclusion),
}

/// Whether health counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Panic {
    /// Whether too few backends are available, so that health is ignored.
    pub is_on: bool,
    /// The share of a tier that must be available, from 0 to 1; at 0 health always counts.
    pub threshold: f64,
    /// Primaries that are available, and that could be.
    pub primaries: (u32, u32),
    /// Backups that are available, and that could be.
    pub backups: (u32, u32),
}

/// One backend's part in the decision.
#[derive(Clone, Debug)]
pub struct Considered {
    /// Its position in [`Upstream::members`].
    pub member: usize,
    /// Its id.
    pub name: Arc<str>,
    /// Its weight.
    pub weight: u32,
    /// Whether it is a backup.
    pub backup: bool,
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// The share of its weight that it gets while it is available, from 0 to 1.
    pub share: f32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Peak EWMA of the time to first byte in seconds.
    pub latency: Option<f64>,
    /// What keeps the request from it; `None` for a candidate.
    pub exclusion: Option<Exclusion>,
    /// What the algorithm compares it by; `None` where it would not look at it.
    pub score: Option<f64>,
}

/// A pick that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Its position in [`Upstream::members`].
    pub member: usize,
    /// Why this one.
    pub reason: PickReason,
    /// Whether it was drawn by lot: the same request could be picked another one.
    pub by_chance: bool,
}

/// What is found out about a tier at once, by position in the tier.
struct Findings {
    exclusions: Vec<Option<Exclusion>>,
    scores: Vec<Option<f64>>,
}

impl Upstream {
    /// Explains the pick that [`Self::select`] would make for `ask` at this moment, with `most`
    /// backends at most; the picked one is always among them.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>, most: usize) -> Explanation {
        let choice = self.decide(&Task {
            ask,
            purpose: Purpose::Foresee,
            take: |choice| self.foresee(choice),
        });
        let picked = choice.ok().map(|choice| choice.member);
        let up = self.up();
        let health = self.health(&up);
        let views = [0, 1].map(|tier| self.view(&self.tiers[tier], up[tier], health, ask));
        let tier = self.tier_of(picked.unwrap_or(0));
        let algorithm = self.algorithm_for(tier, ask);
        let balancer = tier.balancer(algorithm);
        let listed = self.listed(most, picked);
        Explanation {
            algorithm,
            source: self.source(tier, ask),
            measure: balancer.map_or(Measure::Chance, Balancer::measure),
            key: self.key(algorithm, ask),
            waiting: self.group.queue.waiting(),
            binding: self.binding(ask),
            panic: self.panic(&up, health),
            left_out: self.members.len() - listed.len(),
            backends: self.consider(&listed, picked, &views, ask),
            pick: choice.map(|choice| foreseen(choice, &views)),
        }
    }

    /// Why `adaptive` has chosen what is in force, in words; `None` before its first switch.
    #[must_use]
    pub fn evidence(&self) -> Option<Arc<str>> {
        self.fixed.is_none().then(|| self.group.evidence())?
    }

    /// The positions that are listed.
    fn listed(&self, most: usize, picked: Option<usize>) -> Vec<usize> {
        let count = self.members.len();
        let mut listed: Vec<usize> = (0..count.min(most)).collect();
        if let (Some(picked), Some(last)) = (picked, listed.last_mut())
            && picked > *last
        {
            *last = picked;
        }
        listed
    }

    fn source(&self, tier: &Tier, ask: &Ask<'_>) -> Source {
        let asked_for = ask.algorithm.filter(|&one| tier.balancer(one).is_some());
        match (asked_for, self.fixed) {
            (Some(_), _) => Source::Request,
            (None, Some(_)) => Source::Configured,
            (None, None) => Source::Adaptive,
        }
    }

    fn key(&self, algorithm: Algorithm, ask: &Ask<'_>) -> Option<u64> {
        let what = match algorithm {
            Algorithm::IpHash => &HashKey::ClientIp,
            Algorithm::ConsistentHash | Algorithm::Maglev => &self.hash_key,
            _ => return None,
        };
        Some(super::hash_key::of(what, ask.facts))
    }

    fn binding(&self, ask: &Ask<'_>) -> Binding {
        if self.sticky.is_none() {
            return Binding::Off;
        }
        if ask.sticky.is_none() {
            return Binding::None;
        }
        let Some(member) = self.bound(ask) else {
            return Binding::Void;
        };
        let candidates = self.candidates_for_bound(member, ask);
        match candidates.exclusion(member - candidates.offset) {
            None => Binding::Holds(member),
            Some(exclusion) => Binding::Moves(member, exclusion),
        }
    }

    fn panic(&self, up: &[Up; 2], health: Health) -> Panic {
        let [primaries, backups] = up.map(|up| (up.count, up.of));
        Panic {
            is_on: health != Health::Respected,
            threshold: self.panic_threshold.ratio(),
            primaries,
            backups,
        }
    }

    fn consider(
        &self,
        listed: &[usize],
        picked: Option<usize>,
        views: &[Candidates<'_>; 2],
        ask: &Ask<'_>,
    ) -> Vec<Considered> {
        let [primaries, backups] = views;
        let tiers = [
            self.find_out(&self.tiers[0], primaries, ask, true),
            self.find_out(&self.tiers[1], backups, ask, !primaries.has_eligible()),
        ];
        let considered = |&member: &usize| {
            let (findings, index) = match member.checked_sub(backups.offset) {
                None => (&tiers[0], member),
                Some(index) => (&tiers[1], index),
            };
            // What a cookie or a probe brings there, the algorithm would not have sent.
            let exclusion = findings.exclusions[index].filter(|_| picked != Some(member));
            self.considered(member, exclusion, findings.scores[index], ask)
        };
        listed.iter().map(considered).collect()
    }

    fn find_out(
        &self,
        tier: &Tier,
        view: &Candidates<'_>,
        ask: &Ask<'_>,
        is_needed: bool,
    ) -> Findings {
        let exclusion = |index| {
            let spare = (!is_needed).then_some(Exclusion::BackupNotNeeded);
            view.exclusion(index).or(spare)
        };
        let mut scores = vec![None; view.len()];
        if let Some(balancer) = tier.balancer(self.algorithm_for(tier, ask)) {
            let request = self.request(ask, Purpose::Foresee);
            balancer.score(view, &request, &mut |index, score| {
                scores[index] = Some(score);
            });
        }
        Findings {
            exclusions: (0..view.len()).map(exclusion).collect(),
            scores,
        }
    }

    fn considered(
        &self,
        position: usize,
        exclusion: Option<Exclusion>,
        score: Option<f64>,
        ask: &Ask<'_>,
    ) -> Considered {
        let member = &self.members[position];
        let endpoint: &Endpoint = &member.endpoint;
        let (state, reason) = endpoint.derive(ask.now);
        Considered {
            member: position,
            name: endpoint.shared_name(),
            weight: member.weight,
            backup: member.backup,
            state,
            reason,
            share: endpoint.share(ask.now, &self.rules) as f32 / FULL as f32,
            in_flight: endpoint.in_flight(),
            latency: endpoint
                .latency_micros(ask.now)
                .map(|micros| f64::from(micros) / 1e6),
            exclusion,
            score,
        }
    }
}

fn foreseen(choice: Choice, views: &[Candidates<'_>; 2]) -> Foreseen {
    let by_merit = !matches!(choice.reason, PickReason::Sticky | PickReason::Probe);
    let is_lot = by_merit && views.iter().any(Candidates::has_lots);
    Foreseen {
        member: choice.member,
        reason: choice.reason,
        by_chance: choice.drawn || is_lot,
    }
}
