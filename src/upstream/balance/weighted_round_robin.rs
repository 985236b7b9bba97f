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

use std::cmp::Reverse;
use std::collections::BTreeMap;

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

/// Backends of the same weight: whoever of them had the fewest turns has the most credit, so they
/// take turns among themselves, and only one of them has to be looked at.
struct Equals {
    weight: i64,
    /// Their positions, ascending.
    members: Vec<u16>,
    /// Whose turn it is.
    next: usize,
    /// Turns that each has had, those before `next` one more.
    rounds: i64,
}

/// Costs the length of the sequence times the number of different weights, of which that length
/// allows 361, off the request path.
fn smooth(weights: &[u32]) -> Box<[u16]> {
    let mut by_weight: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
    for (index, &weight) in weights.iter().enumerate() {
        let index = u16::try_from(index).expect("an upstream has at most MAX_MEMBERS members");
        by_weight.entry(weight).or_default().push(index);
    }
    let equals = by_weight.into_iter().map(|(weight, members)| Equals {
        weight: i64::from(weight),
        members,
        next: 0,
        rounds: 0,
    });
    let mut equals: Vec<Equals> = equals.collect();
    let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let mut sequence = Vec::new();
    for turn in 1..=total {
        let credit = |one: &&mut Equals| {
            let credit = turn * one.weight - total * one.rounds;
            (credit, Reverse(one.members[one.next]))
        };
        let Some(richest) = equals.iter_mut().max_by_key(credit) else {
            break;
        };
        sequence.push(richest.members[richest.next]);
        richest.next += 1;
        if richest.next == richest.members.len() {
            richest.next = 0;
            richest.rounds += 1;
        }
    }
    sequence.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::smooth;

    /// The same, as it is defined: everybody gains its weight, the richest pays the total.
    fn defined(weights: &[u32]) -> Vec<u16> {
        let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut credit = vec![0_i64; weights.len()];
        let turn = |_| {
            for (credit, &weight) in credit.iter_mut().zip(weights) {
                *credit += i64::from(weight);
            }
            let most = *credit.iter().max().unwrap();
            let richest = credit.iter().position(|&one| one == most).unwrap();
            credit[richest] -= total;
            u16::try_from(richest).unwrap()
        };
        (0..total).map(turn).collect()
    }

    proptest! {
        #[test]
        fn equal_weights_together_give_the_sequence_of_each_alone(
            weights in proptest::collection::vec(1..9_u32, 1..20)
        ) {
            prop_assert_eq!(smooth(&weights).into_vec(), defined(&weights));
        }
    }

    #[test]
    fn spreads_the_heavy_backend() {
        assert_eq!(*smooth(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*smooth(&[1, 1, 1]), [0, 1, 2]);
        assert!(smooth(&[]).is_empty());
    }
}
