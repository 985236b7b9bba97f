//! How many backends will be needed when one that is asked for now serves.
//!
//! Holt's method (`holt`) looks ahead along the present trend. Once two
//! seasons are known, Holt-Winters does so on what remains without the season
//! (`season`), and puts the season of then back on top.
//!
//! No smoothing constant suits both a quiet pool and a steep morning, so none
//! is fixed: four memories, from half the horizon to four times of it, run side
//! by side, with and without the season. All of them predict, each prediction
//! is compared with what came, and the one that was wrong the least of late
//! speaks for all; another must be clearly better to take its place. A season
//! that is none, or is over, is therefore found out and not used.
//!
//! Nothing here acts: a prediction only ever raises what is asked for, and
//! [`Forecaster::counts`] says whether it may do that.
//!
//! Pure. Time is seconds since the epoch, so that history can be given by
//! whoever kept it.

mod due;
mod gather;
mod holt;
mod season;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Forecast, ForecastMode};
use due::{Due, Dues, Errors};
use holt::Holt;
use season::Season;

/// The memories, as shares of the horizon.
const MEMORIES: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// Each memory without a season and with it.
const CANDIDATES: usize = 2 * MEMORIES.len();

/// Which of them speaks before anything is known: twice the horizon, without a season.
const FIRST: usize = 2;

/// A memory is at least so many steps long: a shorter one repeats the noise.
const MIN_MEMORY_STEPS: f64 = 1.5;

/// Another one speaks when its error is at most this share of the present one's.
const BETTER: f64 = 0.9;

/// Predictions that came due over which the errors are compared, and before which they are not.
const COMPARED: f64 = 40.0;
const MIN_COMPARED: u32 = 12;

/// Predictions that came due before `auto` trusts any.
const MIN_TRUSTED: usize = 20;

/// The margin is at most this share of what is needed, however wrong predictions are.
const MAX_MARGIN: f64 = 0.1;

/// More backends than this are a broken signal.
const ABSURD: f64 = 1e9;

/// What made a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Level and trend.
    Holt,
    /// Level, trend and season.
    HoltWinters,
}

impl Model {
    /// Its name in metrics, events and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Holt => "holt",
            Self::HoltWinters => "holt_winters",
        }
    }
}

/// What will be needed at the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Prediction {
    /// Backends that would bring the pool to its target; finite, not negative.
    pub needed: f64,
    /// Backends to have on top, by how wrong predictions usually are; finite, not negative.
    pub margin: f64,
    /// What made it.
    pub model: Model,
}

impl Prediction {
    /// What to ask for: as `needed` is as often too low as it is too high, the margin is added.
    #[must_use]
    pub fn asked(&self) -> f64 {
        self.needed + self.margin
    }
}

/// Learns what was needed and says what will be.
#[derive(Clone, Debug)]
pub struct Forecaster {
    settings: Forecast,
    step: Duration,
    horizon: Duration,
    /// Seconds without a value after which what was before tells nothing about the next minutes.
    gap: f64,
    candidates: Vec<Candidate>,
    /// Which candidate speaks.
    speaker: usize,
    season: Option<Season>,
    dues: Dues<CANDIDATES>,
    errors: Errors,
    /// When something was last observed, a missing value included.
    now: Option<f64>,
    /// The last value and when it was.
    last: Option<(f64, f64)>,
}

/// One of those that predict.
#[derive(Clone, Debug)]
struct Candidate {
    holt: Holt,
    seasonal: bool,
    /// Mean absolute error of the last predictions that came due, in backends.
    error: f64,
    compared: u32,
}

impl Candidate {
    fn came(&mut self, said: f64, came: f64) {
        self.compared = self.compared.saturating_add(1);
        let weight = (1.0 / f64::from(self.compared)).max(1.0 / COMPARED);
        self.error += weight * ((said - came).abs() - self.error);
    }

    fn error(&self) -> Option<f64> {
        (self.compared >= MIN_COMPARED).then_some(self.error)
    }
}

impl Forecaster {
    /// One that knows nothing yet; a value is observed each `step`. The `horizon` should be what a
    /// new backend takes to serve and one step more: until then, the next decision's backend does
    /// not serve either.
    #[must_use]
    pub fn new(settings: &Forecast, step: Duration, horizon: Duration) -> Self {
        let (step_s, horizon_s) = (step.as_secs_f64().max(1e-3), horizon.as_secs_f64());
        let season = Season::new(settings.season.as_secs_f64(), step_s);
        let slot = season.as_ref().map_or(0.0, Season::width);
        let candidates = [false, true].into_iter().flat_map(|seasonal| {
            MEMORIES.map(|share| Candidate {
                holt: Holt::new((share * horizon_s).max(MIN_MEMORY_STEPS * step_s), 0.0),
                seasonal,
                error: 0.0,
                compared: 0,
            })
        });
        Self {
            settings: *settings,
            step,
            horizon,
            gap: (4.0 * step_s).max(2.0 * horizon_s).max(2.0 * slot),
            candidates: candidates.collect(),
            speaker: FIRST,
            season,
            dues: Dues::new(horizon_s),
            errors: Errors::default(),
            now: None,
            last: None,
        }
    }

    /// Takes other settings. What was learnt stays, unless the season, the step or the horizon is
    /// another: then it is forgotten. Returns whether it stayed.
    pub fn reconfigure(&mut self, settings: &Forecast, step: Duration, horizon: Duration) -> bool {
        let same = (self.settings.season, self.step, self.horizon);
        if same == (settings.season, step, horizon) {
            self.settings = *settings;
            return true;
        }
        *self = Self::new(settings, step, horizon);
        false
    }

    /// The history worth asking for: how far back, and how far apart. It is a little more than two
    /// seasons, so that the season is tried on what followed before anything depends on it.
    /// `None` where the season is too short for the step to have a shape.
    #[must_use]
    pub fn history(&self) -> Option<(Duration, Duration)> {
        let width = Duration::from_secs_f64(self.season.as_ref()?.width());
        let season = self.settings.season;
        let tried = (season / 10).min(width * 60);
        Some((season * 2 + tried, width.max(self.step)))
    }

    /// Takes in what was needed before, as (seconds since the epoch, backends), oldest first. What
    /// is not later than something that was already observed is passed over.
    pub fn seed(&mut self, history: &[(f64, f64)]) {
        for &(at, needed) in history {
            if self.now.is_none_or(|now| at > now) {
                self.observe(at, Some(needed));
            }
        }
    }

    /// Takes in what is needed `at` this time; `None`, and what is not finite, negative or absurd,
    /// is a missing value. A time that is not later than the last one is passed over; one that is
    /// much earlier is a clock that was set back, and begins anew from there.
    pub fn observe(&mut self, at: f64, needed: Option<f64>) {
        if !at.is_finite() {
            return;
        }
        if let Some(now) = self.now
            && at <= now
        {
            if now - at <= self.gap {
                return;
            }
            self.begin_anew();
        }
        self.now = Some(at);
        let Some(value) = needed.filter(|needed| (0.0..ABSURD).contains(needed)) else {
            return;
        };
        self.settle(at, value);
        self.learn(at, value);
        self.choose();
        let horizon = self.horizon.as_secs_f64();
        let said = std::array::from_fn(|which| self.says(which, horizon));
        self.dues.keep(at, said, self.says(self.speaker, horizon));
    }

    /// What will be needed, the horizon after the last observation; `None` before the first value,
    /// and when none came for so long that the last ones tell nothing any more.
    #[must_use]
    pub fn prediction(&self) -> Option<Prediction> {
        let missing = self.now? - self.last?.0;
        if missing > self.gap {
            return None;
        }
        let needed = self.says(self.speaker, missing + self.horizon.as_secs_f64())?;
        let model = if self.candidates[self.speaker].seasonal {
            Model::HoltWinters
        } else {
            Model::Holt
        };
        let margin = self.margin() * needed.max(1.0);
        Some(Prediction {
            needed,
            margin,
            model,
        })
    }

    /// The mean absolute percentage error, as a share, of the last predictions that came due; at
    /// most 240 of them. What came counts as one backend at least.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        self.errors.mean()
    }

    /// Whether the prediction may raise what is asked for.
    #[must_use]
    pub fn counts(&self) -> bool {
        match self.settings.mode {
            ForecastMode::Observe => false,
            ForecastMode::Enforce => true,
            ForecastMode::Auto => {
                let bar = self.settings.max_error.ratio();
                self.errors.count() >= MIN_TRUSTED
                    && self.errors.mean().is_some_and(|error| error < bar)
            }
        }
    }

    /// The median error as a share; none before enough predictions came due.
    fn margin(&self) -> f64 {
        let known = self.errors.count() >= MIN_TRUSTED;
        let median = self.errors.median().filter(|_| known);
        median.unwrap_or_default().min(MAX_MARGIN)
    }

    /// What a candidate says about `ahead` seconds after the last value.
    fn says(&self, which: usize, ahead: f64) -> Option<f64> {
        let candidate = &self.candidates[which];
        let level = candidate.holt.ahead(ahead);
        let needed = if candidate.seasonal {
            level + self.season.as_ref()?.at(self.last?.0 + ahead)?
        } else {
            level
        };
        needed.is_finite().then_some(needed.max(0.0))
    }

    /// Compares what was said about the time since the last value with what came, on a straight
    /// line between the two. Where they are far apart, as in history that is coarser than the horizon,
    /// the line would flatter every prediction: nothing is known.
    fn settle(&mut self, at: f64, value: f64) {
        let (since, from) = self.last.unwrap_or((at, value));
        let near = (2.0 * self.horizon.as_secs_f64()).max(4.0 * self.step.as_secs_f64());
        while let Some(Due {
            at: due,
            said,
            given,
        }) = self.dues.come(at)
        {
            if at - since > near {
                continue;
            }
            let share = ((due - since) / (at - since).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            let came = from + (value - from) * share;
            for (candidate, said) in self.candidates.iter_mut().zip(said) {
                if let Some(said) = said {
                    candidate.came(said, came);
                }
            }
            if let Some(given) = given {
                self.errors.add(given, came);
            }
        }
    }

    fn learn(&mut self, at: f64, value: f64) {
        let elapsed = self.last.map(|(since, _)| at - since);
        let elapsed = elapsed.filter(|&elapsed| elapsed <= self.gap);
        self.last = Some((at, value));
        let usual = self.season.as_ref().and_then(|season| season.at(at));
        for candidate in &mut self.candidates {
            let value = if candidate.seasonal {
                value - usual.unwrap_or_default()
            } else {
                value
            };
            match elapsed {
                Some(elapsed) => candidate.holt.observe(elapsed, value),
                None => candidate.holt.begin_at(value),
            }
        }
        if let Some(season) = &mut self.season
            && season.observe(at, value)
        {
            let usual = season.at(at).unwrap_or_default();
            for candidate in self.candidates.iter_mut().filter(|held| held.seasonal) {
                candidate.holt.begin_at(value - usual);
            }
        }
    }

    /// Lets the candidate speak that was wrong the least.
    fn choose(&mut self) {
        let errors = self.candidates.iter().map(Candidate::error).enumerate();
        let known = errors.filter_map(|(which, error)| Some((which, error?)));
        let best = known.min_by(|(_, one), (_, other)| one.total_cmp(other));
        let present = self.candidates[self.speaker].error();
        if let Some((which, error)) = best
            && present.is_none_or(|present| error < BETTER * present)
        {
            self.speaker = which;
        }
    }

    /// Forgets what the last minutes told; the season stays.
    fn begin_anew(&mut self) {
        self.last = None;
        self.dues.clear();
    }
}

#[cfg(test)]
mod tests;
