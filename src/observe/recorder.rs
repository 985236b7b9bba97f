//! The only place that records.

use super::access_log::AccessLog;
use super::metrics::{BackendMetrics, UpstreamMetrics};
use super::outcome::{Attempt, Connection, Description, Handles, Outcome};
use crate::config;

/// Turns facts into metrics and log lines.
#[derive(Debug)]
pub struct Recorder {
    log: Option<AccessLog>,
}

impl Recorder {
    /// A recorder that writes to this access log, or to none.
    #[must_use]
    pub const fn new(log: Option<AccessLog>) -> Self {
        Self { log }
    }

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
    ///
    /// `draw` gives a random number in [0, 1) and `describe` what the log tells
    /// beyond the outcome; each is asked only when the log needs it.
    pub fn request<'r>(
        &self,
        outcome: &Outcome<'_>,
        handles: &Handles<'_>,
        draw: impl FnOnce() -> f64,
        describe: impl FnOnce() -> Description<'r>,
    ) {
        count(outcome, handles);
        if let Some(log) = &self.log
            && log.wants(outcome.status, draw)
        {
            log.log(outcome, handles, &describe());
        }
    }

    /// Takes over what can change of the access log while it is written.
    pub fn adapt(&self, config: Option<&config::AccessLog>) {
        if let (Some(log), Some(config)) = (&self.log, config) {
            log.adapt(config);
        }
    }

    /// Writes the log lines still queued and ends the log. Later ones are lost.
    pub fn close(&self) {
        if let Some(log) = &self.log {
            log.close();
        }
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
