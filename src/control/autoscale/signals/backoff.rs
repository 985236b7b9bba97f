//! When a query that failed is asked again.

use std::time::Duration;

use crate::clock::Moment;

/// The longest first wait.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST: Duration = Duration::from_mins(1);

/// Waits that are anything up to a bound, which doubles.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Failures in a row.
    failures: u32,
    until: Moment,
    why: String,
}

impl Backoff {
    /// Why it is not asked now; `None` when it is.
    pub(super) fn reason(&self, now: Moment) -> Option<&str> {
        (self.failures > 0 && now < self.until).then_some(self.why.as_str())
    }

    /// It failed once more; `roll` is evenly distributed over 0..1.
    pub(super) fn failed(&mut self, why: &str, now: Moment, roll: f64) {
        let doubled = 2_u32.saturating_pow(self.failures);
        let bound = FIRST.saturating_mul(doubled).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.until = now.after(bound.mul_f64(roll));
        why.clone_into(&mut self.why);
    }

    /// All is well.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait(backoff: &mut Backoff, roll: f64) -> Duration {
        let now = Moment::from_micros(7);
        backoff.failed("why", now, roll);
        backoff.until.since(now)
    }

    #[test]
    fn the_bound_doubles_from_one_second_to_a_minute_and_begins_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| wait(&mut backoff, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait(&mut backoff, 0.0), Duration::ZERO);
        assert_eq!(wait(&mut backoff, 0.5), Duration::from_secs(30));
        backoff.reset();
        assert_eq!(backoff.reason(Moment::ZERO), None);
        assert_eq!(wait(&mut backoff, 0.5), Duration::from_millis(500));
    }

    #[test]
    fn the_reason_holds_until_the_wait_is_over() {
        let mut backoff = Backoff::default();
        let at = |millis| Moment::ZERO.after(Duration::from_millis(millis));
        backoff.failed("why", at(100), 0.5);
        assert_eq!(backoff.reason(at(100)), Some("why"));
        assert_eq!(backoff.reason(at(599)), Some("why"));
        assert_eq!(backoff.reason(at(600)), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_a_minute(rolls in prop::collection::vec(0.0..1.0, 1..100)) {
            let mut backoff = Backoff::default();
            for (failures, roll) in rolls.into_iter().enumerate() {
                let wait = wait(&mut backoff, roll).as_secs_f64();
                prop_assert!(wait <= 2_f64.powi(i32::try_from(failures).unwrap()));
                prop_assert!(wait <= 60.0);
            }
        }
    }
}
