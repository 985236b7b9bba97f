//! In turn, in proportion to the weights and evenly spread.
//!
//! NGINX's smooth sequence (each backend gains its weight, the richest is chosen
//! and pays the total) needs all counters at once, hence a lock. It repeats
//! after as many turns as the reduced weights sum up to, so it is computed once
//! and walked with one atomic counter.
//!
//! A turn that falls to a backend that may not get the request is used up, as
//! in `round_robin`: over one length of the sequence every other backend still
//! gets turns in proportion to its weight. After [`MAX_TURNS`] such turns the
//! backend is drawn at random by weight, in the same proportions.

use super::order::tell_firsts;
use super::round_robin::MAX_TURNS;
use super::turns::Turns;
use super::weights::reduced;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::eligible::Candidates;

/// Turns in a sequence: 128 KiB at most. Weights whose ratio needs more are rounded; a thousand
/// backends with arbitrary weights then keep their share within 1 % of it on average.
const MAX_LENGTH: u32 = 65_536;

#[derive(Debug)]
pub(super) struct WeightedRoundRobin {
    sequence: Box<[u16]>,
    turns: Turns,
}

impl WeightedRoundRobin {
    pub(super) fn new(weights: &[u32], seed: u64) -> Self {
        Self {
            sequence: smooth(&reduced(weights, MAX_LENGTH)),
            turns: Turns::new(seed),
        }
    }
}

impl Balancer for WeightedRoundRobin {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder of the sequence's length"
    )]
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let len = self.sequence.len() as u64;
        if len == 0 {
            return None;
        }
        for _ in 0..MAX_TURNS {
            let turn = self.turns.next(request) % len;
            let index = usize::from(self.sequence[turn as usize]);
            if candidates.is_eligible(index) {
                return Some(Pick::of(index));
            }
        }
        candidates.draw_by_weight(&mut request.draws).map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Turns
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder of the sequence's length"
    )]
    fn score(
        &self,
        candidates: &Candidates<'_>,
        _request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        let len = self.sequence.len();
        let next = self.turns.peek().checked_rem(len as u64).unwrap_or(0) as usize;
        let coming = self.sequence.iter().cycle().skip(next).take(len);
        let turns = coming.map(|&index| usize::from(index)).zip(0_u32..);
        tell_firsts(candidates.len(), turns, tell);
    }
}

/// Costs the number of backends times the length of the sequence, off the request path.
fn smooth(weights: &[u32]) -> Box<[u16]> {
    let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut sequence = Vec::new();
    for _ in 0..total {
        let mut richest = 0;
        for index in 0..weights.len() {
            credit[index] += i64::from(weights[index]);
            if credit[index] > credit[richest] {
                richest = index;
            }
        }
        credit[richest] -= total;
        sequence.push(u16::try_from(richest).expect("an upstream has at most MAX_MEMBERS members"));
    }
    sequence.into()
}

#[cfg(test)]
mod tests {
    use super::smooth;

    #[test]
    fn spreads_the_heavy_backend() {
        assert_eq!(*smooth(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*smooth(&[1, 1, 1]), [0, 1, 2]);
        assert!(smooth(&[]).is_empty());
    }
}
