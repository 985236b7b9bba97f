//! What requests tell about a backend, and what follows from it.
//!
//! An attempt is reported once as connected (unless its connection was reused)
//! and then as answered and completed, or failed, or answered and failed. The
//! backend's latency, its recent failures and its breaker each take what concerns
//! them; what they add up to is settled at once, so that the next selection knows
//! it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::breaker::{Open, Trip};
use super::endpoint::{Endpoint, Probe};
use super::event::EventKind;
use super::failure::Failure;
use super::gate::{FULL, Verdict, Wish};
use super::rules::Rules;
use super::select::Upstream;
use super::selection::Selection;
use crate::clock::Moment;
use crate::state::{Reason, State};

impl Upstream {
    /// A new connection to the selected backend came about. Not for one that was reused.
    pub fn connected(&self, selection: &Selection, now: Moment) {
        let endpoint = selection.endpoint();
        if endpoint.breaker.connected() {
            endpoint.warm_up(now, &self.rules);
            endpoint.settle(now, &self.rules, None);
        }
    }

    /// The selected backend answered, `first_byte` after the request was sent.
    pub fn answered(&self, selection: &Selection, now: Moment, first_byte: Duration) {
        let endpoint = selection.endpoint();
        let group = &endpoint.group;
        endpoint.latency.record(now, first_byte, group.median());
        endpoint.tally.add(first_byte);
    }

    /// The selected backend, which has answered, gave all of its answer.
    pub fn completed(&self, selection: &Selection, now: Moment) {
        let endpoint = selection.endpoint();
        if let Some(passive) = &self.rules.health.passive {
            endpoint.failures.answered(now, passive);
        }
        if let Some(probe) = &selection.probe {
            self.conclude(probe, now, true);
        }
    }

    /// What a probe came to. Only the first decision counts; whether this was it.
    pub(super) fn conclude(&self, probe: &Probe, now: Moment, good: bool) -> bool {
        let (endpoint, Some(permit)) = (probe.endpoint(), probe.decide()) else {
            return false;
        };
        let breaker = &endpoint.breaker;
        match breaker.open() {
            _ if !good => {
                breaker.disproved(permit, now, &self.rules.health.ejection);
                self.changed(endpoint, now, None);
            }
            // That it answered proves nothing; the overseer looks at how long it took.
            Some(open) if open.trip == Trip::Latency => breaker.release(permit),
            Some(open) if breaker.proved(permit, now) => self.returned(endpoint, open, now),
            _ => {}
        }
        true
    }

    /// An attempt failed through the selected backend's fault.
    ///
    /// A connect failure is the breaker's business alone: once the backend is back, nothing it
    /// did is left to be held against it.
    pub fn failed(&self, selection: &Selection, now: Moment, failure: Failure) {
        let endpoint = selection.endpoint();
        if failure == Failure::Connect {
            self.refused(endpoint, now);
            return;
        }
        endpoint.latency.penalise(now);
        let probe = selection.probe.as_ref();
        if probe.is_some_and(|probe| self.conclude(probe, now, false)) {
            return;
        }
        let trip = self
            .rules
            .health
            .passive
            .as_ref()
            .and_then(|passive| endpoint.failures.failed(now, passive));
        if let Some(trip) = trip {
            self.eject(endpoint, now, trip, None);
        }
    }

    /// The backend could not be connected to.
    pub(super) fn refused(&self, endpoint: &Endpoint, now: Moment) {
        let ejection = &self.rules.health.ejection;
        endpoint.checks.store(0, Ordering::Release);
        if endpoint.breaker.trip(now, Trip::Connect, ejection) {
            self.changed(endpoint, now, None);
        } else if let Some(before) = endpoint.breaker.refused(now, ejection) {
            if before.is_counted() {
                endpoint.group.return_ejection();
            }
            self.changed(endpoint, now, None);
        }
    }

    /// Takes a backend out, if there is room for one more ejection; whether it did.
    pub(super) fn eject(
        &self,
        endpoint: &Endpoint,
        now: Moment,
        trip: Trip,
        detail: Option<String>,
    ) -> bool {
        if !endpoint.breaker.is_closed() || !endpoint.group.claim_ejection() {
            return false;
        }
        if !endpoint
            .breaker
            .trip(now, trip, &self.rules.health.ejection)
        {
            endpoint.group.return_ejection();
            return false;
        }
        endpoint.failures.clear();
        endpoint.gate.set_cut(FULL);
        self.changed(endpoint, now, detail);
        true
    }

    /// Something about a backend has changed: sees to it that somebody tries it when its time has
    /// come, and tells what became of it.
    pub(super) fn changed(&self, endpoint: &Endpoint, now: Moment, detail: Option<String>) {
        self.schedule_probe(endpoint, now);
        endpoint.settle(now, &self.rules, detail);
    }

    /// Says when a backend may be tried or measured. What bars it until then, or the probe under
    /// way, calls this again when it ends.
    pub(super) fn schedule_probe(&self, endpoint: &Endpoint, now: Moment) {
        if endpoint.is_barred(now) {
            return;
        }
        let Some(open) = endpoint.breaker.open() else {
            if endpoint.gate.load().cut() < FULL {
                endpoint.group.explore_from(now);
            }
            return;
        };
        if open.is_probing() {
            return;
        }
        if let Some(from) = open.measured_from(&self.rules.health.ejection) {
            endpoint.group.explore_from(from);
        }
        if let Some(from) = self.tried_from(open) {
            endpoint.group.probe_from(from);
        }
    }

    /// A breaker closed.
    pub(super) fn returned(&self, endpoint: &Endpoint, open: Open, now: Moment) {
        if open.trip.is_counted() {
            endpoint.group.return_ejection();
        }
        endpoint.warm_up(now, &self.rules);
        endpoint.settle(now, &self.rules, None);
    }
}

impl Endpoint {
    /// A drain's deadline.
    pub(crate) fn deadline(&self) -> Moment {
        Moment::from_micros(self.deadline.load(Ordering::Acquire))
    }

    /// When the heartbeat is overdue; `None` when it needs none.
    pub(crate) fn expires(&self) -> Option<Moment> {
        let expires = Moment::from_micros(self.expires.load(Ordering::Acquire));
        self.gate.load().has_heartbeat().then_some(expires)
    }

    /// Whether a heartbeat is overdue.
    pub(crate) fn is_overdue(&self, now: Moment) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }

    /// Whether something other than its breaker keeps it from being tried.
    pub(crate) fn is_barred(&self, now: Moment) -> bool {
        let gating = self.gate.load();
        gating.wish() != Wish::Active
            || gating.verdict() != Verdict::Passing
            || self.is_overdue(now)
    }

    /// The share of its traffic that it gets, as a 16-bit fraction.
    pub(crate) fn share(&self, now: Moment, rules: &Rules) -> u32 {
        let gating = self.gate.load();
        let warm = if gating.is_warming() {
            let from = Moment::from_micros(self.warm_from.load(Ordering::Acquire));
            rules.ramp(now.since(from))
        } else {
            FULL
        };
        warm.min(gating.cut())
    }

    /// It came back or joined: its share grows from here.
    pub(crate) fn warm_up(&self, now: Moment, rules: &Rules) {
        if !rules.slow_start.is_zero() {
            self.warm_from.store(now.as_micros(), Ordering::Release);
            self.gate.set_warming(true);
        }
    }

    /// Finds out what state everything adds up to, and tells those who want to know of a change.
    pub(crate) fn settle(&self, now: Moment, rules: &Rules, detail: Option<String>) {
        if self.gate.load().is_warming() && self.share(now, rules) == self.gate.load().cut() {
            self.gate.set_warming(false);
        }
        let (to, reason) = self.derive(now);
        let Some(from) = self.condition.replace(now, to, reason) else {
            return;
        };
        if to.is_available() && !from.is_available() {
            self.group.came_up();
        } else if to == State::HalfOpen {
            // Somebody who waits may be the one who tries it.
            self.group.came_up();
        } else {
            self.group.went_down();
        }
        self.group.note(
            now,
            EventKind::State {
                backend: self.shared_name(),
                from,
                to,
                reason,
                detail,
            },
        );
    }

    /// As [`Self::settle`], for a backend nobody has heard of yet: how it begins is no news.
    pub(crate) fn settle_silently(&self, now: Moment) {
        let (state, reason) = self.derive(now);
        if self.condition.replace(now, state, reason).is_some() {
            self.group.went_down();
        }
    }

    /// What the sources add up to; where several object, the one that is hardest to overcome.
    pub(super) fn derive(&self, now: Moment) -> (State, Reason) {
        let gating = self.gate.load();
        if gating.wish() == Wish::Maintenance {
            return (State::Maintenance, Reason::Operator);
        }
        if self.is_overdue(now) {
            return (State::Expired, Reason::TtlExpired);
        }
        if gating.wish() == Wish::Draining {
            return (State::Draining, Reason::Operator);
        }
        let open = self.breaker.open();
        match (open, gating.verdict()) {
            (_, Verdict::Unknown) => (State::Down, Reason::NotChecked),
            (Some(open), _) if open.trip == Trip::Connect => (State::Down, Reason::ConnectFailed),
            (_, Verdict::Failing) => (State::Down, Reason::CheckFailed),
            (Some(open), _) if open.is_half_open(now) => (State::HalfOpen, open.trip.reason()),
            (Some(open), _) => (State::Ejected, open.trip.reason()),
            (None, Verdict::Passing) if gating.cut() < FULL => (State::Suspect, Reason::Latency),
            (None, Verdict::Passing) if gating.is_warming() => (State::Warming, Reason::SlowStart),
            (None, Verdict::Passing) => (State::Up, Reason::Healthy),
        }
    }
}
