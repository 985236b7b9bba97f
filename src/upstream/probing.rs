//! Requests that find out how a backend is by now.
//!
//! A backend that gets nothing shows nothing, so one that was taken out, or whose
//! share was cut, would stay out for good. Two paces bring it back. One whose
//! ejection is over is tried by the next request, one at a time: if that fails it
//! can mostly be repeated elsewhere. But one that refused connections needs no
//! request to show whether it is back, and if its machine is gone, whoever tries it
//! waits for the whole of the connect timeout. So the control plane tries to connect
//! ([`Upstream::knock`]), and requests only if it does not get round to it. One that is slow is measured by one request
//! in [`EXPLORE_EVERY`] at most, too few for the 99th percentile to notice, and
//! the one that waited longest first. That goes for suspects too: an algorithm
//! that avoids a slow backend by itself would otherwise never learn that it
//! recovered.

use std::time::Duration;

use super::breaker::{Open, Trip};
use super::choice::{Choice, Entry, Purpose, Task};
use super::endpoint::Probe;
use super::gate::FULL;
use super::select::Upstream;
use super::selection::PickReason;
use crate::clock::Moment;

/// One request in so many may measure a slow backend.
const EXPLORE_EVERY: u64 = 200;
/// How long a suspect goes without a request before it is measured.
const STALE_AFTER: Duration = Duration::from_millis(500);

/// How long requests leave it to the control plane to find out about a refused connection.
const KNOCK_FIRST: Duration = Duration::from_millis(250);

/// The place of the one that tries whether a backend can be connected to again; dropping it leaves
/// that open.
#[derive(Debug)]
pub struct Knock(Probe);

impl Upstream {
    /// The member at this position is to be connected to, to see whether it is back: it refused
    /// connections, its pause is over, and nobody else finds out. Tell [`Self::knocked`].
    #[must_use]
    pub fn knock(&self, member: usize, now: Moment) -> Option<Knock> {
        let endpoint = &self.members.get(member)?.endpoint;
        let open = endpoint.breaker.open()?;
        let due = open.trip == Trip::Connect && open.is_half_open(now);
        if !due || self.rules.has_checks() || endpoint.is_barred(now) {
            return None;
        }
        endpoint.take_probe().map(Knock)
    }

    /// Whether the connection came about.
    pub fn knocked(&self, knock: &Knock, now: Moment, connected: bool) {
        self.conclude(&knock.0, now, connected);
    }

    /// A backend that is due for a try. Not for a retry, which has been let down once.
    pub(super) fn select_probe<T>(
        &self,
        task: &Task<'_, impl Fn(Choice) -> Option<T>>,
    ) -> Option<T> {
        if !task.ask.tried.is_empty() {
            return None;
        }
        if self.probe_is_due(task) {
            let taken = self.select_half_open(task);
            self.look_again(task);
            if taken.is_some() {
                return taken;
            }
        }
        if self.exploration_is_due(task) {
            let taken = self.select_slow(task);
            self.look_again(task);
            return taken;
        }
        None
    }

    fn probe_is_due<Take>(&self, task: &Task<'_, Take>) -> bool {
        let now = task.ask.now;
        match task.purpose {
            Purpose::Serve => self.group.probe_is_due(now),
            Purpose::Foresee => self.group.probe_would_be_due(now),
        }
    }

    fn exploration_is_due<Take>(&self, task: &Task<'_, Take>) -> bool {
        let now = task.ask.now;
        match task.purpose {
            Purpose::Serve => self.group.exploration_is_due(now, EXPLORE_EVERY),
            Purpose::Foresee => self.group.exploration_would_be_due(now, EXPLORE_EVERY),
        }
    }

    /// The first backend whose ejection is over.
    pub(super) fn select_half_open<T>(
        &self,
        task: &Task<'_, impl Fn(Choice) -> Option<T>>,
    ) -> Option<T> {
        (0..self.members.len())
            .filter(|&index| self.is_half_open(index, task.ask.now))
            .find_map(|index| self.probe(index, task))
    }

    /// Of the slow backends, the one that has waited longest.
    fn select_slow<T>(&self, task: &Task<'_, impl Fn(Choice) -> Option<T>>) -> Option<T> {
        (0..self.members.len())
            .filter(|&index| self.is_to_be_measured(index, task.ask.now))
            .min_by_key(|&index| self.members[index].endpoint.picked_at())
            .and_then(|index| self.probe(index, task))
    }

    fn is_half_open(&self, index: usize, now: Moment) -> bool {
        let open = self.members[index].endpoint.breaker.open();
        open.and_then(|open| self.tried_from(open))
            .is_some_and(|from| from <= now)
    }

    /// When requests may try a backend; `None` if they never do.
    pub(super) fn tried_from(&self, open: Open) -> Option<Moment> {
        match open.trip {
            Trip::Connect if self.rules.has_checks() => None,
            Trip::Connect => Some(open.until.after(KNOCK_FIRST)),
            _ => Some(open.until),
        }
    }

    fn is_to_be_measured(&self, index: usize, now: Moment) -> bool {
        let endpoint = &self.members[index].endpoint;
        match endpoint.breaker.open() {
            Some(open) => open
                .measured_from(&self.rules.health.ejection)
                .is_some_and(|from| from <= now),
            // What its cut leaves it is mostly enough.
            None => {
                endpoint.gate.load().cut() < FULL && now.since(endpoint.picked_at()) > STALE_AFTER
            }
        }
    }

    fn probe<T>(&self, index: usize, task: &Task<'_, impl Fn(Choice) -> Option<T>>) -> Option<T> {
        let ask = task.ask;
        if self.members[index].endpoint.is_barred(ask.now) || ask.tried.contains(index) {
            return None;
        }
        (task.take)(Choice {
            member: index,
            algorithm: self.algorithm_for(self.tier_of(index), ask),
            reason: PickReason::Probe,
            entry: Entry::Probe,
            drawn: false,
        })
    }

    /// Sees to it that everybody who waits gets a turn.
    fn look_again<Take>(&self, task: &Task<'_, Take>) {
        if task.purpose == Purpose::Foresee {
            return;
        }
        for member in &self.members {
            self.schedule_probe(&member.endpoint, task.ask.now);
        }
    }
}
