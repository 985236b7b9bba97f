//! What repeats itself: by how much the load at a time of the season usually
//! differs from the season's mean.
//!
//! The additive season of Holt-Winters (Winters, "Forecasting sales by
//! exponentially weighted moving averages", 1960), in a ring of slots. A slot
//! is at least as long as a step and there are at most [`MAX_SLOTS`] of them,
//! so a day costs the same memory whether it is sampled each second or each
//! minute; between the middles of two slots it is interpolated.
//!
//! The first two seasons are gathered, then the growth between them is taken
//! out and what remains is the season. From then on each pass over a slot
//! moves it, against a mean that has a memory of a whole season: against the
//! level of the short-term forecast, which follows every change within
//! minutes, a season that changes its shape would never be learnt.

use super::gather::Gathered;

/// Slots of the ring, whatever the season and the step.
pub(super) const MAX_SLOTS: usize = 1_440;

/// Fewer slots than this tell no shape.
const MIN_SLOTS: usize = 8;

/// The share of a slot that one pass over it renews.
const RENEWED: f64 = 0.3;

/// How many times the usual deviation is believed at most, and the usual one's memory in slots.
const BELIEVED: f64 = 4.0;
const SPREAD_MEMORY: f64 = 60.0;

/// What is usual even where nothing ever deviated, in backends.
const LEAST_SPREAD: f64 = 0.05;

/// Values that are no further apart than this share of the season also tell what was between them.
const BRIDGED: f64 = 1.0 / 48.0;

/// A season that is being gathered or known.
#[derive(Clone, Debug)]
pub(super) struct Season {
    /// Seconds.
    period: f64,
    /// A slot's seconds.
    width: f64,
    state: State,
    /// The last value and when it was.
    last: Option<(f64, f64)>,
}

#[derive(Clone, Debug)]
enum State {
    Gathering(Gathered),
    Known(Known),
}

/// A season that is known.
#[derive(Clone, Debug)]
struct Known {
    /// By how much each slot differs from the mean.
    slots: Vec<f64>,
    mean: f64,
    /// Mean absolute deviation from what mean and season say.
    spread: f64,
}

impl Season {
    /// A season of `period` seconds, sampled each `step` seconds; `None` where that is too coarse
    /// to have a shape.
    pub(super) fn new(period: f64, step: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped before"
        )]
        let slots = (period / step).floor().clamp(0.0, MAX_SLOTS as f64) as usize;
        (slots >= MIN_SLOTS).then(|| Self {
            period,
            width: period / slots as f64,
            state: State::Gathering(Gathered::new(slots)),
            last: None,
        })
    }

    /// A slot's length in seconds: history need not be finer.
    pub(super) fn width(&self) -> f64 {
        self.width
    }

    /// Takes in a value. Returns whether the season is known since this one.
    pub(super) fn observe(&mut self, at: f64, value: f64) -> bool {
        let last = self.last.filter(|&(since, _)| since <= at);
        let (mut since, from) = last.unwrap_or((at, value));
        self.last = Some((at, value));
        if at - since <= self.period * BRIDGED {
            let whole = at - since;
            while at - since > self.width {
                since += self.width;
                let share = 1.0 - (at - since) / whole;
                self.learn(since, from + (value - from) * share, self.width);
            }
        }
        self.learn(at, value, (at - since).min(self.width));
        let State::Gathering(gathered) = &mut self.state else {
            return false;
        };
        let Some((mean, slots)) = gathered.season(at, self.period) else {
            return false;
        };
        let spread = 0.0;
        self.state = State::Known(Known {
            slots,
            mean,
            spread,
        });
        true
    }

    /// `elapsed` is at most a slot's length.
    fn learn(&mut self, at: f64, value: f64, elapsed: f64) {
        let slot = self.slot(self.phase(at));
        match &mut self.state {
            State::Gathering(gathered) => gathered.add(slot, at, value, self.period),
            State::Known(known) => {
                let passed = elapsed / self.width;
                known.learn(slot, value, passed, elapsed / self.period);
            }
        }
    }

    /// By how much the load at `at` differs from the mean; `None` while that is not known.
    pub(super) fn at(&self, at: f64) -> Option<f64> {
        let State::Known(known) = &self.state else {
            return None;
        };
        let position = self.phase(at) - 0.5;
        let before = self.slot(position.floor());
        let after = self.slot(position.floor() + 1.0);
        let share = position - position.floor();
        Some(known.slots[before] * (1.0 - share) + known.slots[after] * share)
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        match &self.state {
            State::Gathering(gathered) => gathered.slots(),
            State::Known(known) => known.slots.len(),
        }
    }

    /// Where `at` is in the season, in slots.
    fn phase(&self, at: f64) -> f64 {
        at.rem_euclid(self.period) / self.width
    }

    /// The slot at a phase, which wraps around.
    fn slot(&self, phase: f64) -> usize {
        let count = self.slots();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the count, which is small"
        )]
        let slot = phase.rem_euclid(count as f64) as usize;
        slot.min(count - 1)
    }
}

impl Known {
    /// Moves a slot towards `value`; `passed` is the share of the slot that the value stands for,
    /// `turned` that of the season.
    fn learn(&mut self, slot: usize, value: f64, passed: f64, turned: f64) {
        let deviation = value - self.mean - self.slots[slot];
        let bound = BELIEVED * self.spread.max(LEAST_SPREAD);
        let believed = deviation.clamp(-bound, bound);
        self.spread += (passed / SPREAD_MEMORY) * (believed.abs() - self.spread);
        self.slots[slot] += (1.0 - (1.0 - RENEWED).powf(passed)) * believed;
        self.mean += turned * believed;
    }
}
