//! Who may get a request: the one place that decides it.
//!
//! A backend qualifies when it has not been tried for this request, nothing
//! speaks against it, and it is below its in-flight cap. What speaks against it:
//! the operator, a heartbeat that is overdue, its checks, an open breaker. In a
//! panic, checks and ejections are opinions and do not count; a connection
//! refused a moment ago is a fact and does.
//!
//! A backend whose share is cut or still growing qualifies for that share of the
//! requests only: each request draws a lot. That works for every algorithm
//! alike, hashes included, and needs no weight to change. When nobody else is
//! left the lot is not asked.
//!
//! Balancers see the backends of a tier only through [`Candidates`].

use super::ask::Tried;
use super::breaker::{Open, Trip};
use super::draw::{Alias, Draws};
use super::endpoint::Endpoint;
use super::exclusion::Exclusion;
use super::gate::{FULL, Gating, Verdict, Wish};
use super::group::Group;
use super::member::Member;
use super::rules::Rules;
use crate::clock::Moment;

/// Random draws before the rest of the tier is scanned.
const DRAWS: usize = 8;

/// Makes the lots of one request independent of each other and of its other draws.
const LOT: u64 = 0xd1b5_4a32_d192_ed03;

/// Whether a backend's health counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Only backends that are available.
    Respected,
    /// Too few are available: any will do that was found up before.
    Ignored,
    /// None is available: any will do.
    Desperate,
}

/// The backends of one tier, as one request sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    /// The tier's members.
    pub(crate) members: &'a [Member],
    /// Position of the first in the upstream.
    pub(crate) offset: usize,
    /// Draws by weight.
    pub(crate) alias: &'a Alias,
    /// Weight of those whose health counts as good.
    pub(crate) available_weight: u64,
    /// What the request has been to.
    pub(crate) tried: &'a Tried,
    /// Whether health counts.
    pub(crate) health: Health,
    /// In-flight cap of each backend.
    pub(crate) cap: u32,
    /// The present moment.
    pub(crate) now: Moment,
    /// By which rules the evidence is judged.
    pub(crate) rules: &'a Rules,
    /// Whether the client's cookie names the backend.
    pub(crate) sticky: bool,
    /// The lot that decides on reduced shares; `None` gives every backend its full share.
    pub(crate) lot: Option<u64>,
    /// What the upstream's endpoints share.
    pub(crate) group: &'a Group,
}

impl Candidates<'_> {
    /// How many there are, eligible or not.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn endpoint(&self, index: usize) -> &Endpoint {
        &self.members[index].endpoint
    }

    pub(crate) fn weight(&self, index: usize) -> u32 {
        self.members[index].weight
    }

    /// What its requests in flight per weight would be with one more.
    pub(crate) fn load(&self, index: usize) -> f32 {
        (self.endpoint(index).in_flight() as f32 + 1.0) / self.weight(index) as f32
    }

    /// Whether the request may go to this one.
    pub(crate) fn is_eligible(&self, index: usize) -> bool {
        self.exclusion(index).is_none()
    }

    /// What keeps the request from going to this one.
    pub(crate) fn exclusion(&self, index: usize) -> Option<Exclusion> {
        let endpoint = self.endpoint(index);
        if self.tried.contains(self.offset + index) {
            return Some(Exclusion::Tried);
        }
        let gating = endpoint.gate.load();
        if !(gating.is_clear() && endpoint.breaker.is_closed()) {
            let objection = self.objection(endpoint, gating);
            if objection.is_some() {
                return objection;
            }
            if self.is_withheld(endpoint, index) {
                return Some(Exclusion::ReducedShare);
            }
        }
        (endpoint.in_flight() >= self.cap).then_some(Exclusion::AtCap)
    }

    /// Whether any may get the request.
    pub(crate) fn has_eligible(&self) -> bool {
        (0..self.len()).any(|index| self.is_eligible(index))
    }

    /// Whether a lot decides on anybody.
    pub(crate) fn has_lots(&self) -> bool {
        self.lot.is_some()
            && self.health == Health::Respected
            && self.members.iter().any(|member| {
                let endpoint = &member.endpoint;
                let objection = self.objection(endpoint, endpoint.gate.load());
                objection.is_none() && endpoint.share(self.now, self.rules) < FULL
            })
    }

    /// What speaks against it.
    fn objection(&self, endpoint: &Endpoint, gating: Gating) -> Option<Exclusion> {
        match gating.wish() {
            Wish::Active => {}
            Wish::Draining if self.sticky && self.now < endpoint.deadline() => {}
            Wish::Draining => return Some(Exclusion::Draining),
            Wish::Maintenance => return Some(Exclusion::Maintenance),
        }
        if endpoint.is_overdue(self.now) {
            return Some(Exclusion::Expired);
        }
        let open = endpoint.breaker.open();
        match self.health {
            Health::Respected if gating.verdict() != Verdict::Passing => Some(Exclusion::Down),
            Health::Respected => open.map(|open| self.out_for(open)),
            Health::Ignored if gating.verdict() == Verdict::Unknown => Some(Exclusion::Down),
            Health::Ignored | Health::Desperate => open
                .filter(|&open| self.is_a_fact(open))
                .map(|_| Exclusion::Down),
        }
    }

    /// What an open breaker comes to.
    fn out_for(&self, open: Open) -> Exclusion {
        match open.trip {
            Trip::Connect => Exclusion::Down,
            _ if open.is_half_open(self.now) => Exclusion::HalfOpen,
            _ => Exclusion::Ejected,
        }
    }

    /// Whether an open breaker holds in a panic too.
    fn is_a_fact(&self, open: Open) -> bool {
        open.trip == Trip::Connect
            && (self.rules.has_checks()
                || open.is_probing()
                || open.is_fresh(self.now, &self.rules.health.ejection))
    }

    fn is_withheld(&self, endpoint: &Endpoint, index: usize) -> bool {
        let Some(lot) = self.lot.filter(|_| self.health == Health::Respected) else {
            return false;
        };
        let share = endpoint.share(self.now, self.rules);
        share < FULL
            && Draws::new(lot ^ (index as u64 + 1).wrapping_mul(LOT)).below(u64::from(FULL))
                >= u64::from(share)
    }

    /// An eligible one at random, each as likely as the other.
    pub(crate) fn draw_evenly(&self, draws: &mut Draws) -> Option<usize> {
        self.draw(draws, |draws| Some(draws.index(self.len())), |_| 1)
    }

    /// The first positions that [`Self::draw_by_weight`] looks at, eligible or not.
    pub(crate) fn draws_by_weight(&self, mut draws: Draws) -> impl Iterator<Item = usize> {
        (0..DRAWS).map_while(move |_| self.alias.position(draws.next()))
    }

    /// An eligible one at random, in proportion to the weights.
    pub(crate) fn draw_by_weight(&self, draws: &mut Draws) -> Option<usize> {
        self.draw(
            draws,
            |draws| self.alias.position(draws.next()),
            |index| u64::from(self.weight(index)),
        )
    }

    /// A few draws mostly find an eligible one. The scan that follows chooses among all eligible
    /// ones in the same proportions, so neither stage favours the neighbours of those that are out.
    fn draw(
        &self,
        draws: &mut Draws,
        position: impl Fn(&mut Draws) -> Option<usize>,
        weight: impl Fn(usize) -> u64,
    ) -> Option<usize> {
        if self.members.is_empty() {
            return None;
        }
        for _ in 0..DRAWS {
            if let Some(index) = position(draws).filter(|&index| self.is_eligible(index)) {
                return Some(index);
            }
        }
        let mut chosen = None;
        let mut total = 0;
        for index in (0..self.len()).filter(|&index| self.is_eligible(index)) {
            total += weight(index);
            if draws.below(total) < weight(index) {
                chosen = Some(index);
            }
        }
        chosen
    }
}
