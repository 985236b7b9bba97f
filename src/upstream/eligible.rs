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
use super::breaker::Trip;
use super::draw::{Alias, Draws};
use super::endpoint::Endpoint;
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

/// Whether a backend may get the request, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Eligible,
    /// The request has been there.
    Tried,
    /// Something speaks against it.
    Out,
    /// Its share is cut or still growing, and this request is not part of it.
    Withheld,
    /// It is at its in-flight cap.
    Full,
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
        self.standing(index) == Standing::Eligible
    }

    pub(crate) fn standing(&self, index: usize) -> Standing {
        let endpoint = self.endpoint(index);
        if self.tried.contains(self.offset + index) {
            return Standing::Tried;
        }
        let gating = endpoint.gate.load();
        if !(gating.is_clear() && endpoint.breaker.is_closed()) {
            if self.speaks_against(endpoint, gating) {
                return Standing::Out;
            }
            if self.is_withheld(endpoint, index) {
                return Standing::Withheld;
            }
        }
        if endpoint.in_flight() >= self.cap {
            Standing::Full
        } else {
            Standing::Eligible
        }
    }

    fn speaks_against(&self, endpoint: &Endpoint, gating: Gating) -> bool {
        let operator = match gating.wish() {
            Wish::Active => false,
            Wish::Draining => !(self.sticky && self.now < endpoint.deadline()),
            Wish::Maintenance => true,
        };
        if operator || endpoint.is_overdue(self.now) {
            return true;
        }
        match self.health {
            Health::Respected => {
                gating.verdict() != Verdict::Passing || !endpoint.breaker.is_closed()
            }
            Health::Ignored if gating.verdict() == Verdict::Unknown => true,
            Health::Ignored | Health::Desperate => endpoint.breaker.open().is_some_and(|open| {
                open.trip == Trip::Connect
                    && (self.rules.has_checks()
                        || open.is_probing()
                        || open.is_fresh(self.now, &self.rules.health.ejection))
            }),
        }
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
