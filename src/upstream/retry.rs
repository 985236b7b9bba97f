//! Whether a failed attempt is repeated, and when.
//!
//! Three questions, each pure: may this failure be repeated ([`Policy::decide`]),
//! is there room for another retry ([`Budget`]), and how long to wait
//! ([`Policy::backoff`]).
//!
//! # Why a budget
//!
//! When a backend fails for a reason that load makes worse, every retry is more
//! load. The budget holds retries to a share of the requests under way. It
//! counts a retry from the decision to its end, the wait in between included:
//! retries that sleep are retries that will be sent. Connect failures are
//! exempt. They cost a backend nothing, the breaker stops them within a few
//! requests, and without them a single dead backend would eat the budget that
//! its neighbours' real failures need.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;

use super::draw::scale;
use super::failure::Failure;
use crate::config::{self, Percent};

/// Retries that are always allowed at once, so that a quiet upstream can retry at all.
pub const FLOOR: usize = 3;

/// No wait is longer than this many times the configured backoff.
const BACKOFF_CAP: u32 = 10;

/// What a route allows to be repeated.
#[derive(Clone, Debug)]
pub struct Policy(config::Retry);

/// A failed attempt, as the decision sees it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// How it failed.
    pub failure: Failure,
    /// The request's method.
    pub method: &'a Method,
    /// Retries made before this attempt failed; 0 after the first attempt.
    pub retries: u8,
    /// Whether all of the body that was taken from the client can be sent again.
    pub body_replayable: bool,
    /// Whether the client has been sent any part of an answer.
    pub response_started: bool,
}

/// What is done about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try another backend.
    Retry {
        /// Whether the retry needs a permit of the [`Budget`].
        budgeted: bool,
    },
    /// Answer with the failure.
    GiveUp(GiveUp),
}

/// Why a failed attempt is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The client has part of an answer already.
    ResponseStarted,
    /// The body is no longer there in full.
    BodyGone,
    /// The route does not list this failure.
    NotListed,
    /// Repeating the method might do its work twice.
    NotIdempotent,
    /// The route's attempts are used up.
    Exhausted,
}

impl Policy {
    /// The policy of a route.
    #[must_use]
    pub const fn new(settings: config::Retry) -> Self {
        Self(settings)
    }

    /// Whether to repeat a failed attempt, as far as the request itself decides it.
    #[must_use]
    pub fn decide(&self, attempt: &Attempt<'_>) -> Verdict {
        let connect = attempt.failure == Failure::Connect;
        if attempt.response_started {
            Verdict::GiveUp(GiveUp::ResponseStarted)
        } else if !attempt.body_replayable {
            Verdict::GiveUp(GiveUp::BodyGone)
        } else if !self.lists(attempt.failure) {
            Verdict::GiveUp(GiveUp::NotListed)
        } else if !connect && !self.0.non_idempotent && !attempt.method.is_idempotent() {
            Verdict::GiveUp(GiveUp::NotIdempotent)
        } else if attempt.retries >= self.0.attempts {
            Verdict::GiveUp(GiveUp::Exhausted)
        } else {
            Verdict::Retry { budgeted: !connect }
        }
    }

    /// Whether the route repeats this kind of failure.
    #[must_use]
    pub fn lists(&self, failure: Failure) -> bool {
        match failure {
            Failure::Connect => self.0.on.connect,
            Failure::Reset => self.0.on.reset,
            Failure::Timeout => self.0.on.timeout,
            Failure::Status(status) => self.0.on.statuses.contains(&status),
        }
    }

    /// The wait before the next retry, after `retries` earlier ones.
    ///
    /// None before the first: it goes to another backend. Before retry k it is uniformly random
    /// between 0 and `backoff` x 2^(k-2), at most ten times `backoff`. The jitter is full, because
    /// requests that failed together must not come back together.
    #[must_use]
    pub fn backoff(&self, retries: u8, random: u64) -> Duration {
        let Some(doublings) = retries.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 2u32.saturating_pow(u32::from(doublings)).min(BACKOFF_CAP);
        let ceiling = self.0.backoff.saturating_mul(factor).as_nanos();
        let ceiling = u64::try_from(ceiling).unwrap_or(u64::MAX);
        Duration::from_nanos(scale(random, ceiling.saturating_add(1)))
    }

    /// Retries at once, as a share of the requests under way.
    #[must_use]
    pub const fn budget(&self) -> Percent {
        self.0.budget
    }
}

/// The retries of one upstream that are in flight or in backoff.
#[derive(Debug, Default)]
pub struct Budget(AtomicUsize);

impl Budget {
    /// Room for one more retry, or none.
    ///
    /// Allowed at once is `share` of the `active` requests, rounded down, but at least [`FLOOR`];
    /// a share of 0 allows none.
    pub fn acquire(self: &Arc<Self>, share: Percent, active: usize) -> Option<Permit> {
        let limit = limit(share, active);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < limit).then_some(taken + 1)
            })
            .ok()?;
        Some(Permit(Arc::clone(self)))
    }

    /// Retries in flight or in backoff.
    #[must_use]
    pub fn retrying(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is no larger than the count, and not negative"
)]
fn limit(share: Percent, active: usize) -> usize {
    if share == Percent::NONE {
        return 0;
    }
    ((active as f64 * share.ratio()) as usize).max(FLOOR)
}

/// One retry's place in the budget; dropping it gives the place back.
#[derive(Debug)]
pub struct Permit(Arc<Budget>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    fn settings() -> config::Retry {
        config::Retry {
            attempts: 2,
            on: config::RetryOn {
                connect: true,
                reset: true,
                timeout: false,
                statuses: vec![StatusCode::BAD_GATEWAY],
            },
            backoff: Duration::from_millis(25),
            budget: Percent::from_hundredths(20.0).unwrap(),
            non_idempotent: false,
        }
    }

    fn attempt(failure: Failure, method: &Method) -> Attempt<'_> {
        Attempt {
            failure,
            method,
            retries: 0,
            body_replayable: true,
            response_started: false,
        }
    }

    const BUDGETED: Verdict = Verdict::Retry { budgeted: true };
    const EXEMPT: Verdict = Verdict::Retry { budgeted: false };

    #[test]
    fn repeats_what_the_route_lists() {
        let policy = Policy::new(settings());
        let decide = |failure| policy.decide(&attempt(failure, &Method::GET));
        assert_eq!(decide(Failure::Connect), EXEMPT);
        assert_eq!(decide(Failure::Reset), BUDGETED);
        assert_eq!(decide(Failure::Status(StatusCode::BAD_GATEWAY)), BUDGETED);
        let not_listed = Verdict::GiveUp(GiveUp::NotListed);
        assert_eq!(decide(Failure::Timeout), not_listed);
        let status = Failure::Status(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(decide(status), not_listed);
    }

    #[test]
    fn repeats_post_only_where_that_is_safe_or_allowed() {
        let policy = Policy::new(settings());
        let brew = Method::from_bytes(b"BREW").unwrap();
        for method in [&Method::POST, &Method::PATCH, &brew] {
            let decide = |policy: &Policy, failure| policy.decide(&attempt(failure, method));
            assert_eq!(decide(&policy, Failure::Connect), EXEMPT);
            let unsafe_to_repeat = Verdict::GiveUp(GiveUp::NotIdempotent);
            assert_eq!(decide(&policy, Failure::Reset), unsafe_to_repeat);
            let allowed = Policy::new(config::Retry {
                non_idempotent: true,
                ..settings()
            });
            assert_eq!(decide(&allowed, Failure::Reset), BUDGETED);
        }
        for method in [&Method::PUT, &Method::DELETE, &Method::HEAD] {
            assert_eq!(policy.decide(&attempt(Failure::Reset, method)), BUDGETED);
        }
    }

    #[test]
    fn never_repeats_what_cannot_be() {
        let policy = Policy::new(settings());
        let first = attempt(Failure::Connect, &Method::GET);
        for (attempt, reason) in [
            (
                Attempt {
                    response_started: true,
                    ..first
                },
                GiveUp::ResponseStarted,
            ),
            (
                Attempt {
                    body_replayable: false,
                    ..first
                },
                GiveUp::BodyGone,
            ),
            (
                Attempt {
                    retries: 2,
                    ..first
                },
                GiveUp::Exhausted,
            ),
        ] {
            assert_eq!(policy.decide(&attempt), Verdict::GiveUp(reason));
        }
    }

    #[test]
    fn backs_off_from_the_second_retry_on() {
        let policy = Policy::new(settings());
        assert_eq!(policy.backoff(0, u64::MAX), Duration::ZERO);
        for (retries, longest) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (200, 250)] {
            let longest = Duration::from_millis(longest);
            assert_eq!(policy.backoff(retries, 0), Duration::ZERO);
            assert_eq!(policy.backoff(retries, u64::MAX), longest);
            let half = policy.backoff(retries, u64::MAX / 2);
            assert!(half.abs_diff(longest / 2) < Duration::from_micros(1));
        }
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let budget = Arc::new(Budget::default());
        assert!(budget.acquire(Percent::NONE, 1_000).is_none());
        assert!(budget.acquire(Percent::ALL, 0).is_some());
    }

    proptest! {
        #[test]
        fn never_more_than_the_share(
            hundredths in 1_u8..=100,
            steps in prop::collection::vec((any::<bool>(), 0_usize..200), 0..200),
        ) {
            let budget = Arc::new(Budget::default());
            let share = Percent::from_hundredths(hundredths.into()).unwrap();
            let mut permits = Vec::new();
            for (ends, active) in steps {
                if ends {
                    permits.pop();
                } else {
                    let limit = (active * usize::from(hundredths) / 100).max(FLOOR);
                    let permit = budget.acquire(share, active);
                    // A product of floats may fall short of a whole number by a hair.
                    let near = permits.len().abs_diff(limit) <= 1;
                    prop_assert!(near || permit.is_some() == (permits.len() < limit));
                    permits.extend(permit);
                }
                prop_assert_eq!(budget.retrying(), permits.len());
            }
            drop(permits);
            prop_assert_eq!(budget.retrying(), 0);
        }
    }
}
