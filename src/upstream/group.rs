//! What the endpoints of one upstream share.
//!
//! It outlives every rebuild of the upstream, as the endpoints do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::event::{Event, EventKind, Journal};
use super::queue::Queue;
use super::retry::Budget;
use crate::clock::Moment;
use crate::config::{Algorithm, Percent};

/// How old the median may get.
const MEDIAN_EVERY: Duration = Duration::from_millis(250);

/// The shared state of an upstream's endpoints.
#[derive(Debug)]
pub(crate) struct Group {
    /// Where requests wait for a slot.
    pub(crate) queue: Arc<Queue>,
    /// The retries under way.
    pub(crate) budget: Arc<Budget>,
    name: Arc<str>,
    journal: Journal,
    in_flight: AtomicUsize,
    changes: AtomicU32,
    median: AtomicU32,
    median_due: AtomicU64,
    /// What the peers' latencies were in the last window, as the bits of an `f64`.
    reference: AtomicU64,
    ejected: AtomicU32,
    may_be_ejected: AtomicU32,
    /// When an ejected backend may be tried, in microseconds; never while there is none.
    probe_at: AtomicU64,
    /// When an ejected backend may be measured at a pace that hurts nobody, in microseconds.
    explore_at: AtomicU64,
    explorations: AtomicU64,
    algorithm: AtomicU32,
    /// Why that one, in words. No request asks.
    evidence: watch::Sender<Option<Arc<str>>>,
}

impl Group {
    pub(crate) fn new(name: &str, journal: &Journal) -> Self {
        Self {
            queue: Arc::default(),
            budget: Arc::default(),
            name: name.into(),
            journal: journal.clone(),
            in_flight: AtomicUsize::new(0),
            changes: AtomicU32::new(0),
            median: AtomicU32::new(0),
            median_due: AtomicU64::new(0),
            reference: AtomicU64::new(0),
            ejected: AtomicU32::new(0),
            may_be_ejected: AtomicU32::new(0),
            probe_at: AtomicU64::new(u64::MAX),
            explore_at: AtomicU64::new(u64::MAX),
            explorations: AtomicU64::new(0),
            algorithm: AtomicU32::new(u32::MAX),
            evidence: watch::Sender::new(None),
        }
    }

    /// Tells the journal.
    pub(crate) fn note(&self, at: Moment, kind: EventKind) {
        self.journal.note(Event {
            at,
            upstream: Arc::clone(&self.name),
            kind,
        });
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

    /// An endpoint takes no more requests.
    pub(crate) fn went_down(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// An endpoint takes requests again: all of its slots are there for those that wait.
    pub(crate) fn came_up(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.queue.slots_freed();
    }

    /// Says how many of `members` may be ejected at a time: of two or more, one always may; the
    /// only one never, because there is nobody to hand over to.
    pub(crate) fn bound_ejections(&self, members: usize, share: Percent) {
        let share = (members as f64 * share.ratio()).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most MAX_MEMBERS"
        )]
        let bound = if members < 2 {
            0
        } else {
            (share as u32).max(1)
        };
        self.may_be_ejected.store(bound, Ordering::Relaxed);
    }

    /// Makes room for one more ejection; whether there was any.
    pub(crate) fn claim_ejection(&self) -> bool {
        let bound = self.may_be_ejected.load(Ordering::Relaxed);
        self.ejected
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |ejected| {
                (ejected < bound).then_some(ejected + 1)
            })
            .is_ok()
    }

    /// Gives back what [`Self::claim_ejection`] took.
    pub(crate) fn return_ejection(&self) {
        self.ejected.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether [`Self::probe_is_due`] would be true.
    pub(crate) fn probe_would_be_due(&self, now: Moment) -> bool {
        self.probe_at.load(Ordering::Relaxed) <= now.as_micros()
    }

    /// Whether [`Self::exploration_is_due`] would be true.
    pub(crate) fn exploration_would_be_due(&self, now: Moment, every: u64) -> bool {
        self.explore_at.load(Ordering::Relaxed) <= now.as_micros()
            && self
                .explorations
                .load(Ordering::Relaxed)
                .is_multiple_of(every)
    }

    /// Whether an ejected backend may be due for a try. The caller that gets `true` is the one to
    /// look, and says with [`Self::probe_from`] when to look again.
    pub(crate) fn probe_is_due(&self, now: Moment) -> bool {
        let due = self.probe_at.load(Ordering::Relaxed);
        due <= now.as_micros() && self.probe_at.swap(u64::MAX, Ordering::AcqRel) <= now.as_micros()
    }

    /// Whether this request is one of the few that may measure an ejected backend: one in `every`.
    pub(crate) fn exploration_is_due(&self, now: Moment, every: u64) -> bool {
        self.explore_at.load(Ordering::Relaxed) <= now.as_micros()
            && self
                .explorations
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(every)
            && self.explore_at.swap(u64::MAX, Ordering::AcqRel) <= now.as_micros()
    }

    /// An ejected backend may be tried from this moment on.
    pub(crate) fn probe_from(&self, moment: Moment) {
        self.probe_at
            .fetch_min(moment.as_micros(), Ordering::AcqRel);
    }

    /// An ejected backend may be measured from this moment on.
    pub(crate) fn explore_from(&self, moment: Moment) {
        self.explore_at
            .fetch_min(moment.as_micros(), Ordering::AcqRel);
    }

    /// A probe has ended: whoever comes next looks for another one.
    pub(crate) fn look_for_probes(&self) {
        self.probe_from(Moment::ZERO);
        self.explore_from(Moment::ZERO);
    }

    /// What the peers' mean latency was in the last window, in microseconds.
    pub(crate) fn reference(&self) -> Option<f64> {
        let reference = f64::from_bits(self.reference.load(Ordering::Relaxed));
        (reference > 0.0).then_some(reference)
    }

    pub(crate) fn set_reference(&self, micros: f64) {
        self.reference.store(micros.to_bits(), Ordering::Relaxed);
    }

    /// The algorithm that `adaptive` has chosen last.
    pub(crate) fn chosen(&self) -> Option<Algorithm> {
        let chosen = self.algorithm.load(Ordering::Relaxed);
        Algorithm::ALL.get(chosen as usize).copied()
    }

    /// Notes what `adaptive` has chosen, and why.
    pub(crate) fn choose(&self, algorithm: Algorithm, evidence: &str) {
        self.evidence.send_replace(Some(evidence.into()));
        self.algorithm.store(algorithm as u32, Ordering::Relaxed);
    }

    /// Why `adaptive` has chosen what it has chosen last; `None` before its first switch.
    pub(crate) fn evidence(&self) -> Option<Arc<str>> {
        self.evidence.borrow().clone()
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
