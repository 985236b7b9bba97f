//! By the hash key on a Ketama ring, with bounded load.
//!
//! The ring is NGINX's: when a backend joins or leaves, only the keys next to its
//! points move. On its own such a
//! ring lets one popular key overload its backend, so a backend is passed over
//! while it has more than 1.25 times the average of requests in flight per
//! weight (Mirrokni et al. 2018); the key then goes to the next on the ring.
//! With few requests in flight the average is small and keys move early: that
//! is the price of the bound.

use super::order::tell_order;
use super::ring::Ring;
use super::weights::reduced;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::draw::Draws;
use crate::upstream::eligible::Candidates;
use crate::upstream::member::Member;

/// Units of weight on a ring: about a million points, 10 MB. Weights that sum up to more are rounded.
const MAX_UNITS: u32 = 6_553;
/// Points walked from a key's own before the key is drawn instead.
const MAX_STEPS: usize = 256;

/// The bound is 5/4 of the average.
const BOUND: (u64, u64) = (5, 4);

#[derive(Debug)]
pub(super) struct ConsistentHash {
    ring: Ring,
}

impl ConsistentHash {
    pub(super) fn new(members: &[Member]) -> Self {
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        let addresses = members.iter().map(|member| member.endpoint.address());
        Self {
            ring: Ring::new(addresses.zip(reduced(&weights, MAX_UNITS))),
        }
    }

    /// Whose the points are from the key's own on.
    fn walk(&self, key: u64) -> impl Iterator<Item = usize> {
        let points = self.ring.len();
        let start = self.ring.point_of(&key.to_le_bytes());
        let mut last = None;
        (0..MAX_STEPS.min(points))
            .map(move |step| self.ring.owner((start + step) % points))
            .filter(move |&index| last.replace(index) != Some(index))
    }
}

impl Balancer for ConsistentHash {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let key = request.key();
        let bound = Bound::new(candidates);
        let mut nearest = None;
        for index in self.walk(key) {
            if !candidates.is_eligible(index) {
                continue;
            }
            if bound.has_room(candidates, index) {
                return Some(Pick::of(index));
            }
            nearest = nearest.or(Some(index));
        }
        nearest
            .or_else(|| candidates.draw_by_weight(&mut Draws::new(key)))
            .map(Pick::of)
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
        let key = request.key();
        let bound = Bound::new(candidates);
        let with_room = |wanted| {
            let bound = &bound;
            let has_room = move |&index: &usize| bound.has_room(candidates, index) == wanted;
            self.walk(key).filter(has_room)
        };
        // Those that are above the bound are asked again when nobody else is left.
        let order = with_room(true).chain(with_room(false));
        tell_order(candidates.len(), order, tell);
    }
}

/// The most one backend may have in flight, for each unit of its weight.
struct Bound {
    /// All of the upstream's requests in flight, those of another tier included, and the one to place.
    in_flight: u64,
    weight: u64,
}

impl Bound {
    fn new(candidates: &Candidates<'_>) -> Self {
        Self {
            in_flight: candidates.group.in_flight() as u64 + 1,
            weight: candidates.available_weight.max(1),
        }
    }

    /// Whether one more keeps it at or below the bound, rounded up to whole requests.
    fn has_room(&self, candidates: &Candidates<'_>, index: usize) -> bool {
        let in_flight = candidates.endpoint(index).in_flight();
        let weight = candidates.weight(index);
        let (numerator, denominator) = BOUND;
        let allowed =
            (numerator * self.in_flight * u64::from(weight)).div_ceil(denominator * self.weight);
        u64::from(in_flight) < allowed
    }
}
