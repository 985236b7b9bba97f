//! What requests came to takes a backend out for a while.
//!
//! A breaker is closed, open or half open. It opens when a connection is
//! refused, when requests fail in a row or too often, or when the backend is
//! slower than its peers. While it is open no request goes there. When the time
//! is over it is half open: one request at a time tries the backend, and enough
//! good answers in a row close it; a bad one opens it again, for longer.
//!
//! How long: a refused connection costs 1 s, doubled with each further one up to
//! 30 s, and the first connection that comes about closes the breaker, because
//! it proves the opposite of what opened it. Anything else costs `base` times
//! the ejections in a row, capped at `max`; for each `base` of good conduct one
//! of them is forgotten. Latency can be measured without harm to anyone, so the
//! last `base` of such an ejection is spent measuring: after a first offence, all
//! of it. One that is still slow at the end goes on being measured; it did not
//! relapse, so it is not held for longer.
//!
//! The whole state is one word, so every transition is one compare-and-swap.
//! Closed is zero, which keeps the check on the request path to one load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::config::Ejection;
use crate::state::Reason;

/// The pause after the first refused connection.
pub(crate) const BASE_PAUSE: Duration = Duration::from_secs(1);
/// The pause in a panic, when there is nobody else: short, because the first backend that is back
/// ends it.
pub(crate) const PANIC_PAUSE: Duration = Duration::from_millis(250);
/// No such pause is longer.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Good answers in a row that end an ejection.
pub(crate) const PROOFS: u64 = 3;

const PROBING: u64 = 1;
const TRIP_SHIFT: u32 = 1;
const TRIP_MASK: u64 = 0b111;
const PROOFS_SHIFT: u32 = 4;
const PROOFS_MASK: u64 = 0b1111;
const COUNT_SHIFT: u32 = 8;
const COUNT_MASK: u64 = 0x3f;
const UNTIL_SHIFT: u32 = 14;

/// What opened a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trip {
    /// A connection that did not come about.
    Connect = 1,
    /// Failures in a row.
    Consecutive = 2,
    /// Too large a share of failures.
    Ratio = 3,
    /// Slower than its peers.
    Latency = 4,
}

impl Trip {
    /// Whether it counts as one of the ejections that `max_ejected` bounds. A backend that
    /// cannot be connected to is out whether we like it or not.
    pub(crate) const fn is_counted(self) -> bool {
        !matches!(self, Self::Connect)
    }

    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Connect => Reason::ConnectFailed,
            Self::Consecutive => Reason::ConsecutiveFailures,
            Self::Ratio => Reason::FailureRatio,
            Self::Latency => Reason::Latency,
        }
    }

    /// How long the breaker stays open the nth time in a row.
    fn hold(self, count: u64, ejection: &Ejection) -> Duration {
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        match self {
            Self::Connect => BASE_PAUSE
                .saturating_mul(2_u32.saturating_pow(count - 1))
                .min(MAX_PAUSE),
            _ => ejection.base.saturating_mul(count).min(ejection.max),
        }
    }
}

/// An open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// What opened it.
    pub(crate) trip: Trip,
    /// When it is half open.
    pub(crate) until: Moment,
    /// Openings in a row.
    pub(crate) count: u64,
    probing: bool,
    proofs: u64,
}

/// The right to be the one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permit(u64);

/// Whether requests to one backend are worth a try.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    word: AtomicU64,
    /// Ejections in a row (upper 14 bits) and when the last one ended, in microseconds.
    history: AtomicU64,
}

impl Open {
    fn of(word: u64) -> Option<Self> {
        let trip = match (word >> TRIP_SHIFT) & TRIP_MASK {
            1 => Trip::Connect,
            2 => Trip::Consecutive,
            3 => Trip::Ratio,
            4 => Trip::Latency,
            _ => return None,
        };
        Some(Self {
            trip,
            until: Moment::from_micros(word >> UNTIL_SHIFT),
            count: (word >> COUNT_SHIFT) & COUNT_MASK,
            probing: word & PROBING != 0,
            proofs: (word >> PROOFS_SHIFT) & PROOFS_MASK,
        })
    }

    fn word(self) -> u64 {
        (self.until.as_micros() << UNTIL_SHIFT)
            | (self.count.min(COUNT_MASK) << COUNT_SHIFT)
            | (self.proofs.min(PROOFS_MASK) << PROOFS_SHIFT)
            | ((self.trip as u64) << TRIP_SHIFT)
            | u64::from(self.probing)
    }

    fn new(trip: Trip, count: u64, now: Moment, ejection: &Ejection) -> Self {
        Self {
            trip,
            until: now.after(trip.hold(count, ejection)),
            count,
            probing: false,
            proofs: 0,
        }
    }

    /// Whether it is half open.
    pub(crate) fn is_half_open(self, now: Moment) -> bool {
        self.until <= now
    }

    /// Since when it may be measured at the pace that hurts nobody.
    pub(crate) fn measured_from(self, ejection: &Ejection) -> Option<Moment> {
        (self.trip == Trip::Latency).then(|| self.until.before(ejection.base))
    }

    /// It is slow still: the same again, without a relapse.
    fn goes_on(self, now: Moment, ejection: &Ejection) -> Self {
        Self {
            until: now.after(ejection.base),
            proofs: 0,
            probing: false,
            ..self
        }
    }

    /// Whether a probe is under way.
    pub(crate) const fn is_probing(self) -> bool {
        self.probing
    }

    /// Whether it opened so recently that not even a panic changes anything.
    pub(crate) fn is_fresh(self, now: Moment, ejection: &Ejection) -> bool {
        let opened = self.until.before(self.trip.hold(self.count, ejection));
        now < opened.after(PANIC_PAUSE)
    }
}

impl Breaker {
    /// Whether requests go there. Sequentially consistent for the queue's sake, see there.
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::SeqCst) == 0
    }

    /// How it is open; `None` when it is closed.
    pub(crate) fn open(&self) -> Option<Open> {
        Open::of(self.word.load(Ordering::SeqCst))
    }

    /// Opens a closed breaker; whether it did.
    pub(crate) fn trip(&self, now: Moment, trip: Trip, ejection: &Ejection) -> bool {
        let count = match trip {
            Trip::Connect => 1,
            _ => self.remembered(now, ejection) + 1,
        };
        let open = Open::new(trip, count, now, ejection);
        self.swap(0, open.word())
    }

    /// A connection to an open backend failed. Gives back what it was open for, if this is why it
    /// is open now.
    ///
    /// During a pause nothing changes: requests that failed together are one failure.
    pub(crate) fn refused(&self, now: Moment, ejection: &Ejection) -> Option<Trip> {
        let word = self.word.load(Ordering::Acquire);
        let open = Open::of(word)?;
        let count = match open.trip {
            Trip::Connect if open.until <= now => open.count + 1,
            // A panic has sent somebody there in the middle of the pause.
            Trip::Connect if open.probing => open.count,
            Trip::Connect => return None,
            _ => 1,
        };
        self.swap(word, Open::new(Trip::Connect, count, now, ejection).word())
            .then_some(open.trip)
    }

    /// Takes the place of the one probe.
    pub(crate) fn probe(&self) -> Option<Permit> {
        let word = self.word.load(Ordering::Acquire);
        let open = Open::of(word).filter(|open| !open.probing)?;
        let probing = Open {
            probing: true,
            ..open
        };
        self.swap(word, probing.word())
            .then(|| Permit(probing.word()))
    }

    /// Ends a probe that neither succeeded nor failed: its place is the next one's.
    pub(crate) fn release(&self, permit: Permit) {
        // Anything else in the word means that the probe has been decided.
        self.swap(permit.0, permit.0 & !PROBING);
    }

    /// A probe succeeded; whether that closed the breaker.
    pub(crate) fn proved(&self, permit: Permit, now: Moment) -> bool {
        let Some(open) = Open::of(permit.0) else {
            return false;
        };
        let proofs = open.proofs + 1;
        if open.trip == Trip::Connect || proofs >= PROOFS {
            return self.close(permit.0, open, now);
        }
        let further = Open {
            proofs,
            probing: false,
            ..open
        };
        self.swap(permit.0, further.word());
        false
    }

    /// What was measured of a slow backend shows that it is not slow any more. Gives back how it was
    /// open, if it was open for that.
    pub(crate) fn recovered(&self, now: Moment) -> Option<Open> {
        let word = self.word.load(Ordering::Acquire);
        let open = Open::of(word).filter(|open| open.trip == Trip::Latency)?;
        self.close(word, open, now).then_some(open)
    }

    /// What was measured of a slow backend shows that it is slow still: its time goes on.
    pub(crate) fn still_slow(&self, now: Moment, ejection: &Ejection) {
        let word = self.word.load(Ordering::Acquire);
        let slow = Open::of(word).filter(|open| open.trip == Trip::Latency);
        if let Some(open) = slow.filter(|open| open.is_half_open(now)) {
            // A permit is for the word it was given for; one that is still out is void.
            self.swap(word, open.goes_on(now, ejection).word());
        }
    }

    /// A probe failed: what was proved is void, and after the pause, another one begins.
    pub(crate) fn disproved(&self, permit: Permit, now: Moment, ejection: &Ejection) {
        let Some(open) = Open::of(permit.0) else {
            return;
        };
        let next = match open.trip {
            _ if !open.is_half_open(now) => Open {
                proofs: 0,
                probing: false,
                ..open
            },
            Trip::Latency => open.goes_on(now, ejection),
            _ => Open::new(open.trip, open.count + 1, now, ejection),
        };
        self.swap(permit.0, next.word());
    }

    /// A connection came about; whether that closed the breaker.
    pub(crate) fn connected(&self) -> bool {
        let word = self.word.load(Ordering::Acquire);
        Open::of(word).is_some_and(|open| open.trip == Trip::Connect) && self.swap(word, 0)
    }

    /// Ejections in a row, as far as they are not forgotten.
    pub(crate) fn remembered(&self, now: Moment, ejection: &Ejection) -> u64 {
        let history = self.history.load(Ordering::Acquire);
        let ended = Moment::from_micros(history & ((1 << 50) - 1));
        let forgotten = now.since(ended).as_micros() / ejection.base.as_micros().max(1);
        (history >> 50).saturating_sub(u64::try_from(forgotten).unwrap_or(u64::MAX))
    }

    /// Whether it was still this `word` that was closed.
    fn close(&self, word: u64, open: Open, now: Moment) -> bool {
        let closed = self.swap(word, 0);
        if closed && open.trip.is_counted() {
            let history = (open.count << 50) | (now.as_micros() & ((1 << 50) - 1));
            self.history.store(history, Ordering::Release);
        }
        closed
    }

    fn swap(&self, from: u64, to: u64) -> bool {
        self.word
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests;
