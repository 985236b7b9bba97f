//! In turn, weights ignored.
//!
//! One atomic counter. A turn that falls to a backend that may not get the
//! request is used up and the next one taken, so in each round every eligible
//! backend gets one request, and what the missing one leaves is spread evenly
//! instead of falling to its neighbour.

use super::turns::Turns;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::eligible::Candidates;

/// Turns one request may use up before it takes any eligible backend at random.
pub(super) const MAX_TURNS: usize = 16;

#[derive(Debug)]
pub(super) struct RoundRobin {
    turns: Turns,
}

impl RoundRobin {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            turns: Turns::new(seed),
        }
    }
}

impl Balancer for RoundRobin {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder of the list's length"
    )]
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let len = candidates.len() as u64;
        if len == 0 {
            return None;
        }
        for _ in 0..MAX_TURNS {
            let index = (self.turns.next(request) % len) as usize;
            if candidates.is_eligible(index) {
                return Some(Pick::of(index));
            }
        }
        candidates.draw_evenly(&mut request.draws).map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Turns
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        _request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        let len = candidates.len() as u64;
        let next = self.turns.peek().checked_rem(len).unwrap_or(0);
        for (index, position) in (0..candidates.len()).zip(0..) {
            tell(index, ((position + len - next) % len) as f64);
        }
    }
}
