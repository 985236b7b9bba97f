//! What a keeper tells: the board, the metrics, the timeline and the log.

use super::Keeper;
use crate::clock;
use crate::control::autoscale::board::Report;
use crate::control::autoscale::decide::{Decision, Pool, Reason};
use crate::control::autoscale::driver::DriverError;
use crate::control::autoscale::forecast::Forecaster;
use crate::control::timeline::Happening;
use crate::observe::metrics::ScaleReading;

impl<T: Send + Sync> Keeper<T> {
    /// Nothing can be decided.
    pub(super) fn blind(&self, error: &DriverError) {
        let at = clock::unix_millis() as f64 / 1e3;
        self.metrics.failed("observe");
        self.show(at, None, None, Some(&error.to_string()), None, false);
        let upstream = &self.settings.target.upstream;
        tracing::warn!(upstream, %error, "autoscaler: the driver cannot be asked, the size is held");
    }

    pub(super) fn show(
        &self,
        at: f64,
        pool: Option<Pool>,
        decision: Option<&Decision>,
        held: Option<&str>,
        forecast: Option<f64>,
        counts: bool,
    ) {
        let (target, interval) = (&self.settings.target, self.settings.interval);
        let horizon = target.forecast.map(|_| target.provisioning + interval);
        let forecast_error = self.forecaster.as_ref().and_then(Forecaster::error);
        if let (Some(pool), Some(decision)) = (pool, decision) {
            self.metrics.decided(ScaleReading {
                min: target.min,
                max: target.max,
                held: held.is_some(),
                paused: self.around.board.is_paused(&target.upstream),
                size: pool.size,
                ready: pool.ready,
                desired: decision.desired,
                needed: decision.needed,
                forecast,
                forecast_error,
                unix_seconds: at,
            });
        }
        let is_new = self.around.board.note(Report {
            upstream: target.upstream.clone(),
            min: target.min,
            max: target.max,
            dry_run: self.settings.dry_run,
            paused: false,
            at,
            interval: interval.as_secs_f64(),
            horizon: horizon.map(|horizon| horizon.as_secs_f64()),
            pool,
            decision: decision.cloned(),
            held: held.map(str::to_owned),
            forecast,
            forecast_error,
            forecast_counts: counts,
            leaving: self
                .farewells
                .iter()
                .filter(|one| one.is_here())
                .map(|one| one.name.clone())
                .collect(),
        });
        if let (Some(decision), true) = (decision, is_new) {
            let (direction, reason) = (decision.direction.label(), decision.reason.label());
            self.metrics.told(direction, reason);
            tracing::info!(
                upstream = target.upstream,
                direction,
                reason,
                size = pool.map(|pool| pool.size),
                to = decision.size,
                desired = decision.desired,
                held,
                "autoscaler: decided"
            );
        }
    }

    /// Tells once that nothing is started any more, since nothing that was came to serve.
    pub(super) fn tell_of_crashes(&mut self, decision: &Decision) {
        let stopped = decision.reason == Reason::CrashLoop;
        if stopped && !self.stopped {
            let upstream = self.settings.target.upstream.clone();
            let detail = format!(
                "new backends do not come to serve: growth to {} stops, and is tried again one by one",
                decision.desired
            );
            tracing::warn!(upstream, "autoscaler: {detail}");
            self.around.timeline.note(Happening::Scaling {
                upstream,
                from: None,
                to: None,
                reason: decision.reason.label(),
                detail,
            });
        }
        self.stopped = stopped;
    }

    pub(super) fn tell(
        &self,
        from: u32,
        to: u32,
        decision: &Decision,
        failure: Option<&DriverError>,
    ) {
        let upstream = self.settings.target.upstream.clone();
        let direction = decision.direction.label();
        let failed = failure.map(|error| format!("; {error}"));
        let detail = format!(
            "{}{}",
            decision.told(),
            failed.as_deref().unwrap_or_default()
        );
        if failure.is_none() {
            tracing::info!(upstream, direction, from, to, detail, "autoscaler: scales");
        } else {
            tracing::warn!(upstream, direction, from, to, detail, "autoscaler: scales");
        }
        self.metrics.acted(direction);
        self.around.timeline.note(Happening::Scaling {
            upstream,
            from: Some(from),
            to: Some(to),
            reason: decision.reason.label(),
            detail,
        });
    }
}
