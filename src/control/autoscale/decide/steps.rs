//! How much a size may change in a period.
//!
//! Counted from the size that the period began with: `100 %` per 15 s doubles what there was 15 s
//! ago, in however many changes. What came and what went are counted apart, so that a change back
//! makes no room for a larger one.

use std::collections::VecDeque;

use crate::clock::Moment;
use crate::config::{ScaleTarget, Steps};

/// Changes kept; beyond it the oldest are merged into the next, and count for longer.
const LIMIT: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Change {
    at: Moment,
    added: u32,
    removed: u32,
}

/// The changes of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(VecDeque<Change>);

impl Changes {
    /// A change was begun. `target` says for how long changes are of interest.
    pub(super) fn record(&mut self, from: u32, to: u32, target: &ScaleTarget, now: Moment) {
        let longest = target.up.period.max(target.down.period);
        while let Some(oldest) = self.0.front()
            && now.since(oldest.at) >= longest
        {
            self.0.pop_front();
        }
        self.0.push_back(Change {
            at: now,
            added: to.saturating_sub(from),
            removed: from.saturating_sub(to),
        });
        if self.0.len() > LIMIT
            && let Some(oldest) = self.0.pop_front()
            && let Some(next) = self.0.front_mut()
        {
            next.added = next.added.saturating_add(oldest.added);
            next.removed = next.removed.saturating_add(oldest.removed);
        }
    }

    /// The largest size that `steps` allow for a pool of `size` at `now`.
    pub(super) fn highest(&self, size: u32, steps: &Steps, now: Moment) -> u32 {
        let (added, removed) = self.within(steps, now);
        let room = allowance(size, added, removed, steps).saturating_sub(added);
        size.saturating_add(clamp(room))
    }

    /// The smallest size that `steps` allow for a pool of `size` at `now`.
    pub(super) fn lowest(&self, size: u32, steps: &Steps, now: Moment) -> u32 {
        let (added, removed) = self.within(steps, now);
        let room = allowance(size, added, removed, steps).saturating_sub(removed);
        size.saturating_sub(clamp(room))
    }

    /// How many came and how many went in the last period.
    fn within(&self, steps: &Steps, now: Moment) -> (u64, u64) {
        let recent = self
            .0
            .iter()
            .filter(|change| now.since(change.at) < steps.period);
        recent.fold((0, 0), |(added, removed), change| {
            (
                added + u64::from(change.added),
                removed + u64::from(change.removed),
            )
        })
    }
}

/// By how many a pool may change in a period, of which it is `size` now. A share is rounded up, or
/// a small pool could never change.
fn allowance(size: u32, added: u64, removed: u64, steps: &Steps) -> u64 {
    let begun_with = (u64::from(size) + removed).saturating_sub(added);
    let share = begun_with
        .saturating_mul(u64::from(steps.percent))
        .div_ceil(100);
    share.max(u64::from(steps.backends))
}

fn clamp(room: u64) -> u32 {
    u32::try_from(room).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::target;
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.after(Duration::from_secs(seconds))
    }

    fn steps(percent: u32, backends: u32) -> Steps {
        Steps {
            window: Duration::ZERO,
            percent,
            backends,
            period: MINUTE,
        }
    }

    /// The highest and the lowest size from `size`, after changes at so many seconds.
    fn limits(changes: &[(u64, u32, u32)], size: u32, steps: Steps, now: u64) -> (u32, u32) {
        let mut history = Changes::default();
        let mut target = target();
        (target.up.period, target.down.period) = (MINUTE, MINUTE);
        for (seconds, from, to) in changes {
            history.record(*from, *to, &target, at(*seconds));
        }
        (
            history.highest(size, &steps, at(now)),
            history.lowest(size, &steps, at(now)),
        )
    }

    #[test]
    fn a_share_or_a_number_whichever_is_more() {
        assert_eq!(limits(&[], 10, steps(100, 4), 0), (20, 0));
        assert_eq!(limits(&[], 2, steps(100, 4), 0), (6, 0));
        assert_eq!(limits(&[], 10, steps(25, 0), 0), (13, 7), "rounded up");
        assert_eq!(limits(&[], 10, steps(0, 0), 0), (10, 10), "none at all");
        let all = (u32::MAX, 0);
        assert_eq!(limits(&[], u32::MAX, steps(u32::MAX, 0), 0), all);
    }

    #[test]
    fn counted_from_what_the_period_began_with() {
        let doubled = [(0, 4, 6), (30, 6, 8)];
        assert_eq!(limits(&doubled, 8, steps(100, 0), 59).0, 8);
        assert_eq!(
            limits(&doubled, 8, steps(100, 0), 60).0,
            12,
            "from 6, 2 came"
        );
        assert_eq!(limits(&doubled, 8, steps(100, 0), 90).0, 16);
        let fewer = [(0, 10, 8), (30, 8, 7)];
        assert_eq!(limits(&fewer, 7, steps(50, 0), 30).1, 5);
        assert_eq!(limits(&fewer, 7, steps(0, 3), 30).1, 7);
    }

    #[test]
    fn a_change_back_makes_no_room() {
        let there_and_back = [(0, 4, 8), (10, 8, 4)];
        assert_eq!(limits(&there_and_back, 4, steps(100, 0), 20), (4, 4));
    }

    #[test]
    fn a_size_that_changed_by_itself_does_no_harm() {
        assert_eq!(limits(&[(0, 4, 8)], 2, steps(100, 1), 20), (2, 1));
        assert_eq!(limits(&[(0, 8, 4)], 20, steps(100, 1), 20), (44, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut changes = Changes::default();
        let target = target();
        for _ in 0..10 * LIMIT {
            changes.record(1, 2, &target, at(0));
        }
        assert_eq!(changes.0.len(), LIMIT);
        let added: u32 = changes.0.iter().map(|change| change.added).sum();
        assert_eq!(added as usize, 10 * LIMIT);
    }
}
