//! Predictions that wait for their time to come, and how wrong they were.

use std::collections::VecDeque;

/// Predictions that wait at most; where the horizon has more steps than that, not every step's
/// prediction is kept.
const MAX_WAITING: usize = 128;

/// Errors that are kept.
const MAX_ERRORS: usize = 240;

/// Predictions that wait, of `N` models and of the one that was chosen then.
#[derive(Clone, Debug)]
pub(super) struct Dues<const N: usize> {
    horizon: f64,
    /// When the last one that is kept was made.
    kept_at: Option<f64>,
    waiting: VecDeque<Due<N>>,
}

/// What was said about a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due<const N: usize> {
    /// The time that it is about.
    pub(super) at: f64,
    /// By each model; `None` by those that could not.
    pub(super) said: [Option<f64>; N],
    /// What was given out.
    pub(super) given: Option<f64>,
}

impl<const N: usize> Dues<N> {
    pub(super) fn new(horizon: f64) -> Self {
        Self {
            horizon,
            kept_at: None,
            waiting: VecDeque::new(),
        }
    }

    /// Keeps what is said `now` about the horizon.
    pub(super) fn keep(&mut self, now: f64, said: [Option<f64>; N], given: Option<f64>) {
        let apart = self.horizon / MAX_WAITING as f64;
        if self.kept_at.is_some_and(|kept| now - kept < apart) {
            return;
        }
        self.kept_at = Some(now);
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        let at = now + self.horizon;
        self.waiting.push_back(Due { at, said, given });
    }

    /// The next prediction about a time up to `now`.
    pub(super) fn come(&mut self, now: f64) -> Option<Due<N>> {
        let first = self.waiting.front()?;
        (first.at <= now)
            .then(|| self.waiting.pop_front())
            .flatten()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.kept_at = None;
    }
}

/// The last errors, as shares of what came.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors {
    last: VecDeque<f64>,
}

impl Errors {
    /// Less than one backend is measured as one: half of next to nothing needs no backend more.
    pub(super) fn add(&mut self, said: f64, came: f64) {
        if self.last.len() == MAX_ERRORS {
            self.last.pop_front();
        }
        self.last.push_back((said - came).abs() / came.max(1.0));
    }

    pub(super) fn count(&self) -> usize {
        self.last.len()
    }

    /// The error that half of the predictions did not exceed. Unlike the mean it tells how wrong a
    /// prediction usually is, whatever happens now and then.
    pub(super) fn median(&self) -> Option<f64> {
        let mut errors: Vec<f64> = self.last.iter().copied().collect();
        let middle = errors.len() / 2;
        let (_, median, _) = (middle < errors.len())
            .then(|| errors.select_nth_unstable_by(middle, f64::total_cmp))?;
        Some(*median)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        let count = self.last.len();
        (count > 0).then(|| self.last.iter().sum::<f64>() / count as f64)
    }
}
