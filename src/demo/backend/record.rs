//! What the backend counts about itself, and its Prometheus page.
//!
//! Handles for the paths and the usual status are resolved once, so that the
//! benchmark's requests touch atomics only.

use std::sync::Arc;

use prometheus::{Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec};
use prometheus::{IntGauge, Opts, Registry, TextEncoder};

use crate::clock::{self, Moment};

/// Status recorded for a request whose client left before the answer was made.
const CLIENT_LEFT: u16 = 499;

/// Upper bounds in seconds, those of the balancer's own histograms.
const BOUNDS_SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The endpoints, as the `path` label: paths with a number in them count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Root,
    Health,
    Load,
    Delay,
    Status,
    Bytes,
    Echo,
    WebSocket,
    Metrics,
    Unknown,
}

impl Endpoint {
    const LABELS: [&str; 10] = [
        "/", "/health", "/load", "/delay", "/status", "/bytes", "/echo", "/ws", "/metrics", "other",
    ];
}

/// The backend's counters.
pub(super) struct Record {
    registry: Registry,
    requests: IntCounterVec,
    answered_ok: Vec<IntCounter>,
    durations: Vec<Histogram>,
    in_flight: IntGauge,
}

impl Record {
    pub(super) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(
                "demo_backend_requests_total",
                "Requests by path and status; 499 when the client left.",
            ),
            &["path", "code"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "demo_backend_request_duration_seconds",
                "Time from request to the end of the answer.",
            )
            .buckets(BOUNDS_SECONDS.to_vec()),
            &["path"],
        )?;
        let in_flight = IntGauge::new(
            "demo_backend_requests_in_flight",
            "Requests not fully answered yet.",
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self {
            registry,
            answered_ok: Endpoint::LABELS
                .map(|path| requests.with_label_values(&[path, "200"]))
                .to_vec(),
            durations: Endpoint::LABELS
                .map(|path| durations.with_label_values(&[path]))
                .to_vec(),
            requests,
            in_flight,
        })
    }

    /// The page in Prometheus's text format.
    pub(super) fn page(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(8 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut page) {
            log::error!("cannot write the metrics page: {error}");
        }
        page
    }

    fn count(&self, endpoint: Endpoint, status: u16) {
        if status == 200 {
            self.answered_ok[endpoint as usize].inc();
        } else {
            let path = Endpoint::LABELS[endpoint as usize];
            self.requests
                .with_label_values(&[path, &status.to_string()])
                .inc();
        }
    }
}

/// One request being answered; recorded when dropped, so a cancelled one counts too.
pub(super) struct Ticket {
    record: Arc<Record>,
    endpoint: Endpoint,
    status: u16,
    started: Moment,
}

impl Ticket {
    pub(super) fn take(record: &Arc<Record>, endpoint: Endpoint) -> Self {
        record.in_flight.inc();
        Self {
            record: Arc::clone(record),
            endpoint,
            status: CLIENT_LEFT,
            started: clock::now(),
        }
    }

    pub(super) fn started(&self) -> Moment {
        self.started
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let took = clock::now().since(self.started);
        self.record.count(self.endpoint, self.status);
        self.record.durations[self.endpoint as usize].observe(took.as_secs_f64());
        self.record.in_flight.dec();
    }
}
