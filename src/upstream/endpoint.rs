//! One backend's live state.
//!
//! Keyed by upstream and address; it outlives every rebuild of the upstream, so
//! that a change of configuration forgets neither what is in flight nor what
//! was measured. All of it is in atomics. This file holds the parts and the
//! slots; what requests, checks and the operator change is in `evidence`, and
//! whether a request may come is in `eligible`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::breaker::{Breaker, Permit};
use super::condition::Condition;
use super::failures::Failures;
use super::gate::Gate;
use super::group::Group;
use super::latency::Latency;
use super::tally::Tally;
use crate::clock::Moment;
use crate::state::{Reason, State};

/// The live state of one backend.
///
/// Aligned to a cache line, so that the counters of two backends never share one.
#[derive(Debug)]
#[repr(align(64))]
pub struct Endpoint {
    in_flight: AtomicU32,
    pub(super) gate: Gate,
    pub(super) breaker: Breaker,
    pub(super) latency: Latency,
    pub(super) tally: Tally,
    picked_at: AtomicU64,
    connections: AtomicUsize,
    pub(super) failures: Failures,
    /// Checks in a row that passed or failed.
    pub(super) checks: AtomicU32,
    /// A drain's deadline, in microseconds.
    pub(super) deadline: AtomicU64,
    /// When the heartbeat is overdue, in microseconds.
    pub(super) expires: AtomicU64,
    /// When the slow start began, in microseconds.
    pub(super) warm_from: AtomicU64,
    pub(super) condition: Condition,
    cut: Notify,
    pub(super) group: Arc<Group>,
    address: SocketAddr,
    name: Arc<str>,
    /// Whether it joined an upstream that was already at work.
    pub(super) joined: bool,
}

impl Endpoint {
    pub(crate) fn new(
        name: &str,
        address: SocketAddr,
        group: Arc<Group>,
        joined: bool,
        now: Moment,
    ) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            gate: Gate::default(),
            breaker: Breaker::default(),
            latency: Latency::default(),
            tally: Tally::default(),
            picked_at: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            failures: Failures::default(),
            checks: AtomicU32::new(0),
            deadline: AtomicU64::new(0),
            expires: AtomicU64::new(0),
            warm_from: AtomicU64::new(0),
            condition: Condition::new(now, State::Up, Reason::Healthy),
            cut: Notify::new(),
            group,
            address,
            name: name.into(),
            joined,
        }
    }

    /// `host:port` as configured.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
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

    /// Whether it was last seen in a state in which it takes requests.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.condition.state().is_available()
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

    /// Ready when what is under way without an end of its own (a tunnel) has to end: the deadline
    /// of a drain has passed.
    pub fn cut(&self) -> Notified<'_> {
        self.cut.notified()
    }

    /// Ends what waits for [`Endpoint::cut`] now. What begins to wait later is not told.
    pub(crate) fn cut_off(&self) {
        self.cut.notify_waiters();
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

    /// A selection stands. A slot alone is none: it is given back where the probe's place is taken.
    pub(crate) fn picked(&self, now: Moment) {
        self.picked_at.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Takes a slot while fewer than `cap` are taken.
    pub(crate) fn take_slot(self: &Arc<Self>, cap: u32) -> Option<Slot> {
        self.in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                (taken < cap).then_some(taken + 1)
            })
            .ok()?;
        self.group.slot_taken();
        Some(Slot {
            endpoint: Arc::clone(self),
            taken: true,
        })
    }

    /// Takes the place of the one probe of a breaker that is open.
    pub(crate) fn take_probe(self: &Arc<Self>) -> Option<Probe> {
        Some(Probe {
            permit: self.breaker.probe()?,
            endpoint: Arc::clone(self),
            decided: AtomicBool::new(false),
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self
            .breaker
            .open()
            .is_some_and(|open| open.trip.is_counted())
        {
            self.group.return_ejection();
        }
    }
}

/// A request in flight; dropping it frees the slot and wakes one request that waits.
#[derive(Debug)]
pub(crate) struct Slot {
    endpoint: Arc<Endpoint>,
    taken: bool,
}

impl Slot {
    pub(crate) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Frees the slot before the drop does.
    pub(crate) fn free(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.endpoint.in_flight.fetch_sub(1, Ordering::SeqCst);
            self.endpoint.group.slot_freed();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free();
    }
}

/// The one request that tries a backend whose breaker is open; dropping it lets the next one try.
#[derive(Debug)]
pub(crate) struct Probe {
    endpoint: Arc<Endpoint>,
    permit: Permit,
    decided: AtomicBool,
}

impl Probe {
    pub(crate) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The right to decide, once.
    pub(crate) fn decide(&self) -> Option<Permit> {
        (!self.decided.swap(true, Ordering::AcqRel)).then_some(self.permit)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(permit) = self.decide() {
            self.endpoint.breaker.release(permit);
        }
        self.endpoint.group.look_for_probes();
    }
}
