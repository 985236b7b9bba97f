//! What the control plane tells an upstream about its backends, and asks it.

use std::time::Duration;

use super::select::Upstream;
use super::state::{Reason, State};
use crate::clock::Moment;

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It takes requests.
    #[default]
    Active,
    /// No new clients; sticky ones may come back until the deadline.
    Draining {
        /// When what is left is cut.
        until: Moment,
    },
    /// No requests at all; those in flight are finished.
    Maintenance,
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckFailure {
    /// The backend's own port refuses connections: it is not there, which needs no second check.
    Refused,
    /// Anything else, in words.
    Failed(String),
}

/// What is known about a backend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Moment,
    /// When an ejection is over, a drain's deadline or a heartbeat's, where there is one.
    pub until: Option<Moment>,
    /// Share of its configured weight that it gets, between 0 and 1.
    pub share: f32,
    /// Ejections in a row.
    pub ejections: u32,
}

impl Upstream {
    /// A check of the member at this position ended.
    pub fn record_check(&self, _member: usize, _now: Moment, _result: Result<(), CheckFailure>) {}

    /// The operator's wish for the member at this position, effective on the next selection.
    pub fn set_mode(&self, _member: usize, _now: Moment, _mode: Mode) {}

    /// The member at this position reported itself; it leaves the rotation when `ttl` passes
    /// without another report.
    pub fn renew(&self, _member: usize, _now: Moment, _ttl: Duration) {}

    /// What is known about the member at this position.
    #[must_use]
    pub fn status(&self, _member: usize, now: Moment) -> Status {
        Status {
            state: State::Up,
            reason: Reason::Healthy,
            since: now,
            until: None,
            share: 1.0,
            ejections: 0,
        }
    }
}

/// What watching one upstream needs to remember. It outlives the upstream's rebuilds.
#[derive(Debug, Default)]
pub struct Overseer {}

impl Overseer {
    /// Does what is due at `now`: judges a window of latencies, reconsiders the algorithm, notices
    /// what time alone has changed. To be called about every 50 ms.
    pub fn tick(&mut self, _upstream: &Upstream, _now: Moment) {}
}
