//! What the control plane tells an upstream about its backends, and asks it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::gate::{FULL, Verdict, Wish};
use super::rules::Rules;
use super::select::Upstream;
use crate::clock::Moment;
use crate::state::{Reason, State};

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

impl CheckFailure {
    /// Why, in words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Refused => "connection refused",
            Self::Failed(words) => words,
        }
    }
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
    /// Ejections in a row, as far as they are not forgotten.
    pub ejections: u32,
}

/// Checks in a row are counted up to here.
const MOST_CHECKS: u32 = 0xffff;
const FAILED_SHIFT: u32 = 16;

impl Upstream {
    /// A check of the member at this position ended. Without active checks in the configuration
    /// it says nothing.
    pub fn record_check(&self, member: usize, now: Moment, result: Result<(), CheckFailure>) {
        let (Some(active), Some(member)) = (&self.rules.health.active, self.members.get(member))
        else {
            return;
        };
        let endpoint = &member.endpoint;
        match result {
            Ok(()) => self.check_passed(endpoint, now, active.rise),
            Err(failure) => self.check_failed(endpoint, now, active.fall, failure),
        }
    }

    fn check_passed(&self, endpoint: &Endpoint, now: Moment, rise: u32) {
        let before = endpoint.checks.load(Ordering::Acquire);
        let passed = ((before & MOST_CHECKS) + 1).min(MOST_CHECKS);
        endpoint.checks.store(passed, Ordering::Release);
        let verdict = endpoint.gate.load().verdict();
        // A backend nobody knows is up with its first passing check, one that failed after `rise`.
        if verdict == Verdict::Unknown || (verdict == Verdict::Failing && passed >= rise) {
            endpoint.gate.set_verdict(Verdict::Passing);
            if verdict == Verdict::Failing || endpoint.joined {
                endpoint.warm_up(now, &self.rules);
            }
        }
        if passed >= rise && endpoint.breaker.connected() {
            endpoint.warm_up(now, &self.rules);
        }
        self.changed(endpoint, now, None);
    }

    fn check_failed(&self, endpoint: &Endpoint, now: Moment, fall: u32, failure: CheckFailure) {
        let before = endpoint.checks.load(Ordering::Acquire);
        let failed = ((before >> FAILED_SHIFT) + 1).min(MOST_CHECKS);
        let detail = match failure {
            CheckFailure::Refused => {
                self.refused(endpoint, now);
                None
            }
            CheckFailure::Failed(words) => Some(words),
        };
        // After `refused`, which begins the count anew.
        endpoint
            .checks
            .store(failed << FAILED_SHIFT, Ordering::Release);
        if failed >= fall {
            endpoint.gate.set_verdict(Verdict::Failing);
        }
        endpoint.settle(now, &self.rules, detail);
    }

    /// The operator's wish for the member at this position, effective on the next selection.
    pub fn set_mode(&self, member: usize, now: Moment, mode: Mode) {
        let Some(member) = self.members.get(member) else {
            return;
        };
        let endpoint = &member.endpoint;
        let wish = match mode {
            Mode::Active => Wish::Active,
            Mode::Draining { until } => {
                let until = until.as_micros();
                endpoint.deadline.store(until, Ordering::Release);
                Wish::Draining
            }
            Mode::Maintenance => Wish::Maintenance,
        };
        let before = endpoint.gate.set_wish(wish);
        if wish == Wish::Active && before == Wish::Maintenance {
            endpoint.warm_up(now, &self.rules);
        }
        self.changed(endpoint, now, None);
    }

    /// The member at this position reported itself; it leaves the rotation when `ttl` passes
    /// without another report.
    pub fn renew(&self, member: usize, now: Moment, ttl: Duration) {
        let Some(member) = self.members.get(member) else {
            return;
        };
        let endpoint = &member.endpoint;
        let late = endpoint.is_overdue(now);
        let expires = now.after(ttl).as_micros();
        endpoint.expires.store(expires, Ordering::Release);
        endpoint.gate.expect_heartbeat();
        if late {
            endpoint.warm_up(now, &self.rules);
        }
        self.changed(endpoint, now, None);
    }

    /// What is known about the member at this position; `None` where there is none.
    #[must_use]
    pub fn status(&self, member: usize, now: Moment) -> Option<Status> {
        let endpoint = &self.members.get(member)?.endpoint;
        endpoint.settle(now, &self.rules, None);
        let condition = &endpoint.condition;
        let state = condition.state();
        let open = endpoint.breaker.open();
        Some(Status {
            state,
            reason: condition.reason(),
            since: condition.since(),
            until: match state {
                State::Draining => Some(endpoint.deadline()),
                State::Ejected => open.map(|open| open.until),
                // Checks bring it back, not time.
                State::Down if !self.rules.has_checks() => open.map(|open| open.until),
                State::Up | State::Warming | State::Suspect => endpoint.expires(),
                _ => None,
            },
            share: match state {
                State::Up | State::Warming | State::Suspect => {
                    endpoint.share(now, &self.rules) as f32 / FULL as f32
                }
                _ => 0.0,
            },
            ejections: u32::try_from(open.filter(|open| open.trip.is_counted()).map_or_else(
                || {
                    endpoint
                        .breaker
                        .remembered(now, &self.rules.health.ejection)
                },
                |open| open.count,
            ))
            .unwrap_or(u32::MAX),
        })
    }
}

impl Endpoint {
    /// An upstream with these rules has it from now on.
    pub(super) fn begin(&self, now: Moment, rules: &Rules) {
        if rules.has_checks() && !rules.health.initially_up {
            self.gate.set_verdict(Verdict::Unknown);
        } else if self.joined {
            self.warm_up(now, rules);
        }
        self.settle_silently(now);
    }

    /// The upstream has these rules from now on.
    pub(super) fn adapt(&self, now: Moment, rules: &Rules) {
        if !rules.has_checks() {
            // A verdict of checks that are no longer made would stand forever.
            self.gate.set_verdict(Verdict::Passing);
        }
        if rules.health.outlier.is_none() {
            self.gate.set_cut(FULL);
        }
        self.settle(now, rules, None);
    }
}
