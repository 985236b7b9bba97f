//! The fewest requests in flight per weight.
//!
//! The score is what the backend's load would be with this request:
//! (in flight + 1) / weight. An idle upstream therefore prefers its heaviest
//! backend, and a loaded one settles at loads in proportion to the weights.
//!
//! Of several with the same load, the one that got a request longest ago gets
//! this one. Turns alone are not enough: who is idle changes with every request,
//! and with evenly spaced requests the turns can fall in step with it and pass
//! the same backend over for good.

use super::lowest::{Score, lowest};
use super::turns::Turns;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::eligible::Candidates;

#[derive(Debug)]
pub(super) struct LeastConnections {
    turns: Turns,
}

impl LeastConnections {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            turns: Turns::new(seed),
        }
    }
}

impl Balancer for LeastConnections {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let turn = self.turns.next(request);
        lowest(candidates, &mut request.draws, turn, 1.0, |index| {
            let waited = candidates.now.since(candidates.endpoint(index).picked_at());
            Score {
                cost: candidates.load(index),
                load: -waited.as_secs_f32(),
            }
        })
        .map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Load
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        _request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        for index in 0..candidates.len() {
            tell(index, f64::from(candidates.load(index)));
        }
    }
}
