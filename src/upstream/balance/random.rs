//! At random, in proportion to the weights.

use super::{Balancer, Pick, Request};
use crate::upstream::eligible::Candidates;

#[derive(Debug)]
pub(super) struct Random;

impl Balancer for Random {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        candidates.draw_by_weight(&mut request.draws).map(Pick::of)
    }
}
