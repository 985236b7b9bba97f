//! The only place that records.

use super::metrics::{BackendMetrics, UpstreamMetrics};
use super::outcome::{Attempt, Connection, Handles, Outcome};

/// Turns facts into metrics and log lines.
#[derive(Debug, Default)]
pub struct Recorder {}

impl Recorder {
    /// Records one try at a backend. Call it once per try, when its response
    /// begins or it has failed.
    pub fn attempt(&self, attempt: &Attempt, upstream: &UpstreamMetrics, backend: &BackendMetrics) {
        let algorithm = attempt.pick.algorithm;
        backend.pick(attempt.pick.reason);
        backend.answer(attempt.answer);
        upstream.chosen(algorithm);
        match attempt.connection {
            Connection::New(took) => {
                upstream.connection(false);
                backend.connect().observe(took);
            }
            Connection::Reused => upstream.connection(true),
            Connection::Failed => {}
        }
        if let Some(first_byte) = attempt.first_byte {
            backend.response().observe(first_byte);
            upstream.response(algorithm).observe(first_byte);
        }
        if let Some(reason) = attempt.retry {
            upstream.retry(reason);
        }
    }

    /// Records a retry that was not made because the budget was spent.
    pub fn retry_budget_exhausted(&self, upstream: &UpstreamMetrics) {
        upstream.retry_budget_exhausted.inc();
    }

    /// Records one finished request. Call it once per request.
    pub fn request(&self, outcome: &Outcome<'_>, handles: &Handles<'_>) {
        count(outcome, handles);
    }
}

fn count(outcome: &Outcome<'_>, handles: &Handles<'_>) {
    let route = handles.route;
    route.count(outcome.listener, outcome.method, outcome.status);
    if let Some(listener) = route.listener(outcome.listener) {
        listener.bytes_in.add(outcome.bytes_in);
        listener.bytes_out.add(outcome.bytes_out);
    }
    route.duration(outcome.status).observe(outcome.times.total);
    route.overhead().observe(outcome.times.overhead());
    if let Some(reject) = outcome.reject {
        route.reject(reject);
    }
    if let (Some(upstream), Some(queued)) = (handles.upstream, outcome.times.queue) {
        upstream.queue_wait().observe(queued);
    }
}
