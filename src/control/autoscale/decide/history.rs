//! What was recommended lately: the stabilisation windows.
//!
//! A recommendation stands until the next one, so it counts for as long as the window reaches back
//! to a moment at which it stood, however far apart the two were made. Of what a window holds only
//! the extreme is ever asked for. A recommendation is therefore dropped as soon as a later one is
//! as extreme: the rest is strictly monotonic, the extreme in front, and an answer is one look.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;

/// After so long without a recommendation nothing is known of the time between. Twice the longest
/// interval that can be configured.
const SILENCE: Duration = Duration::from_mins(20);

/// Recommendations kept by a window; beyond it the oldest are merged, to the cautious side.
const LIMIT: usize = 1024;

/// The recommendations of both directions.
#[derive(Clone, Debug)]
pub(super) struct History {
    smallest: Window,
    largest: Window,
    latest: u32,
    heard: Moment,
}

impl History {
    /// Begins with `size`, as if it had been recommended until `now`: what the load was before is
    /// not known, so nothing may follow from it.
    pub(super) fn new(size: u32, now: Moment) -> Self {
        let mut history = Self {
            smallest: Window::new(|older, newer| older < newer),
            largest: Window::new(|older, newer| older > newer),
            latest: size,
            heard: now,
        };
        history.push(size, now);
        history
    }

    /// From `now` on `size` is recommended.
    pub(super) fn push(&mut self, size: u32, now: Moment) {
        self.smallest.push(size, now);
        self.largest.push(size, now);
        (self.latest, self.heard) = (size, now);
    }

    /// Whether the latest recommendation was not followed by another for so long that it cannot be
    /// taken to have stood.
    pub(super) fn is_stale(&self, now: Moment) -> bool {
        now.since(self.heard) > SILENCE
    }

    /// What is recommended.
    pub(super) const fn latest(&self) -> u32 {
        self.latest
    }

    /// The smallest recommendation of the last `window`.
    pub(super) fn smallest(&mut self, window: Duration, now: Moment) -> u32 {
        self.smallest.extreme(window, now).unwrap_or(self.latest)
    }

    /// The largest recommendation of the last `window`.
    pub(super) fn largest(&mut self, window: Duration, now: Moment) -> u32 {
        self.largest.extreme(window, now).unwrap_or(self.latest)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    size: u32,
    /// When it was followed by another one; meaningless for the last one, which still stands.
    until: Moment,
}

#[derive(Clone, Debug)]
struct Window {
    /// Whether the first is more extreme than the second.
    exceeds: fn(u32, u32) -> bool,
    entries: VecDeque<Entry>,
}

impl Window {
    const fn new(exceeds: fn(u32, u32) -> bool) -> Self {
        Self {
            exceeds,
            entries: VecDeque::new(),
        }
    }

    fn push(&mut self, size: u32, now: Moment) {
        if let Some(stood) = self.entries.back_mut() {
            stood.until = now;
        }
        while let Some(older) = self.entries.back()
            && !(self.exceeds)(older.size, size)
        {
            self.entries.pop_back();
        }
        self.entries.push_back(Entry { size, until: now });
        if self.entries.len() > LIMIT
            && let Some(oldest) = self.entries.pop_front()
            && let Some(next) = self.entries.front_mut()
        {
            next.size = oldest.size;
        }
    }

    /// The extreme of what stood at any time of the last `window`; what is older is forgotten.
    fn extreme(&mut self, window: Duration, now: Moment) -> Option<u32> {
        while self.entries.len() > 1 && now.since(self.entries[0].until) >= window {
            self.entries.pop_front();
        }
        self.entries.front().map(|extreme| extreme.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn begins_with_the_size_that_there_is() {
        let window = Duration::from_mins(5);
        let mut history = History::new(4, at(0));
        history.push(2, at(0));
        assert_eq!(history.largest(window, at(299)), 4);
        assert_eq!(history.largest(window, at(300)), 2);
        assert_eq!(history.smallest(Duration::ZERO, at(0)), 2);
    }

    #[test]
    fn a_recommendation_stands_until_the_next_one() {
        let window = Duration::from_mins(1);
        let mut history = History::new(9, at(0));
        history.push(3, at(500));
        assert_eq!(history.largest(window, at(559)), 9);
        assert_eq!(history.largest(window, at(560)), 3);
        assert!(!history.is_stale(at(1700)));
        assert!(history.is_stale(at(1701)));
    }

    #[test]
    fn memory_is_bounded_and_what_is_merged_is_not_forgotten_early() {
        let mut history = History::new(20_000, at(0));
        for second in 1..20_000 {
            history.push(20_000 - u32::try_from(second).expect("small"), at(second));
        }
        assert_eq!(history.largest.entries.len(), LIMIT);
        assert_eq!(history.smallest.entries.len(), 1);
        assert_eq!(
            history.largest(Duration::from_mins(500), at(20_000)),
            20_000
        );
    }

    proptest! {
        #[test]
        fn says_what_a_list_of_everything_would(
            steps in prop::collection::vec((0_u64..40, 0_u32..12), 1..60),
            window in 0_u64..120,
        ) {
            let mut history = History::new(5, at(0));
            let mut all = vec![(0, 5)];
            let mut now = 0;
            for (wait, size) in steps {
                now += wait;
                history.push(size, at(now));
                all.push((now, size));
                let ends = all.iter().skip(1).map(|(until, _)| *until).chain([u64::MAX]);
                let held: Vec<u32> = all
                    .iter()
                    .zip(ends)
                    .filter(|(_, until)| *until == u64::MAX || now - until < window)
                    .map(|((_, size), _)| *size)
                    .collect();
                let window = Duration::from_secs(window);
                prop_assert_eq!(Some(&history.largest(window, at(now))), held.iter().max());
                prop_assert_eq!(Some(&history.smallest(window, at(now))), held.iter().min());
            }
        }
    }
}
