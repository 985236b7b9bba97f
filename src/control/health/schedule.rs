//! When each target of one upstream is next checked.
//!
//! A target's next check is counted from the start of its last one, so however
//! long a check takes, the pace stays; and from when it really started, not
//! from when it was due, so a target that had to wait for its turn is not
//! checked twice in a hurry and nobody else's turns move. Pure: the present
//! moment and the randomness are parameters.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::clock::Moment;
use crate::config::ActiveCheck;

/// New targets get their first check within this time, or within the interval where it is shorter.
const FIRST: Duration = Duration::from_secs(1);

/// Wakes lie on a grid as wide as this share of the interval, but not wider than the next
/// constant: what falls due close together costs one wake.
const GRID_SHARE: u32 = 20;
const GRID_MAX: Duration = Duration::from_millis(25);

/// A target, unique for the life of the process.
pub(super) type Id = u64;

/// How often targets are checked, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    interval: Duration,
    /// Share of the interval by which it varies, between 0 and 1.
    jitter: f64,
    concurrency: usize,
}

impl Pace {
    pub(super) fn of(check: &ActiveCheck) -> Self {
        Self {
            interval: check.interval,
            jitter: check.jitter.ratio(),
            concurrency: check.concurrency.max(1),
        }
    }

    /// The time between two starts, by a `roll` that is evenly distributed over 0..1.
    fn gap(&self, roll: f64) -> Duration {
        let factor = 1.0 + self.jitter * (2.0 * roll - 1.0);
        self.interval.mul_f64(factor.max(0.0))
    }

    /// `due`, or the next point of the grid.
    fn on_grid(&self, due: Moment) -> Moment {
        let grid = (self.interval / GRID_SHARE).min(GRID_MAX).as_micros();
        let grid = u64::try_from(grid).map_or(1, |grid| grid.max(1));
        let next = due.as_micros().checked_next_multiple_of(grid);
        next.map_or(due, Moment::from_micros)
    }
}

/// The turns of one upstream's targets.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    /// Targets that are not being checked, by when they are due.
    queue: BTreeSet<(Moment, Id)>,
    /// When each target is next due.
    targets: HashMap<Id, Moment>,
    /// Checks under way, those of targets that were removed meanwhile included.
    running: HashSet<Id>,
}

impl Schedule {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            queue: BTreeSet::new(),
            targets: HashMap::new(),
            running: HashSet::new(),
        }
    }

    /// Adds targets to be checked at once, a little apart from each other.
    pub(super) fn add(&mut self, now: Moment, ids: &[Id]) {
        let within = self.pace.interval.min(FIRST);
        for (position, id) in ids.iter().enumerate() {
            let due = now.after(within.mul_f64(position as f64 / ids.len() as f64));
            self.targets.insert(*id, due);
            self.queue.insert((due, *id));
        }
    }

    /// Forgets a target. A check of it that is under way keeps its place until it has finished.
    pub(super) fn remove(&mut self, id: Id) {
        if let Some(due) = self.targets.remove(&id) {
            self.queue.remove(&(due, id));
        }
    }

    /// Changes the pace. Where it differs, all targets are checked at once, as if new: what they
    /// were waiting for may be far away.
    pub(super) fn set_pace(&mut self, now: Moment, pace: Pace) {
        if pace == self.pace {
            return;
        }
        self.pace = pace;
        for id in &self.running {
            self.targets.entry(*id).and_modify(|due| *due = now);
        }
        let waiting: Vec<Id> = self.queue.iter().map(|(_, id)| *id).collect();
        self.queue.clear();
        self.add(now, &waiting);
    }

    /// The target to be checked now: of those that are due, the one that was due first; none while
    /// as many checks are under way as may be.
    pub(super) fn start(&mut self, now: Moment, roll: f64) -> Option<Id> {
        if self.running.len() >= self.pace.concurrency {
            return None;
        }
        let &(due, id) = self.queue.first()?;
        if due > now {
            return None;
        }
        self.queue.pop_first();
        self.running.insert(id);
        self.targets.insert(id, now.after(self.pace.gap(roll)));
        Some(id)
    }

    /// A check ended, however it did.
    pub(super) fn finish(&mut self, id: Id) {
        if !self.running.remove(&id) {
            return;
        }
        if let Some(due) = self.targets.get(&id) {
            self.queue.insert((*due, id));
        }
    }

    /// When [`Schedule::start`] should be asked again, unless a check ends before; `None` while
    /// only that can change anything.
    pub(super) fn wake(&self) -> Option<Moment> {
        if self.running.len() >= self.pace.concurrency {
            return None;
        }
        self.queue.first().map(|(due, _)| self.pace.on_grid(*due))
    }
}

#[cfg(test)]
mod tests;
