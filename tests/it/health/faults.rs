//! One sick backend of three, from the first request on.
//!
//! Each fault meets two balancers, one after the other: one that repeats nothing, where the clients
//! see what the sick backend costs before it is taken out, and one that repeats what it may. Its
//! retry budget is no part of the question: on a busy machine all connections may fail at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::is_up;
use crate::support::deadline::wait_until;
use crate::support::faults::{
    BlackHole, Cut, Resetting, badly_chunked, dripping, half_failing, mute, sound,
};
use crate::support::open_loop::Shot;
use crate::support::{OpenLoop, Setup, Shots};

const RATE: u32 = 500;
/// Two for each backend.
const CONNECTIONS: usize = 6;
/// The default `consecutive_failures` times the number of backends.
const MOST_FAILURES: usize = 5 * 3;
/// Limit for connecting and for each read, unless a test sets others.
const LIMIT: Duration = Duration::from_millis(400);
const LIMITS: &str = "timeouts: { connect: 400ms, read: 400ms }";
/// What a busy machine adds to an answer.
const SLACK: Duration = Duration::from_millis(500);

/// What clients saw, with the moment at which the sick backend was known to be.
struct Course {
    shots: Shots,
    out: Duration,
}

impl Course {
    fn of(sick: SocketAddr, limits: &str, route: &str) -> Self {
        let [a, c] = ["a", "c"].map(sound);
        let evenkeel = Setup::new(&[&a])
            .backend(sick, "")
            .backend(c.address(), "")
            .upstream("algorithm: round_robin")
            .upstream(limits)
            .route(route)
            .start();
        let load = OpenLoop::start(evenkeel.web(), RATE, CONNECTIONS);
        wait_until("the sick backend is out", || !is_up(&evenkeel, sick));
        let out = load.now();
        load.goes_on_for(Duration::from_millis(1_500));
        let shots = load.stop();
        Self { shots, out }
    }

    /// The failures, none of them of a request sent when the backend was known to be sick.
    #[track_caller]
    fn failed(&self) -> Vec<&Shot> {
        let failed = self.shots.failed();
        let late: Vec<_> = failed.iter().filter(|shot| shot.sent > self.out).collect();
        assert!(late.is_empty(), "out at {:?}, then: {late:#?}", self.out);
        let count = failed.len();
        let outcomes = self.shots.outcomes();
        assert!(count <= MOST_FAILURES, "{count} failed: {outcomes:?}");
        failed
    }

    /// The failures, each told to its client with this status within the limit.
    #[track_caller]
    fn failed_with(&self, status: u16, limit: Duration) -> usize {
        let failed = self.failed();
        for shot in &failed {
            let (outcome, taken) = (&shot.outcome, shot.taken());
            assert_eq!(outcome, &Ok(status), "{shot:?}");
            assert!(taken < limit + SLACK, "{taken:?} of {limit:?}");
        }
        failed.len()
    }
}

/// A sick backend for each balancer: the one that repeats nothing, then the other.
fn courses(sick: [SocketAddr; 2], limits: &str, timeout: &str) -> [Course; 2] {
    let [first, second] = sick;
    let once = format!("timeout: {timeout}\n    retry: {{ attempts: 0 }}");
    let repeating = format!("timeout: {timeout}\n    retry: {{ budget: 100% }}");
    [
        Course::of(first, limits, &once),
        Course::of(second, limits, &repeating),
    ]
}

/// Fails `once` with the status inside the limit, and not at all where failures are repeated.
#[track_caller]
fn costs_little(sick: SocketAddr, status: u16, limit: Duration) {
    let [once, repeating] = courses([sick; 2], LIMITS, "5s");
    let failed = once.failed_with(status, limit);
    assert!(failed > 0, "the fault is one");
    let outcomes = repeating.shots.outcomes();
    assert_eq!(repeating.failed().len(), 0, "{outcomes:?}");
}

#[test]
fn a_backend_that_never_answers_loses_its_traffic() {
    costs_little(mute().address(), 504, LIMIT);
}

#[test]
fn a_backend_that_resets_connections_loses_its_traffic() {
    costs_little(
        Resetting::start(Cut::Accepted).address(),
        502,
        Duration::ZERO,
    );
}

#[test]
fn a_backend_that_resets_requests_loses_its_traffic() {
    costs_little(
        Resetting::start(Cut::Requested).address(),
        502,
        Duration::ZERO,
    );
}

#[test]
fn a_backend_that_accepts_no_connection_loses_its_traffic() {
    costs_little(BlackHole::start().address(), 504, LIMIT);
}

#[test]
fn a_backend_that_fails_half_of_its_requests_loses_its_traffic() {
    let sick = ["b", "b"].map(half_failing);
    let [once, repeating] = courses([sick[0].address(), sick[1].address()], LIMITS, "5s");
    // Its answers are passed on: a 500 is nobody else's to repeat.
    assert!(once.failed_with(500, Duration::ZERO) > 0);
    assert!(repeating.failed_with(500, Duration::ZERO) > 0);
}

#[test]
fn a_backend_that_breaks_its_chunking_loses_its_traffic() {
    let sick = badly_chunked();
    for course in courses([sick.address(); 2], LIMITS, "5s") {
        // Its head may have been passed on by then: such an answer must not look complete.
        for shot in course.failed() {
            assert!(matches!(shot.outcome, Err(_) | Ok(502)), "{shot:?}");
            assert!(shot.taken() < SLACK, "{shot:?}");
        }
    }
}

#[test]
fn a_backend_that_drips_its_answer_loses_its_traffic() {
    // No read takes too long; only the request as a whole does, so there is no time to repeat it.
    let sick = dripping();
    let limits = "timeouts: { read: 3s }";
    for course in courses([sick.address(); 2], limits, "600ms") {
        assert!(course.failed_with(504, Duration::from_millis(600)) > 0);
    }
}
