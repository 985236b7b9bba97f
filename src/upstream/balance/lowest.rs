//! The lowest cost among the candidates, ties in rotation.
//!
//! Up to [`SCAN`] backends are all compared. Beyond that, [`DRAWN`] are drawn by
//! weight: two are enough to spread load well (Mitzenmacher 2001), the best of
//! ten is among the best tenth of all in two decisions of three, and a decision
//! costs about the same with ten thousand backends as with ten.

use crate::upstream::draw::Draws;
use crate::upstream::eligible::Candidates;

/// The most backends that are all compared in one decision.
pub(super) const SCAN: usize = 64;

/// Those that are compared where there are more: each is a cache miss then.
const DRAWN: usize = 10;

/// What speaks against a candidate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    /// Decides, unless the difference is within the tolerance.
    pub(super) cost: f32,
    /// Decides among those whose costs are about the same: the lowest, which may be negative.
    pub(super) load: f32,
}

/// The eligible candidate with the lowest cost. Costs up to `tolerance` times the lowest count as
/// equal; among them the lowest load decides, and then `turn`, so that successive turns go round.
pub(super) fn lowest(
    candidates: &Candidates<'_>,
    draws: &mut Draws,
    turn: u64,
    tolerance: f32,
    score: impl Fn(usize) -> Score,
) -> Option<usize> {
    let mut seen = [(Score::default(), 0_usize); SCAN];
    let mut count = 0;
    let all = candidates.len() <= SCAN;
    for step in 0..if all { candidates.len() } else { DRAWN } {
        // By weight: a heavy one among a thousand must be looked at as often as it is due.
        let index = if all {
            step
        } else {
            candidates.alias.position(draws.next()).unwrap_or(step)
        };
        if candidates.is_eligible(index) {
            seen[count] = (score(index), index);
            count += 1;
        }
    }
    if count == 0 {
        return candidates.draw_by_weight(draws);
    }
    let count = keep_lowest(&mut seen[..count], tolerance, |score| score.cost);
    let count = keep_lowest(&mut seen[..count], 1.0, |score| score.load);
    nth(&seen[..count], turn)
}

/// Moves those within the tolerance to the front and says how many there are.
fn keep_lowest(
    seen: &mut [(Score, usize)],
    tolerance: f32,
    measure: impl Fn(&Score) -> f32,
) -> usize {
    let lowest = seen
        .iter()
        .map(|(score, _)| measure(score))
        .fold(f32::INFINITY, f32::min);
    let limit = lowest * tolerance;
    let mut kept = 0;
    for at in 0..seen.len() {
        if measure(&seen[at].0) <= limit {
            seen[kept] = seen[at];
            kept += 1;
        }
    }
    kept
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder of a count up to SCAN"
)]
fn nth(seen: &[(Score, usize)], turn: u64) -> Option<usize> {
    let nth = turn.checked_rem(seen.len() as u64)? as usize;
    Some(seen[nth].1)
}
