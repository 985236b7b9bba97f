//! The cells a request writes: a counter, a histogram, counts by a word.
//!
//! A series is a few atomics in a struct that the request already holds, so
//! recording neither hashes nor locks. A histogram is kept in whole
//! microseconds without a separate count: two atomic additions per
//! observation, and a sum that never rounds.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds of every latency histogram.
pub const LATENCY_BOUNDS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// Upper bounds in microseconds of our own overhead: [`LATENCY_BOUNDS`], and
/// four finer ones, because nearly all of it lies below the first millisecond.
pub const OVERHEAD_BOUNDS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000,
    500_000, 750_000, 1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// Cells of a histogram: the longest list of bounds, and what lies beyond it.
const CELLS: usize = OVERHEAD_BOUNDS.len() + 1;

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A count of zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `by`.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A distribution of durations over fixed bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    cells: [Counter; CELLS],
    sum_micros: Counter,
}

/// What a histogram held at one moment.
#[derive(Debug, PartialEq)]
pub(super) struct Reading {
    /// Upper bound in seconds and how many observations were not above it.
    pub(super) buckets: Vec<(f64, u64)>,
    /// All observations.
    pub(super) count: u64,
    /// Their sum in seconds.
    pub(super) sum: f64,
}

impl Histogram {
    /// An empty histogram over `bounds`: ascending, in microseconds, at most
    /// as many as [`OVERHEAD_BOUNDS`].
    pub(super) const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() < CELLS, "a histogram has a cell per bound");
        Self {
            bounds,
            cells: [const { Counter::new() }; CELLS],
            sum_micros: Counter::new(),
        }
    }

    /// Adds one observation.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let cell = self.bounds.iter().position(|bound| micros <= *bound);
        self.cells[cell.unwrap_or(self.bounds.len())].inc();
        self.sum_micros.add(micros);
    }

    /// Adds the observations of each bucket to `buckets`, and returns how many there are.
    pub(super) fn add_to(&self, buckets: &mut [u64]) -> u64 {
        let mut count = 0;
        for (bucket, cell) in buckets.iter_mut().zip(&self.cells) {
            *bucket += cell.get();
            count += cell.get();
        }
        count
    }

    /// What it holds, or `None` when nothing was ever observed.
    pub(super) fn read(&self) -> Option<Reading> {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (bound, cell) in self.bounds.iter().zip(&self.cells) {
            count += cell.get();
            buckets.push((seconds(*bound), count));
        }
        count += self.cells[self.bounds.len()].get();
        let sum = seconds(self.sum_micros.get());
        (count > 0).then_some(Reading {
            buckets,
            count,
            sum,
        })
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Words that one [`Words`] tells apart.
const WORDS: usize = 16;

/// Counts by a word out of a small fixed vocabulary, such as a reason.
///
/// The words need not be known beforehand; each claims a slot when it is first
/// counted. Beyond 16 words the rest is counted as `other`, so that the label
/// stays bounded whatever the callers do.
#[derive(Debug)]
pub(super) struct Words {
    slots: [(OnceLock<&'static str>, Counter); WORDS],
    other: Counter,
}

impl Words {
    pub(super) const fn new() -> Self {
        Self {
            slots: [const { (OnceLock::new(), Counter::new()) }; WORDS],
            other: Counter::new(),
        }
    }

    /// Counts one for `word`.
    pub(super) fn inc(&self, word: &'static str) {
        let slot = self
            .slots
            .iter()
            .find(|(name, _)| *name.get_or_init(|| word) == word);
        slot.map_or(&self.other, |(_, count)| count).inc();
    }

    /// Every word counted so far with its count.
    pub(super) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let named = self
            .slots
            .iter()
            .filter_map(|(name, count)| Some((*name.get()?, count.get())));
        named
            .chain([("other", self.other.get())])
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = Histogram::new(LATENCY_BOUNDS);
        for micros in [0, 1_000, 1_001, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let reading = histogram.read().unwrap();
        assert_eq!(reading.buckets[0], (0.001, 2));
        assert_eq!(reading.buckets[1], (0.0025, 3));
        assert_eq!(reading.buckets[15], (10.0, 4));
        assert_eq!(reading.count, 5);
        assert!((reading.sum - 20.002_002).abs() < 1e-9);
    }

    #[test]
    fn an_unused_histogram_reads_as_nothing() {
        assert_eq!(Histogram::new(OVERHEAD_BOUNDS).read(), None);
    }

    #[test]
    fn the_finer_bounds_contain_the_others_and_ascend() {
        assert!(OVERHEAD_BOUNDS.ends_with(LATENCY_BOUNDS));
        assert!(OVERHEAD_BOUNDS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn words_are_counted_apart_until_the_slots_run_out() {
        let words = Words::new();
        words.inc("connect");
        words.inc("reset");
        words.inc("connect");
        assert_eq!(
            words.read().collect::<Vec<_>>(),
            [("connect", 2), ("reset", 1)]
        );

        let many: &[&'static str] = &[
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
        ];
        for word in many {
            words.inc(word);
        }
        assert_eq!(words.read().count(), WORDS + 1);
        assert_eq!(words.read().last(), Some(("other", 2)));
        assert_eq!(words.read().map(|(_, count)| count).sum::<u64>(), 19);
    }
}
