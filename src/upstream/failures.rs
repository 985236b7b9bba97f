//! How many of a backend's requests failed lately.
//!
//! Two counts: failures in a row, and the share of failures in a sliding window.
//! The window is a ring of slices, so that it slides by an eighth of its length;
//! a slice is one word with the number of the eighth it counts, requests and
//! failures, and starts anew when a request finds an older number in it. Nothing
//! sweeps, and the ring is summed up only when a request has failed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::breaker::Trip;
use crate::clock::Moment;
use crate::config::Passive;

const SLICES: usize = 8;
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const NUMBER_SHIFT: u32 = 2 * COUNT_BITS;
const NUMBER_MAX: u64 = (1 << (64 - NUMBER_SHIFT)) - 1;

/// A backend's recent failures.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    row: AtomicU32,
    ring: [AtomicU64; SLICES],
}

impl Failures {
    /// A request was answered.
    pub(crate) fn answered(&self, now: Moment, passive: &Passive) {
        if self.row.load(Ordering::Relaxed) != 0 {
            self.row.store(0, Ordering::Relaxed);
        }
        self.count(now, passive, 0);
    }

    /// A request failed. Says what that is enough for.
    pub(crate) fn failed(&self, now: Moment, passive: &Passive) -> Option<Trip> {
        let row = self.row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.count(now, passive, 1);
        if passive.consecutive_failures > 0 && row >= passive.consecutive_failures {
            return Some(Trip::Consecutive);
        }
        let (requests, failures) = self.sum(now, passive);
        let enough = requests >= u64::from(passive.min_requests.max(1));
        let share = failures as f64 / requests.max(1) as f64;
        (enough && share >= passive.failure_ratio.ratio()).then_some(Trip::Ratio)
    }

    /// Forgets everything: what led to an ejection is not held against the backend twice.
    pub(crate) fn clear(&self) {
        self.row.store(0, Ordering::Relaxed);
        for slice in &self.ring {
            slice.store(0, Ordering::Relaxed);
        }
    }

    fn count(&self, now: Moment, passive: &Passive, failures: u64) {
        let number = number(now, passive);
        let slice = &self.ring[place(number)];
        let mut word = slice.load(Ordering::Relaxed);
        loop {
            let (requests, failed) = counts(word, number).unwrap_or((0, 0));
            let next = (number << NUMBER_SHIFT)
                | ((requests + 1).min(COUNT_MAX) << COUNT_BITS)
                | (failed + failures).min(COUNT_MAX);
            match slice.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => word = changed,
            }
        }
    }

    fn sum(&self, now: Moment, passive: &Passive) -> (u64, u64) {
        let newest = number(now, passive);
        let mut sum = (0, 0);
        for back in 0..SLICES as u64 {
            let number = newest.wrapping_sub(back) & NUMBER_MAX;
            let word = self.ring[place(number)].load(Ordering::Relaxed);
            if let Some((requests, failures)) = counts(word, number) {
                sum = (sum.0 + requests, sum.1 + failures);
            }
        }
        sum
    }
}

/// The number of the eighth of a window that `now` falls into. Never zero, which stands for an
/// unused slice; wraps after 24 bits, which is 8 months at the default.
fn number(now: Moment, passive: &Passive) -> u64 {
    let slice = u64::try_from(passive.window.as_micros()).unwrap_or(u64::MAX) / SLICES as u64;
    (now.as_micros() / slice.max(1) + 1) & NUMBER_MAX
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder of the ring's length"
)]
fn place(number: u64) -> usize {
    (number % SLICES as u64) as usize
}

/// Requests and failures of a slice, if it counts the eighth of this number.
fn counts(word: u64, number: u64) -> Option<(u64, u64)> {
    let own = word != 0 && word >> NUMBER_SHIFT == number;
    own.then_some(((word >> COUNT_BITS) & COUNT_MAX, word & COUNT_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Percent;

    const PASSIVE: Passive = Passive {
        consecutive_failures: 0,
        failure_ratio: Percent::HALF,
        window: Duration::from_secs(8),
        min_requests: 10,
    };

    fn at(millis: u64) -> Moment {
        Moment::from_micros(1_000_000_000 + millis * 1_000)
    }

    #[test]
    fn failures_in_a_row_are_broken_by_an_answer() {
        let failures = Failures::default();
        let passive = Passive {
            consecutive_failures: 3,
            min_requests: 1_000,
            ..PASSIVE
        };
        for _ in 0..5 {
            assert_eq!(failures.failed(at(0), &passive), None);
            assert_eq!(failures.failed(at(0), &passive), None);
            failures.answered(at(0), &passive);
        }
        failures.failed(at(0), &passive);
        failures.failed(at(0), &passive);
        assert_eq!(failures.failed(at(0), &passive), Some(Trip::Consecutive));
        failures.clear();
        assert_eq!(failures.failed(at(0), &passive), None);
    }

    #[test]
    fn a_share_needs_enough_requests() {
        let failures = Failures::default();
        for _ in 0..4 {
            failures.answered(at(0), &PASSIVE);
            assert_eq!(failures.failed(at(0), &PASSIVE), None);
        }
        failures.answered(at(0), &PASSIVE);
        assert_eq!(failures.failed(at(0), &PASSIVE), Some(Trip::Ratio));
    }

    proptest! {
        /// The ring forgets by slices: what it sums up is everything of the last 7/8 of the
        /// window and nothing older than the whole.
        #[test]
        fn the_window_slides(gaps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..200)) {
            let failures = Failures::default();
            let mut now = 0;
            let mut all = Vec::new();
            for (gap, bad) in gaps {
                now += gap;
                failures.count(at(now), &PASSIVE, u64::from(bad));
                all.push((now, bad));
                let (requests, failed) = failures.sum(at(now), &PASSIVE);
                let within = |window: u64| {
                    let recent = all.iter().filter(|(when, _)| when + window > now);
                    (recent.clone().count() as u64, recent.filter(|(_, bad)| *bad).count() as u64)
                };
                let (least, most) = (within(7_000), within(8_000));
                prop_assert!(least.0 <= requests && requests <= most.0);
                prop_assert!(least.1 <= failed && failed <= most.1);
            }
        }
    }
}
