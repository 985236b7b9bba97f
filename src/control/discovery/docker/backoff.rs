//! How long to wait before an Engine that does not answer is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);

/// An Engine is on this machine or near it, and asking costs little: it is noticed soon.
const LONGEST: Duration = Duration::from_secs(5);

/// The share by which a wait is longer or shorter.
const JITTER: f64 = 0.25;

/// Waits that double.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait, by a `roll` that is evenly distributed over 0..1.
    pub(super) fn next(&mut self, roll: f64) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        wait.mul_f64(1.0 + JITTER * (2.0 * roll - 1.0))
    }

    /// All is well.
    pub(super) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.next(0.5).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff.next(0.0), Duration::from_millis(3750));
        assert_eq!(backoff.next(1.0), Duration::from_millis(6250));
        backoff.reset();
        assert_eq!(backoff.next(0.5), FIRST);
    }
}
