//! One backend's live state.
//!
//! Keyed by upstream and address; it outlives every rebuild of the upstream, so
//! that a change of configuration forgets neither what is in flight nor what
//! was measured. All of it is in atomics and written by whoever handles a
//! request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::breaker::{Admission, Breaker, Permit};
use super::failure::Failure;
use super::group::Group;
use super::latency::Latency;
use crate::clock::Moment;

/// The live state of one backend.
///
/// Aligned to a cache line, so that the counters of two backends never share one.
#[derive(Debug)]
#[repr(align(64))]
pub struct Endpoint {
    in_flight: AtomicU32,
    breaker: Breaker,
    latency: Latency,
    picked_at: AtomicU64,
    connections: AtomicUsize,
    group: Arc<Group>,
    address: SocketAddr,
    name: String,
}

impl Endpoint {
    pub(crate) fn new(name: String, address: SocketAddr, group: Arc<Group>) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            breaker: Breaker::default(),
            latency: Latency::default(),
            picked_at: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            group,
            address,
            name,
        }
    }

    /// `host:port` as configured.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        // Sequentially consistent for the queue's sake, see there.
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to connect came about.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.breaker.is_closed()
    }

    /// Peak EWMA of the time to first byte in microseconds at `now`, without the penalty for
    /// failures; `None` when nothing was measured yet.
    #[must_use]
    pub fn latency_micros(&self, now: Moment) -> Option<f32> {
        self.latency.decayed(now, self.group.median())
    }

    /// A connection was opened. Callbacks report both ends of its life, so there is no guard.
    pub fn connection_opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection counted by [`Endpoint::connection_opened`] was closed.
    pub fn connection_closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A new connection came about. Not for one that was reused.
    pub fn record_connected(&self, _now: Moment) {
        self.came_up(self.breaker.connected());
    }

    /// The backend answered, `first_byte` after the request was sent. An attempt is reported
    /// either here or as a failure, never as both.
    pub fn record_response(&self, now: Moment, first_byte: Duration) {
        self.latency.record(now, first_byte, self.group.median());
        self.came_up(self.breaker.answered(now));
    }

    /// An attempt failed through the backend's fault.
    ///
    /// A connect failure is the breaker's business alone: once the backend is back, nothing it
    /// did is left to be held against it.
    pub fn record_failure(&self, now: Moment, failure: Failure) {
        match failure {
            Failure::Connect => {
                if self.breaker.failed(now) {
                    self.group.went_down();
                }
            }
            Failure::Status(_) => {
                self.latency.penalise(now);
                self.came_up(self.breaker.answered(now));
            }
            Failure::Reset | Failure::Timeout => self.latency.penalise(now),
        }
    }

    fn came_up(&self, closed: bool) {
        if closed {
            self.group.came_up();
        }
    }

    /// What `weighted_response_time` multiplies with the requests in flight, in microseconds.
    pub(crate) fn cost(&self, now: Moment) -> f32 {
        self.latency.cost(now, self.group.median())
    }

    /// The latency as last measured, in microseconds.
    pub(crate) fn measured(&self) -> Option<f32> {
        self.latency.measured()
    }

    /// Whether it never got a request.
    pub(crate) fn is_new(&self) -> bool {
        self.picked_at() == Moment::ZERO && self.in_flight() == 0 && self.measured().is_none()
    }

    /// When the endpoint was last selected.
    pub(crate) fn picked_at(&self) -> Moment {
        Moment::from_micros(self.picked_at.load(Ordering::Relaxed))
    }

    /// Whether the breaker would let a request through.
    pub(crate) fn would_admit(&self, now: Moment) -> bool {
        self.breaker.would_admit(now)
    }

    /// Takes a slot while fewer than `cap` are taken.
    pub(crate) fn take_slot(self: &Arc<Self>, now: Moment, cap: u32) -> Option<Slot> {
        self.in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                (taken < cap).then_some(taken + 1)
            })
            .ok()?;
        self.group.slot_taken();
        self.picked_at.store(now.as_micros(), Ordering::Relaxed);
        Some(Slot(Arc::clone(self)))
    }

    /// Asks the breaker to let a request through, as its one probe or, with `None`, as one of many.
    pub(crate) fn admit(self: &Arc<Self>, now: Moment) -> Result<Option<Probe>, Refused> {
        match self.breaker.admit(now) {
            Admission::Free => Ok(None),
            Admission::Probe(permit) => Ok(Some(Probe {
                endpoint: Arc::clone(self),
                permit,
            })),
            Admission::Refused => Err(Refused),
        }
    }
}

/// The breaker does not let the request through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// A request in flight; dropping it frees the slot and wakes one request that waits.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Endpoint>);

impl Slot {
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.group.slot_freed();
    }
}

/// The one request that tries a backend whose breaker is open; dropping it lets the next one try.
#[derive(Debug)]
pub(crate) struct Probe {
    endpoint: Arc<Endpoint>,
    permit: Permit,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.endpoint.breaker.release(self.permit);
    }
}
