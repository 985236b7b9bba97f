//! Backends that do not start.
//!
//! An image that crashes would have one backend after the other made and thrown away. After some
//! failures in a row nothing is started for a while; then one start is tried, and each that fails
//! doubles the pause. The first start that succeeds ends it. The first pause is twice what a start
//! takes: what starts in a second need not be waited for as long as what takes half a minute.

use std::time::Duration;

use crate::clock::Moment;

/// Failures in a row that are no accident any more.
const ROW: u32 = 3;

/// The first pause is so many times what a start takes, and at most the next constant.
const TIMES: u32 = 2;
const LONGEST_FIRST_PAUSE: Duration = Duration::from_mins(1);

/// Whoever has mended the image waits no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// Whether backends start.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    failures: u32,
    paused: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Moment,
    /// A start was tried after a pause, and nothing was heard of it yet.
    trying: bool,
}

impl Starts {
    /// How many backends may be started now.
    pub(super) fn allowed(&self, now: Moment) -> u32 {
        match self.paused {
            None => u32::MAX,
            Some(pause) if now < pause.until => 0,
            Some(_) => 1,
        }
    }

    /// Backends are being started. Where it is a try and nothing is ever heard of it, the next one
    /// comes after as long a pause.
    pub(super) fn begun(&mut self, now: Moment) {
        if let Some(pause) = &mut self.paused {
            pause.trying = true;
            pause.until = now.after(pause.length);
        }
    }

    /// A backend did not start, which takes `provisioning` where it does. Those that were begun
    /// together and fail together are one try.
    pub(super) fn failed(&mut self, provisioning: Duration, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let length = match self.paused {
            None if self.failures >= ROW => (provisioning * TIMES).min(LONGEST_FIRST_PAUSE),
            Some(pause) if pause.trying => (pause.length * 2).min(LONGEST_PAUSE),
            _ => return,
        };
        self.paused = Some(Pause {
            length,
            until: now.after(length),
            trying: false,
        });
    }

    /// A backend started.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn pauses_double_up_to_half_an_hour_and_one_is_tried_after_each() {
        let mut starts = Starts::default();
        let mut now = 1000;
        for _ in 0..ROW {
            assert_eq!(starts.allowed(at(now)), u32::MAX);
            starts.begun(at(now));
            starts.failed(START, at(now));
        }
        for minutes in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(starts.allowed(at(now + minutes * 60 - 1)), 0);
            now += minutes * 60;
            assert_eq!(starts.allowed(at(now)), 1);
            starts.begun(at(now));
            assert_eq!(starts.allowed(at(now)), 0, "only one");
            starts.failed(START, at(now));
        }
        starts.succeeded();
        assert_eq!(starts.allowed(at(now)), u32::MAX);
    }

    #[test]
    fn what_starts_fast_is_tried_again_soon() {
        let mut starts = Starts::default();
        let second = Duration::from_secs(1);
        for _ in 0..ROW {
            starts.failed(second, at(0));
        }
        assert_eq!((starts.allowed(at(1)), starts.allowed(at(2))), (0, 1));
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let mut starts = Starts::default();
        for _ in 0..5 {
            starts.failed(START, at(0));
            starts.failed(START, at(0));
            starts.succeeded();
        }
        assert_eq!(starts.allowed(at(0)), u32::MAX);
    }

    #[test]
    fn those_that_fail_together_are_one_try() {
        let mut starts = Starts::default();
        for _ in 0..10 {
            starts.failed(START, at(0));
        }
        assert_eq!(starts.allowed(at(59)), 0);
        assert_eq!(starts.allowed(at(60)), 1);
    }

    #[test]
    fn a_try_of_which_nothing_is_heard_is_tried_again() {
        let mut starts = Starts::default();
        for _ in 0..ROW {
            starts.failed(START, at(0));
        }
        starts.begun(at(60));
        assert_eq!(starts.allowed(at(119)), 0);
        assert_eq!(starts.allowed(at(120)), 1);
    }
}
