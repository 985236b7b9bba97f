//! At random, in proportion to the weights.

use super::{Balancer, Measure, Pick, Request};
use crate::upstream::eligible::Candidates;

#[derive(Debug)]
pub(super) struct Random;

impl Balancer for Random {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        candidates.draw_by_weight(&mut request.draws).map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Chance
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        _request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        let eligible = || (0..candidates.len()).filter(|&index| candidates.is_eligible(index));
        let weight = |index| f64::from(candidates.weight(index));
        let total: f64 = eligible().map(weight).sum();
        for index in eligible() {
            tell(index, weight(index) / total);
        }
    }
}
