//! Level and trend of a series, smoothed exponentially.
//!
//! Holt's method in its error-correction form (Holt 1957; Gardner, "Exponential
//! smoothing: the state of the art", 1985). The two smoothing constants are
//! tied to one memory, as in Brown's discounted least squares (Brown,
//! "Smoothing, Forecasting and Prediction of Discrete Time Series", 1963): with
//! θ = exp(-Δt / memory) the level takes 1 - θ² of what was not expected and
//! the trend (1 - θ)² of it per Δt. As θ follows the time that really passed,
//! irregular samples and gaps need nothing of their own (after Wright,
//! "Forecasting data published at irregular time intervals", 1986).
//!
//! The trend is not damped: damping keeps forecasts of many steps from running
//! away, while here a few steps are looked ahead, where it would only lag
//! behind every ramp. What it adds is bounded instead.
//!
//! A value far off is believed only so far (after Gelper, Fried and Croux,
//! "Robust forecasting with exponential and Holt-Winters smoothing", 2010), so
//! one spike makes no trend. Several in a row are a new level: the series
//! begins anew there, without a trend.

/// How many times the usual surprise is believed at most; 4 mean absolute deviations are 3.2
/// standard deviations of normal noise.
const BELIEVED: f64 = 4.0;

/// Surprises beyond that in a row, all to one side, that make a new level.
const NEW_LEVEL: i8 = 3;

/// The weight of the last surprise in the usual one.
const SPREAD_WEIGHT: f64 = 0.2;

/// What is usual even where nothing ever surprised: so many backends, and this share of the level.
const LEAST_SPREAD: f64 = 0.05;
const LEAST_SPREAD_SHARE: f64 = 0.02;

/// A level, a trend, and how far values usually are from what they say.
#[derive(Clone, Debug)]
pub(super) struct Holt {
    /// Seconds after which a value has lost most of its weight.
    memory: f64,
    level: f64,
    /// Per second.
    trend: f64,
    /// Mean absolute surprise.
    spread: f64,
    /// Surprises in a row that were not believed, negative for those below.
    beyond: i8,
}

impl Holt {
    /// A series that begins at `level`; `memory` is in seconds and positive.
    pub(super) fn new(memory: f64, level: f64) -> Self {
        Self {
            memory,
            level,
            trend: 0.0,
            spread: 0.0,
            beyond: 0,
        }
    }

    /// Takes in a value, `elapsed` seconds (more than none) after the last one.
    pub(super) fn observe(&mut self, elapsed: f64, value: f64) {
        let expected = self.level + self.trend * elapsed;
        let surprise = value - expected;
        let least = LEAST_SPREAD + LEAST_SPREAD_SHARE * self.level.abs();
        let bound = BELIEVED * self.spread.max(least);
        let believed = surprise.clamp(-bound, bound);
        self.spread += SPREAD_WEIGHT * (believed.abs() - self.spread);
        self.beyond = match surprise {
            surprise if surprise > bound => self.beyond.max(0) + 1,
            surprise if surprise < -bound => self.beyond.min(0) - 1,
            _ => 0,
        };
        if self.beyond.abs() >= NEW_LEVEL {
            self.begin_at(value);
            return;
        }
        let kept = (-elapsed / self.memory).exp();
        self.level = expected + (1.0 - kept * kept) * believed;
        self.trend += (1.0 - kept) * (1.0 - kept) * believed / elapsed;
    }

    /// Forgets the trend and goes on from `level`.
    pub(super) fn begin_at(&mut self, level: f64) {
        self.level = level;
        self.trend = 0.0;
        self.beyond = 0;
    }

    /// The value expected `seconds` after the last one. The trend at most doubles the level, or adds
    /// one backend where that is more.
    pub(super) fn ahead(&self, seconds: f64) -> f64 {
        let most = self.level.abs().max(1.0);
        self.level + (self.trend * seconds).clamp(-most, most)
    }
}
