//! The handles a snapshot holds: every series of one listener, route, upstream
//! or backend, found once and then only added to.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::config::Algorithm;
use crate::reject::Reject;
use crate::state::Reason;

use super::cell::{Counter, Histogram, LATENCY_BOUNDS, OVERHEAD_BOUNDS, Words};
use super::family::Family;
use super::page::Page;
use super::requests::{CLASSES, RequestCounts, class_index};

/// The `route` and `upstream` label of a request that had none.
pub const NONE: &str = "-";

/// What was counted up to one moment, to be compared with a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests, however they ended.
    pub requests: u64,
    /// Those that ended with a status of 500 to 599, or without one through the backend's fault.
    pub errors: u64,
    /// How long they took: as many as were not above each of [`LATENCY_BOUNDS`] and above the one
    /// before it, and those above the last.
    pub times: [u64; LATENCY_BOUNDS.len() + 1],
}

/// Position of the statuses 500 to 599 among the classes.
const SERVER_ERROR: usize = 4;

/// Latency by the class of the status.
#[derive(Debug)]
pub(super) struct Durations([Histogram; CLASSES.len()]);

impl Durations {
    pub(super) const fn new() -> Self {
        Self([const { Histogram::new(LATENCY_BOUNDS) }; CLASSES.len()])
    }

    /// The requests so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (class, histogram) in self.0.iter().enumerate() {
            let found = histogram.add_to(&mut counts.times);
            counts.requests += found;
            if class == SERVER_ERROR {
                counts.errors += found;
            }
        }
        counts
    }

    pub(super) fn collect(&self, route: &str, upstream: &str, page: &mut Page) {
        for (class, histogram) in CLASSES.iter().zip(&self.0) {
            page.histogram(
                Family::RequestDuration,
                &[route, upstream, class],
                histogram,
            );
        }
    }
}

/// What a route counts whatever the upstream.
#[derive(Debug)]
pub(super) struct RouteTotals {
    rejects: [Counter; Reject::ALL.len()],
    overhead: Histogram,
}

impl RouteTotals {
    pub(super) const fn new() -> Self {
        Self {
            rejects: [const { Counter::new() }; Reject::ALL.len()],
            overhead: Histogram::new(OVERHEAD_BOUNDS),
        }
    }

    pub(super) fn collect(&self, route: &str, page: &mut Page) {
        page.histogram(Family::ProxyOverhead, &[route], &self.overhead);
        for (reject, count) in Reject::ALL.iter().zip(&self.rejects) {
            page.counted(Family::Rejects, &[route, reject.label()], count.get());
        }
    }
}

/// The series of one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    pub(super) name: Arc<str>,
    /// Body bytes received from clients.
    pub bytes_in: Counter,
    /// Body bytes sent to clients.
    pub bytes_out: Counter,
}

impl ListenerMetrics {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            bytes_in: Counter::new(),
            bytes_out: Counter::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn collect(&self, page: &mut Page) {
        page.counter(Family::Bytes, &[&self.name, "in"], self.bytes_in.get());
        page.counter(Family::Bytes, &[&self.name, "out"], self.bytes_out.get());
    }
}

/// One listener as seen by one route and upstream.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) listener: Arc<ListenerMetrics>,
    pub(super) requests: Arc<RequestCounts>,
}

/// The series of one route and one of its upstreams.
#[derive(Debug)]
pub struct RouteMetrics {
    pub(super) route: Arc<str>,
    pub(super) upstream: Arc<str>,
    pub(super) entrances: Box<[Entrance]>,
    pub(super) durations: Arc<Durations>,
    pub(super) totals: Arc<RouteTotals>,
}

impl RouteMetrics {
    /// The route's name.
    #[must_use]
    pub fn route(&self) -> &Arc<str> {
        &self.route
    }

    /// The upstream's name.
    #[must_use]
    pub fn upstream(&self) -> &Arc<str> {
        &self.upstream
    }

    /// The listener at this position of the list the handle was made with.
    #[must_use]
    pub fn listener(&self, position: usize) -> Option<&ListenerMetrics> {
        self.entrances
            .get(position)
            .map(|entrance| &*entrance.listener)
    }

    pub(in crate::observe) fn count(&self, listener: usize, method: &Method, status: StatusCode) {
        if let Some(entrance) = self.entrances.get(listener) {
            entrance.requests.inc(method, status);
        }
    }

    pub(in crate::observe) fn duration(&self, status: StatusCode) -> &Histogram {
        &self.durations.0[class_index(status)]
    }

    pub(in crate::observe) fn overhead(&self) -> &Histogram {
        &self.totals.overhead
    }

    pub(in crate::observe) fn reject(&self, reject: Reject) {
        self.totals.rejects[reject as usize].inc();
    }
}

/// The series of one upstream.
#[derive(Debug)]
pub struct UpstreamMetrics {
    name: Arc<str>,
    /// Retries not made because the budget was spent.
    pub retry_budget_exhausted: Counter,
    retries: Words,
    switches: Words,
    reused: [Counter; 2],
    queue_wait: Histogram,
    requests: [Counter; Algorithm::ALL.len()],
    responses: [Histogram; Algorithm::ALL.len()],
}

impl UpstreamMetrics {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            retry_budget_exhausted: Counter::new(),
            retries: Words::new(),
            switches: Words::new(),
            reused: [const { Counter::new() }; 2],
            queue_wait: Histogram::new(LATENCY_BOUNDS),
            requests: [const { Counter::new() }; Algorithm::ALL.len()],
            responses: [const { Histogram::new(LATENCY_BOUNDS) }; Algorithm::ALL.len()],
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// `adaptive` changed to this algorithm.
    pub fn switched(&self, to: Algorithm) {
        self.switches.inc(to.name());
    }

    pub(in crate::observe) fn retry(&self, reason: &'static str) {
        self.retries.inc(reason);
    }

    pub(in crate::observe) fn connection(&self, reused: bool) {
        self.reused[usize::from(reused)].inc();
    }

    pub(in crate::observe) fn queue_wait(&self) -> &Histogram {
        &self.queue_wait
    }

    pub(in crate::observe) fn chosen(&self, algorithm: Algorithm) {
        self.requests[algorithm as usize].inc();
    }

    pub(in crate::observe) fn response(&self, algorithm: Algorithm) -> &Histogram {
        &self.responses[algorithm as usize]
    }

    pub(super) fn collect(&self, page: &mut Page) {
        let name = &*self.name;
        let exhausted = self.retry_budget_exhausted.get();
        page.counter(Family::RetryBudgetExhausted, &[name], exhausted);
        for (reused, count) in ["false", "true"].iter().zip(&self.reused) {
            page.counter(Family::PoolReuse, &[name, reused], count.get());
        }
        for (reason, count) in self.retries.read() {
            page.counted(Family::Retries, &[name, reason], count);
        }
        for (algorithm, count) in self.switches.read() {
            page.counted(Family::AlgorithmSwitches, &[name, algorithm], count);
        }
        page.histogram(Family::QueueWait, &[name], &self.queue_wait);
        let by_algorithm = self.requests.iter().zip(&self.responses);
        for (algorithm, (requests, responses)) in Algorithm::ALL.iter().zip(by_algorithm) {
            let labels = &[name, algorithm.name()];
            page.counted(Family::AlgorithmRequests, labels, requests.get());
            page.histogram(Family::AlgorithmResponse, labels, responses);
        }
    }
}

/// How an attempt at a backend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The backend's response began with this status.
    Status(StatusCode),
    /// No response: not connected, reset, timed out, or not HTTP.
    Failed,
    /// The client left before the backend answered.
    Cancelled,
}

/// The `code_class` of an attempt without a response.
const UNANSWERED: [&str; 2] = ["failed", "cancelled"];

/// Position of the first of them among a backend's answers.
const FAILED: usize = CLASSES.len();

/// The series of one backend.
///
/// They are exposed for as long as somebody holds the handle.
#[derive(Debug)]
pub struct BackendMetrics {
    upstream: Arc<str>,
    name: Arc<str>,
    answers: [Counter; CLASSES.len() + UNANSWERED.len()],
    picks: Words,
    ejections: Words,
    observed: Words,
    response: Histogram,
    connect: Histogram,
    checks: Words,
    check: Histogram,
}

impl BackendMetrics {
    pub(super) fn new(upstream: &str, name: &str) -> Self {
        Self {
            upstream: upstream.into(),
            name: name.into(),
            answers: [const { Counter::new() }; CLASSES.len() + UNANSWERED.len()],
            picks: Words::new(),
            ejections: Words::new(),
            observed: Words::new(),
            response: Histogram::new(LATENCY_BOUNDS),
            connect: Histogram::new(LATENCY_BOUNDS),
            checks: Words::new(),
            check: Histogram::new(LATENCY_BOUNDS),
        }
    }

    /// Its `host:port`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The backend was taken out.
    pub fn ejected(&self, reason: Reason) {
        self.ejections.inc(reason.label());
    }

    /// The backend would have been taken out.
    pub fn observed(&self, reason: Reason) {
        self.observed.inc(reason.label());
    }

    /// A health check took this long and came to `result`, a word out of a small vocabulary.
    pub fn check(&self, result: &'static str, took: Duration) {
        self.checks.inc(result);
        self.check.observe(took);
    }

    /// The tries so far, and how long they took to the first byte.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            requests: self.answers.iter().map(Counter::get).sum(),
            errors: self.answers[SERVER_ERROR].get() + self.answers[FAILED].get(),
            ..Counts::default()
        };
        self.response.add_to(&mut counts.times);
        counts
    }

    pub(in crate::observe) fn pick(&self, reason: &'static str) {
        self.picks.inc(reason);
    }

    pub(in crate::observe) fn answer(&self, answer: Answer) {
        let position = match answer {
            Answer::Status(status) => class_index(status),
            Answer::Failed => FAILED,
            Answer::Cancelled => FAILED + 1,
        };
        self.answers[position].inc();
    }

    pub(in crate::observe) fn response(&self) -> &Histogram {
        &self.response
    }

    pub(in crate::observe) fn connect(&self) -> &Histogram {
        &self.connect
    }

    pub(super) fn collect(&self, page: &mut Page) {
        let (upstream, name) = (&*self.upstream, &*self.name);
        for (class, count) in CLASSES.iter().chain(&UNANSWERED).zip(&self.answers) {
            page.counted(
                Family::BackendRequests,
                &[upstream, name, class],
                count.get(),
            );
        }
        for (reason, count) in self.picks.read() {
            page.counted(Family::BackendPicks, &[upstream, name, reason], count);
        }
        for (reason, count) in self.ejections.read() {
            page.counted(Family::Ejections, &[upstream, name, reason], count);
        }
        for (reason, count) in self.observed.read() {
            page.counted(Family::OutlierObserved, &[upstream, name, reason], count);
        }
        page.histogram(Family::BackendResponse, &[upstream, name], &self.response);
        page.histogram(Family::BackendConnect, &[upstream, name], &self.connect);
        for (result, count) in self.checks.read() {
            page.counted(Family::HealthChecks, &[upstream, name, result], count);
        }
        page.histogram(Family::HealthCheckDuration, &[upstream, name], &self.check);
    }
}
