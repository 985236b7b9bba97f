//! The lowest score among the candidates, ties in rotation.
//!
//! Up to [`SCAN`] backends are all compared. Beyond that, as many are drawn at
//! random: the best of 64 is within a few percent of the best of all, and a
//! decision costs the same with ten thousand backends as with 64.

use crate::upstream::draw::Draws;
use crate::upstream::eligible::Candidates;

/// Backends compared in one decision.
pub(super) const SCAN: usize = 64;

/// The eligible candidate with the lowest score. Scores up to `tolerance` times the lowest count
/// as equal; among equals, `turn` decides, so that successive turns go round.
pub(super) fn lowest(
    candidates: &Candidates<'_>,
    draws: &mut Draws,
    turn: u64,
    tolerance: f64,
    score: impl Fn(usize) -> f64,
) -> Option<usize> {
    let mut seen = [(0.0, 0_usize); SCAN];
    let mut count = 0;
    let mut best = f64::INFINITY;
    for step in 0..candidates.len().min(SCAN) {
        let index = sample(candidates, draws, step);
        if candidates.is_eligible(index) {
            let score = score(index);
            best = best.min(score);
            seen[count] = (score, index);
            count += 1;
        }
    }
    if count == 0 {
        return candidates.draw_by_weight(draws);
    }
    among_equals(&mut seen[..count], best * tolerance, turn)
}

/// The position looked at in this step: each once, or a random one where there are too many.
pub(super) fn sample(candidates: &Candidates<'_>, draws: &mut Draws, step: usize) -> usize {
    if candidates.len() <= SCAN {
        step
    } else {
        draws.index(candidates.len())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder of a count up to SCAN"
)]
fn among_equals(seen: &mut [(f64, usize)], limit: f64, turn: u64) -> Option<usize> {
    let mut equals = 0;
    for at in 0..seen.len() {
        if seen[at].0 <= limit {
            seen[equals] = seen[at];
            equals += 1;
        }
    }
    let nth = turn.checked_rem(equals as u64)? as usize;
    Some(seen[nth].1)
}
