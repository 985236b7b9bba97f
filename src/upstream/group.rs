//! What the endpoints of one upstream share.
//!
//! It outlives every rebuild of the upstream, as the endpoints do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::queue::Queue;
use super::retry::Budget;
use crate::clock::Moment;

/// How old the median may get.
const MEDIAN_EVERY: Duration = Duration::from_millis(250);

/// The shared state of an upstream's endpoints.
#[derive(Debug)]
pub(crate) struct Group {
    /// Where requests wait for a slot.
    pub(crate) queue: Arc<Queue>,
    /// The retries under way.
    pub(crate) budget: Arc<Budget>,
    in_flight: AtomicUsize,
    changes: AtomicU32,
    median: AtomicU32,
    median_due: AtomicU64,
}

impl Group {
    pub(crate) fn new(queue_size: usize) -> Self {
        Self {
            queue: Arc::new(Queue::new(queue_size)),
            budget: Arc::default(),
            in_flight: AtomicUsize::new(0),
            changes: AtomicU32::new(0),
            median: AtomicU32::new(0),
            median_due: AtomicU64::new(0),
        }
    }

    /// Requests in flight to any endpoint of the upstream.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn slot_taken(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Wakes a request that waits; call it after the endpoint's own count was lowered.
    pub(crate) fn slot_freed(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.queue.slot_freed();
    }

    /// Counts the endpoints' changes between up and down; what is derived from their states is
    /// valid as long as this stays the same. Wraps.
    pub(crate) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    /// An endpoint's breaker opened.
    pub(crate) fn went_down(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// An endpoint's breaker closed: all of its slots are there for those that wait.
    pub(crate) fn came_up(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.queue.slots_freed();
    }

    /// The median of the endpoints' latencies in microseconds; `None` before the first answer.
    pub(crate) fn median(&self) -> Option<f32> {
        let median = f32::from_bits(self.median.load(Ordering::Relaxed));
        (median > 0.0).then_some(median)
    }

    /// Whether the caller is the one to compute the median anew. True for every caller until
    /// there is one, so that the first answer counts for all at once.
    pub(crate) fn median_is_due(&self, now: Moment) -> bool {
        if self.median().is_none() {
            return true;
        }
        let due = self.median_due.load(Ordering::Relaxed);
        now.as_micros() >= due
            && self
                .median_due
                .compare_exchange(
                    due,
                    now.after(MEDIAN_EVERY).as_micros(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    pub(crate) fn set_median(&self, micros: f32) {
        self.median.store(micros.to_bits(), Ordering::Relaxed);
    }
}
