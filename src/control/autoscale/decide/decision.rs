//! What a decision is made from, and what it says.

use schemars::JsonSchema;
use serde::Serialize;

/// The backends of an upstream, as the driver and the health checks see them.
///
/// The two see at different times: `ready`, `warming` and `failing` together may be less or more
/// than `size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pool {
    /// Instances that the driver has: those that are starting count, those being removed do not.
    pub size: u32,
    /// Backends that serve.
    pub ready: u32,
    /// Backends that start, wait for their first check, or are in slow start.
    pub warming: u32,
    /// Backends that are down or ejected.
    pub failing: u32,
}

impl Pool {
    /// Whether most of it fails: the cause is hardly each single backend then, and what is measured
    /// says little.
    #[must_use]
    pub const fn fails_mostly(&self) -> bool {
        self.failing > self.ready.saturating_add(self.warming)
    }
}

/// What a signal says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// It was measured.
    Measured {
        /// The sum over the backends that report, in full backends: 1 is one backend at 100 %.
        load: f64,
        /// So many backends report; those that are ready and do not are missing.
        reporting: u32,
    },
    /// It was not, and why. A load that is negative or not finite counts as this.
    Failed(String),
}

/// What one decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'i> {
    /// The backends.
    pub pool: Pool,
    /// One for each signal of the target, in its order; one that is not there counts as failed.
    pub readings: &'i [Reading],
    /// How many backends will be needed once one that is begun now serves, where the forecast
    /// counts.
    pub forecast: Option<f64>,
}

/// Where the size should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More backends.
    Up,
    /// Fewer.
    Down,
    /// As many as there are.
    Hold,
}

impl Direction {
    /// Every direction.
    pub const ALL: &'static [Self] = &[Self::Up, Self::Down, Self::Hold];

    /// The word in the log, the metrics and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Hold => "hold",
        }
    }
}

/// Why the size should change, or else what keeps it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Changes: a signal has left its band.
    Load,
    /// Grows, or does not shrink: so many will be needed.
    Forecast,
    /// Grows: failing backends leave too few.
    ReplaceFailing,
    /// Grows at once: there are fewer than the least.
    BelowMin,
    /// Shrinks without waiting: there are more than the most.
    AboveMax,
    /// Stays: the load is within the band.
    WithinBand,
    /// Stays: the load has left the band, but by less than is worth a change.
    Tolerance,
    /// Stays: the load has left the band, but another number of backends would not suit it better.
    BestFit,
    /// Stays: enough backends are on their way, or it is waited for them before any is taken away.
    Warming,
    /// Stays: there are as many as there may be, and more are needed.
    AtMax,
    /// Stays: there are as few as there may be, and fewer are needed.
    AtMin,
    /// Stays: the change was not recommended throughout the window.
    Stabilising,
    /// Stays: as many as a period allows have come or gone in it.
    StepLimit,
    /// Stays: the last change is not long enough ago.
    Cooldown,
    /// Does not shrink: a signal could not be measured.
    SignalFailed,
    /// Stays: no signal could be measured.
    AllFailed,
    /// Does not shrink: most backends fail, and what is measured says little.
    MostlyFailing,
    /// Stays: no backend is ready, and what is measured says nothing.
    NoneReady,
    /// Does not grow: new backends do not start.
    CrashLoop,
}

impl Reason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Load,
        Self::Forecast,
        Self::ReplaceFailing,
        Self::BelowMin,
        Self::AboveMax,
        Self::WithinBand,
        Self::Tolerance,
        Self::BestFit,
        Self::Warming,
        Self::AtMax,
        Self::AtMin,
        Self::Stabilising,
        Self::StepLimit,
        Self::Cooldown,
        Self::SignalFailed,
        Self::AllFailed,
        Self::MostlyFailing,
        Self::NoneReady,
        Self::CrashLoop,
    ];

    /// The word in the log, the metrics and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Forecast => "forecast",
            Self::ReplaceFailing => "replace_failing",
            Self::BelowMin => "below_min",
            Self::AboveMax => "above_max",
            Self::WithinBand => "within_band",
            Self::Tolerance => "tolerance",
            Self::BestFit => "best_fit",
            Self::Warming => "warming",
            Self::AtMax => "at_max",
            Self::AtMin => "at_min",
            Self::Stabilising => "stabilising",
            Self::StepLimit => "step_limit",
            Self::Cooldown => "cooldown",
            Self::SignalFailed => "signal_failed",
            Self::AllFailed => "all_failed",
            Self::MostlyFailing => "mostly_failing",
            Self::NoneReady => "none_ready",
            Self::CrashLoop => "crash_loop",
        }
    }
}

/// What should be done now.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decision {
    /// The size to bring the pool to now; the present one where nothing should be done.
    pub size: u32,
    /// The size that is wanted, between the least and the most: where windows, steps and pauses
    /// lead in the end.
    pub desired: u32,
    /// From the present size to `size`.
    pub direction: Direction,
    /// Why.
    pub reason: Reason,
    /// How many backends would bring the load to its target, by the signal that asks for most;
    /// null where none was measured. A ready backend that does not report counts as one at the
    /// target.
    pub needed: Option<f64>,
    /// What each signal says, in their order, then the forecast where it counts.
    pub recommendations: Vec<Recommendation>,
}

impl Decision {
    /// The evidence in words.
    #[must_use]
    pub fn told(&self) -> String {
        let said = self.recommendations.iter().map(|one| {
            let load = match (one.utilisation, &one.note) {
                (Some(share), _) => format!(" {:.0} %", share * 100.0),
                (None, Some(_)) => " not measured".to_owned(),
                // A forecast is of no load that there is.
                (None, None) => String::new(),
            };
            format!("{}{load} asks for {}", one.source, one.replicas)
        });
        let said: Vec<String> = said.collect();
        format!("{}: {}", self.reason.label(), said.join(", "))
    }
}

/// What one source says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Recommendation {
    /// The signal's name, or `forecast`.
    pub source: String,
    /// The load of a ready backend, 1 is full; null where it was not measured.
    pub utilisation: Option<f64>,
    /// The size it asks for, whatever the bounds are; the present one where it could not be
    /// measured.
    pub replicas: u32,
    /// What is to be known about it.
    pub note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evidence_is_told_by_source() {
        let source = |source: &str, utilisation, note: Option<&str>| Recommendation {
            source: source.to_owned(),
            utilisation,
            replicas: 3,
            note: note.map(str::to_owned),
        };
        let decision = Decision {
            size: 3,
            desired: 3,
            direction: Direction::Up,
            reason: Reason::Load,
            needed: None,
            recommendations: vec![
                source("cpu", Some(0.834), None),
                source("jobs", None, Some("no answer")),
                source("forecast", None, None),
            ],
        };
        assert_eq!(
            decision.told(),
            "load: cpu 83 % asks for 3, jobs not measured asks for 3, forecast asks for 3"
        );
    }
}
