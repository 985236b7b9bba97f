//! The lowest latency x (requests in flight + 1) / weight.
//!
//! The product estimates how long a request would take there, queueing behind
//! those in flight; see [`latency`](crate::upstream::latency) for the peak EWMA
//! and for what failures do to it.
//!
//! A backend that never got a request gets the next one, and counts as an
//! average one (the upstream's median) until it has answered.
//!
//! Two refinements. Among scores within 25 % of the lowest, the requests in
//! flight per weight decide, and then turns: latencies scatter by more than
//! that, and without it, the backend that happened to answer a microsecond
//! faster would get every request of a quiet upstream. And a backend that gets
//! no traffic is measured again: every 200th request may go to the one that has
//! waited longest, if that is over half a second, so a slow backend is found to
//! be fast again and no more than 0.5 % of requests pay for it, too few for the
//! 99th percentile to notice. Where 0.5 % is less than a request every few
//! seconds, the decay toward the median brings it back in time.

use std::time::Duration;

use super::lowest::{SCAN, Score, lowest};
use super::turns::Turns;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::draw::Draws;
use crate::upstream::eligible::Candidates;

const TOLERANCE: f32 = 1.25;
/// One request in so many may explore.
const EXPLORE_EVERY: u64 = 200;
/// How long a backend goes without a request before it is explored.
const STALE_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct WeightedResponseTime {
    turns: Turns,
}

impl WeightedResponseTime {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            turns: Turns::new(seed),
        }
    }
}

impl Balancer for WeightedResponseTime {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        if candidates.group.median_is_due(candidates.now)
            && let Some(median) = median(candidates)
        {
            candidates.group.set_median(median);
        }
        let turn = self.turns.next(request);
        let draws = &mut request.draws;
        if turn.is_multiple_of(EXPLORE_EVERY)
            && let Some(index) = stalest(candidates, draws)
        {
            return Some(Pick {
                index,
                exploring: true,
            });
        }
        lowest(candidates, draws, turn, TOLERANCE, |index| Score {
            cost: cost(candidates, index),
            load: candidates.load(index),
        })
        .map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Cost
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        _request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        for index in 0..candidates.len() {
            tell(index, f64::from(cost(candidates, index)) / 1e6);
        }
    }
}

/// How long a request would take there, in microseconds.
fn cost(candidates: &Candidates<'_>, index: usize) -> f32 {
    let endpoint = candidates.endpoint(index);
    // One request shows more than any guess: a backend nobody has asked yet is asked next.
    if endpoint.is_new() {
        0.0
    } else {
        endpoint.cost(candidates.now) * candidates.load(index)
    }
}

/// The eligible candidate that has gone longest without a request, if that is too long.
fn stalest(candidates: &Candidates<'_>, draws: &mut Draws) -> Option<usize> {
    // Rare enough to look at more of a large upstream than a choice does.
    (0..candidates.len().min(SCAN))
        .map(|step| match candidates.len() {
            ..=SCAN => step,
            len => draws.index(len),
        })
        .filter(|&index| candidates.is_eligible(index))
        .map(|index| (candidates.endpoint(index).picked_at(), index))
        .min()
        .filter(|(picked_at, _)| candidates.now.since(*picked_at) > STALE_AFTER)
        .map(|(_, index)| index)
}

/// The median of what was measured; of many candidates, that of 64 spread over the list.
fn median(candidates: &Candidates<'_>) -> Option<f32> {
    let mut latencies = [0.0_f32; SCAN];
    let mut count = 0;
    let looks = candidates.len().min(SCAN);
    for look in 0..looks {
        let index = look * candidates.len() / looks;
        if let Some(latency) = candidates.endpoint(index).measured() {
            latencies[count] = latency;
            count += 1;
        }
    }
    let measured = &mut latencies[..count];
    measured.sort_unstable_by(f32::total_cmp);
    let upper = *measured.get(count / 2)?;
    let lower = measured[(count - 1) / 2];
    Some(f32::midpoint(lower, upper))
}
