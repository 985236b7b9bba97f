//! By the client's address.
//!
//! The hash of the whole address stands for a random number, so clients spread
//! by weight and each stays with its backend. While that one is out, its
//! clients, and only they, are drawn again with the numbers that follow from
//! the same hash. When the list of backends changes, most clients move; where
//! that matters, `consistent_hash` and `maglev` hash the client's address too.

use super::order::tell_order;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::draw::Draws;
use crate::upstream::eligible::Candidates;

#[derive(Debug)]
pub(super) struct IpHash;

impl Balancer for IpHash {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let mut draws = Draws::new(request.client_key());
        candidates.draw_by_weight(&mut draws).map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Order
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        let draws = candidates.draws_by_weight(Draws::new(request.client_key()));
        tell_order(candidates.len(), draws, tell);
    }
}
