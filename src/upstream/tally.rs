//! How many answers a backend gave in the current window, and how long they took in sum.
//!
//! Both are one word, so that an answer costs one addition and whoever closes
//! the window takes both at once: 24 bits of answers, 40 bits of microseconds
//! (12 days of latency in one window).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SUM_BITS: u32 = 40;
/// No single answer counts for more: a minute is as slow as anything.
const LONGEST: Duration = Duration::from_mins(1);

/// The current window of one backend.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

/// What the answers of one backend came to in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// How many there were.
    pub(crate) requests: u32,
    /// Their mean time to first byte in microseconds; 0 without an answer.
    pub(crate) mean: f64,
}

impl Sample {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        let requests = self.requests.saturating_add(other.requests);
        let total = self.mean * f64::from(self.requests) + other.mean * f64::from(other.requests);
        Self {
            requests,
            mean: total / f64::from(requests.max(1)),
        }
    }
}

impl Tally {
    /// Counts one answer.
    pub(crate) fn add(&self, first_byte: Duration) {
        let micros = u64::try_from(first_byte.min(LONGEST).as_micros()).unwrap_or(0);
        self.0
            .fetch_add((1 << SUM_BITS) | micros, Ordering::Relaxed);
    }

    /// Closes the window and begins the next one.
    pub(crate) fn take(&self) -> Sample {
        let word = self.0.swap(0, Ordering::Relaxed);
        let requests = u32::try_from(word >> SUM_BITS).unwrap_or(u32::MAX);
        let sum = word & ((1 << SUM_BITS) - 1);
        Sample {
            requests,
            mean: sum as f64 / f64::from(requests.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_a_window_begins_the_next() {
        let tally = Tally::default();
        for millis in [1, 2, 6] {
            tally.add(Duration::from_millis(millis));
        }
        tally.add(Duration::from_hours(1));
        let window = tally.take();
        assert_eq!(window.requests, 4);
        assert!((window.mean - 60_009_000.0 / 4.0).abs() < 1.0);
        assert_eq!(tally.take().requests, 0);
    }
}
