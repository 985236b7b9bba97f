//! Who may get a request: the one place that decides it.
//!
//! A backend qualifies when it has not been tried for this request, is below
//! its in-flight cap, and its breaker lets the request through; in a panic the
//! breaker is not asked, the cap always. Balancers see the backends of a tier
//! only through [`Candidates`].

use super::ask::Tried;
use super::draw::{Alias, Draws};
use super::endpoint::Endpoint;
use super::group::Group;
use super::member::Member;
use crate::clock::Moment;

/// Random draws before the rest of the tier is scanned.
const DRAWS: usize = 8;

/// Whether a backend's health counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Only backends that are up.
    Respected,
    /// Too few are up: any will do.
    Ignored,
}

/// Whether a backend may get the request, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Eligible,
    /// The request has been there.
    Tried,
    /// Its breaker is open.
    Down,
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
            Standing::Tried
        } else if self.health == Health::Respected && !endpoint.would_admit(self.now) {
            Standing::Down
        } else if endpoint.in_flight() >= self.cap {
            Standing::Full
        } else {
            Standing::Eligible
        }
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
