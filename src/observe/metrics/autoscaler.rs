//! The series of the autoscaler's targets.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::family::Family;
use super::page::Page;

/// The series of one target. They are exposed for as long as somebody holds the handle, from the
/// first decision on.
#[derive(Debug)]
pub struct AutoscalerMetrics {
    upstream: String,
    told: Mutex<Told>,
}

/// What was last decided about a target.
#[derive(Clone, Copy, Debug)]
pub struct ScaleReading {
    /// Bounds of the size.
    pub min: u32,
    /// See `min`.
    pub max: u32,
    /// Whether something kept the decision from being carried out.
    pub held: bool,
    /// Whether an operator did.
    pub paused: bool,
    /// Backends that there were.
    pub size: u32,
    /// Those that served.
    pub ready: u32,
    /// Backends that are wanted.
    pub desired: u32,
    /// Backends that the load needs.
    pub needed: Option<f64>,
    /// Backends that the forecast expects to be needed.
    pub forecast: Option<f64>,
    /// The forecast's mean error, as a share.
    pub forecast_error: Option<f64>,
    /// When.
    pub unix_seconds: f64,
}

#[derive(Debug, Default)]
struct Told {
    last: Option<ScaleReading>,
    /// By direction and reason.
    decisions: BTreeMap<(&'static str, &'static str), u64>,
    /// By direction.
    actions: BTreeMap<&'static str, u64>,
    /// By what was tried.
    failures: BTreeMap<&'static str, u64>,
}

impl AutoscalerMetrics {
    pub(super) fn new(upstream: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
            told: Mutex::default(),
        }
    }

    /// A decision was made.
    pub fn decided(&self, reading: ScaleReading) {
        self.inner().last = Some(reading);
    }

    /// It said something that the one before it did not.
    pub fn told(&self, direction: &'static str, reason: &'static str) {
        *self
            .inner()
            .decisions
            .entry((direction, reason))
            .or_default() += 1;
    }

    /// The size was changed.
    pub fn acted(&self, direction: &'static str) {
        *self.inner().actions.entry(direction).or_default() += 1;
    }

    /// Something that was tried failed: `observe`, `create`, `start`, `serve`, `remove`, `tidy`,
    /// `resize`.
    pub fn failed(&self, step: &'static str) {
        *self.inner().failures.entry(step).or_default() += 1;
    }

    pub(super) fn collect(&self, page: &mut Page) {
        let told = self.inner();
        let upstream = self.upstream.as_str();
        if let Some(last) = told.last {
            let sizes = [
                (Family::AutoscalerMin, last.min),
                (Family::AutoscalerMax, last.max),
                (Family::AutoscalerHeld, u32::from(last.held)),
                (Family::AutoscalerPaused, u32::from(last.paused)),
                (Family::AutoscalerCurrent, last.size),
                (Family::AutoscalerReady, last.ready),
                (Family::AutoscalerDesired, last.desired),
            ];
            for (family, size) in sizes {
                page.number(family, &[upstream], f64::from(size));
            }
            let sources = [("reactive", last.needed), ("predicted", last.forecast)];
            for (source, value) in sources {
                if let Some(value) = value {
                    let labels = &[upstream, source];
                    page.number(Family::AutoscalerRecommendation, labels, value);
                }
            }
            if let Some(error) = last.forecast_error {
                page.number(Family::AutoscalerForecastError, &[upstream], error);
            }
            let at = last.unix_seconds;
            page.number(Family::AutoscalerDecided, &[upstream], at);
        }
        for ((direction, reason), count) in &told.decisions {
            let labels = &[upstream, direction, reason];
            page.counter(Family::AutoscalerDecisions, labels, *count);
        }
        for (direction, count) in &told.actions {
            page.counter(Family::AutoscalerActions, &[upstream, direction], *count);
        }
        for (step, count) in &told.failures {
            page.counter(Family::AutoscalerFailures, &[upstream, step], *count);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
