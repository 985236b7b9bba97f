//! What size an upstream should have now.
//!
//! Pure: the present moment is a parameter, and nothing has an effect but on the decider's own
//! history. A decision is made in this order:
//!
//! 1. `demand`: what each signal asks for by its band, then the forecast, which only raises, then
//!    the replacement of what fails. The largest wins.
//! 2. Bounds. They are the operator's word and wait for nothing: below the least the pool is
//!    brought to it at once; above the most it shrinks whatever windows, pauses, signals and
//!    health say, but only step by step, since clients are on what is taken away.
//! 3. What forbids to shrink: no backend ready, most failing, a signal that failed, backends on
//!    their way. And what forbids to grow: backends that do not start (`crash`).
//! 4. The windows of `history`, the cooldown, and the `steps`.
//!
//! A doubt is always resolved for the larger size.

use std::cmp::Ordering;

pub use decision::{Decision, Direction, Inputs, Pool, Reading, Reason, Recommendation};

use crate::clock::Moment;
use crate::config::ScaleTarget;
use crash::Starts;
use demand::Demand;
use history::History;
use pace::Pace;
use steps::Changes;

mod crash;
mod decision;
mod demand;
mod history;
mod pace;
mod steps;

/// Decides on the size of one upstream.
#[derive(Clone, Debug)]
pub struct Decider {
    target: ScaleTarget,
    pace: Pace,
    /// `None` until the first decision.
    history: Option<History>,
    changes: Changes,
    starts: Starts,
    /// When a change was last begun.
    changed: Option<Moment>,
    /// When instances that discovery does not list yet were last begun, or may have been: at the
    /// first decision nothing is known of the time before.
    grew: Option<Moment>,
    /// When every signal was last measured.
    measured: Moment,
}

impl Decider {
    /// Decides by `target`, and knows nothing yet.
    #[must_use]
    pub fn new(target: &ScaleTarget) -> Self {
        Self {
            target: target.clone(),
            pace: Pace::default(),
            history: None,
            changes: Changes::default(),
            starts: Starts::default(),
            changed: None,
            grew: None,
            measured: Moment::ZERO,
        }
    }

    /// The size that the pool should have now. What comes of it is told by [`Self::acted`].
    pub fn decide(&mut self, inputs: &Inputs<'_>, now: Moment) -> Decision {
        let now = self.pace.tick(now);
        let pool = inputs.pool;
        let grew = *self.grew.get_or_insert(now);
        let fresh = now.since(grew) < self.target.provisioning;
        let demand = Demand::of(&self.target, inputs, fresh);
        self.remember(pool, &demand, now);

        let desired = self.bounded(demand.size);
        let (size, reason) = if pool.size > self.target.max {
            self.shrink_to_max(pool.size, now)
        } else {
            match desired.cmp(&pool.size) {
                Ordering::Greater => self.grow(pool.size, desired, demand.reason, now),
                Ordering::Less => self.shrink(pool, desired, &demand, now),
                Ordering::Equal => (pool.size, held_by(&demand, desired)),
            }
        };
        Decision {
            size,
            desired,
            direction: match size.cmp(&pool.size) {
                Ordering::Greater => Direction::Up,
                Ordering::Less => Direction::Down,
                Ordering::Equal => Direction::Hold,
            },
            reason,
            needed: demand.needed,
            recommendations: demand.recommendations,
        }
    }

    /// A change from `from` to `to` backends was begun at `now`, the moment of the decision: the
    /// cooldown and the periods of the steps count from it.
    pub fn acted(&mut self, from: u32, to: u32, now: Moment) {
        if from == to {
            return;
        }
        let now = self.pace.tick(now);
        self.changes.record(from, to, &self.target, now);
        self.changed = Some(now);
        if to > from {
            self.grew = Some(now);
            self.starts.begun(now);
        }
    }

    /// A backend that was begun did not start.
    pub fn start_failed(&mut self, now: Moment) {
        let now = self.pace.tick(now);
        self.starts.failed(self.target.provisioning, now);
    }

    /// A backend that was begun has started.
    pub fn started(&mut self, now: Moment) {
        self.pace.tick(now);
        self.starts.succeeded();
    }

    /// Decides by `target` from now on. What was recommended and done before still counts.
    pub fn reconfigure(&mut self, target: &ScaleTarget) {
        self.target = target.clone();
    }

    fn bounded(&self, size: u32) -> u32 {
        size.min(self.target.max).max(self.target.min)
    }

    /// Adds to the history what speaks for this moment. Where not everything was measured, that is
    /// no less than before, so that a short failure does not let a window begin anew; where that
    /// lasts for longer than the window, or health says that what is measured cannot be trusted, it
    /// is no less than there is.
    fn remember(&mut self, pool: Pool, demand: &Demand, now: Moment) {
        let present = self.bounded(pool.size);
        let asked = self.bounded(demand.size);
        let history = self.history.get_or_insert_with(|| {
            self.measured = now;
            History::new(present, now)
        });
        if history.is_stale(now) {
            history.push(present, now);
        }
        if demand.complete {
            self.measured = now;
        }
        let blind = !demand.complete && now.since(self.measured) >= self.target.down.window;
        let size = if blind || pool.ready == 0 || pool.fails_mostly() {
            asked.max(present)
        } else if demand.reason == Reason::AllFailed {
            history.latest()
        } else if demand.complete {
            asked
        } else {
            asked.max(history.latest())
        };
        history.push(size, now);
    }

    fn grow(&mut self, from: u32, desired: u32, cause: Reason, now: Moment) -> (u32, Reason) {
        let allowed = self.starts.allowed(now);
        if allowed == 0 {
            return (from, Reason::CrashLoop);
        }
        let (mut to, mut reason) = match self.growth(from, desired, now) {
            Ok(to) => (to, cause),
            Err(reason) => (from, reason),
        };
        if from < self.target.min && to <= self.target.min {
            (to, reason) = (self.target.min, Reason::BelowMin);
        }
        (to.min(from.saturating_add(allowed)), reason)
    }

    /// How far it may grow, or why not at all.
    fn growth(&mut self, from: u32, desired: u32, now: Moment) -> Result<u32, Reason> {
        let window = self.target.up.window;
        let steady = self
            .history
            .as_mut()
            .map_or(from, |history| history.smallest(window, now))
            .min(desired);
        if steady <= from {
            return Err(Reason::Stabilising);
        }
        if self.cools(now) {
            return Err(Reason::Cooldown);
        }
        let to = self.changes.highest(from, &self.target.up, now).min(steady);
        if to > from {
            Ok(to)
        } else {
            Err(Reason::StepLimit)
        }
    }

    fn shrink(&mut self, pool: Pool, desired: u32, demand: &Demand, now: Moment) -> (u32, Reason) {
        let from = pool.size;
        if let Some(reason) = forbids_to_shrink(pool, demand) {
            return (from, reason);
        }
        let window = self.target.down.window;
        let steady = self
            .history
            .as_mut()
            .map_or(from, |history| history.largest(window, now))
            .max(desired);
        if steady >= from {
            return (from, Reason::Stabilising);
        }
        if self.cools(now) {
            return (from, Reason::Cooldown);
        }
        let to = self
            .changes
            .lowest(from, &self.target.down, now)
            .max(steady);
        if to < from {
            (to, Reason::Load)
        } else {
            (from, Reason::StepLimit)
        }
    }

    fn shrink_to_max(&self, from: u32, now: Moment) -> (u32, Reason) {
        let lowest = self.changes.lowest(from, &self.target.down, now);
        let to = lowest.max(self.target.max);
        if to < from {
            (to, Reason::AboveMax)
        } else {
            (from, Reason::StepLimit)
        }
    }

    fn cools(&self, now: Moment) -> bool {
        self.changed
            .is_some_and(|changed| now.since(changed) < self.target.cooldown)
    }
}

fn forbids_to_shrink(pool: Pool, demand: &Demand) -> Option<Reason> {
    if pool.fails_mostly() {
        Some(Reason::MostlyFailing)
    } else if !demand.complete {
        Some(Reason::SignalFailed)
    } else {
        demand.warming.then_some(Reason::Warming)
    }
}

/// What keeps a pool at the size that is wanted.
fn held_by(demand: &Demand, desired: u32) -> Reason {
    match demand.size.cmp(&desired) {
        Ordering::Greater => Reason::AtMax,
        Ordering::Less => Reason::AtMin,
        Ordering::Equal => demand.reason,
    }
}

#[cfg(test)]
mod tests;
