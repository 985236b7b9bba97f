//! The less loaded of two drawn at random by weight.
//!
//! Close to the least loaded of all (Mitzenmacher 2001) at the cost of two
//! looks, and without the herd: requests decided at the same time rarely look
//! at the same two. Load is requests in flight per weight; where it is equal,
//! the first draw stands, so that an idle upstream is used by weight.

use super::{Balancer, Measure, Pick, Request};
use crate::upstream::draw::Draws;
use crate::upstream::eligible::Candidates;

#[derive(Debug)]
pub(super) struct PowerOfTwo;

impl Balancer for PowerOfTwo {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let draws = &mut request.draws;
        let first = candidates.draw_by_weight(draws)?;
        let Some(second) = another(candidates, first, draws) else {
            return Some(Pick::of(first));
        };
        let load = |index, weight_of| {
            u64::from(candidates.endpoint(index).in_flight())
                * u64::from(candidates.weight(weight_of))
        };
        // in_flight(second) / weight(second) < in_flight(first) / weight(first), without the divisions.
        let second_is_less_loaded = load(second, first) < load(first, second);
        Some(Pick::of(if second_is_less_loaded { second } else { first }))
    }

    fn measure(&self) -> Measure {
        Measure::InFlight
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        _request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        for index in 0..candidates.len() {
            let in_flight = f64::from(candidates.endpoint(index).in_flight());
            tell(index, in_flight / f64::from(candidates.weight(index)));
        }
    }
}

/// An eligible candidate other than `first`: by weight, or, where `first` outweighs the rest so
/// much that this keeps giving it, any other.
fn another(candidates: &Candidates<'_>, first: usize, draws: &mut Draws) -> Option<usize> {
    let others = candidates.len() - 1;
    if others == 0 {
        return None;
    }
    let eligible = |&index: &usize| index != first && candidates.is_eligible(index);
    for _ in 0..2 {
        if let Some(index) = candidates.alias.position(draws.next()).filter(eligible) {
            return Some(index);
        }
    }
    let index = (first + 1 + draws.index(others)) % candidates.len();
    Some(index).filter(eligible)
}
