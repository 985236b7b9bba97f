//! The decider's own time.
//!
//! Made of the steps between the moments it is told. A moment before the last one is no step, so
//! nothing is undone, and time goes on from there: a clock that once went far ahead and came back
//! does not stop every pause and window until it is overtaken.

use std::time::Duration;

use crate::clock::Moment;

/// Time that does not go backwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    told: Option<Moment>,
    own: Moment,
}

impl Pace {
    /// It is `now`; answers with the moment of the own time.
    pub(super) fn tick(&mut self, now: Moment) -> Moment {
        let passed = self.told.map_or(Duration::ZERO, |told| now.since(told));
        self.told = Some(now);
        self.own = self.own.after(passed);
        self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_from_a_moment_that_was_too_early_or_too_late() {
        let mut pace = Pace::default();
        let told = [100, 110, 40, 45, 9_000, 45, 50];
        let own = told.map(|seconds| {
            let now = Moment::ZERO.after(Duration::from_secs(seconds));
            pace.tick(now).since(Moment::ZERO).as_secs()
        });
        assert_eq!(own, [0, 10, 10, 15, 8_970, 8_970, 8_975]);
    }
}
