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

use std::sync::atomic::{AtomicU64, Ordering};

use super::lowest::{Score, lowest};
use super::{Balancer, Pick, Request};
use crate::upstream::eligible::Candidates;

#[derive(Debug)]
pub(super) struct LeastConnections {
    turn: AtomicU64,
}

impl LeastConnections {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            turn: AtomicU64::new(seed),
        }
    }
}

impl Balancer for LeastConnections {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        lowest(candidates, &mut request.draws, turn, 1.0, |index| {
            let waited = candidates.now.since(candidates.endpoint(index).picked_at());
            Score {
                cost: candidates.load(index),
                load: -waited.as_secs_f32(),
            }
        })
        .map(Pick::of)
    }
}
