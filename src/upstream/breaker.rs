//! Connect failures take a backend out for a while.
//!
//! A backend that refuses connections would cost every request that is sent
//! there one attempt. After a connect failure it is left alone for a second,
//! and for twice as long after each further one in a row, up to 30 s. When the
//! time is over, one request at a time may try it; the first connection that
//! comes about closes the breaker.
//!
//! The whole state is one word, so every transition is one compare-and-swap:
//! the microsecond at which the pause ends, the level it was computed from, and
//! whether a probe is under way. Closed is zero, which keeps the check on the
//! request path to one load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// The pause after the first failure.
pub(crate) const BASE_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(30);

const PROBING: u64 = 1;
const LEVEL_SHIFT: u32 = 1;
const LEVEL_MASK: u64 = 0x7f;
const UNTIL_SHIFT: u32 = 8;
/// 2^5 s is beyond [`MAX_PAUSE`], so higher levels change nothing.
const TOP_LEVEL: u64 = 6;

/// Whether connections to one backend are worth a try.
#[derive(Debug, Default)]
pub(crate) struct Breaker(AtomicU64);

/// What [`Breaker::admit`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Closed: go ahead.
    Free,
    /// The one probe; hand the permit back to [`Breaker::release`] when it ends.
    Probe(Permit),
    /// Open, or another probe is under way.
    Refused,
}

/// The right to be the one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permit(u64);

impl Breaker {
    /// Whether the last connection came about.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Whether [`Self::admit`] would let a request through.
    pub(crate) fn would_admit(&self, now: Moment) -> bool {
        // Sequentially consistent for the queue's sake, see there.
        let word = self.0.load(Ordering::SeqCst);
        word == 0 || (word & PROBING == 0 && until(word) <= now)
    }

    /// Lets a request through, or not.
    pub(crate) fn admit(&self, now: Moment) -> Admission {
        let word = self.0.load(Ordering::Relaxed);
        if word == 0 {
            return Admission::Free;
        }
        if word & PROBING != 0 || until(word) > now {
            return Admission::Refused;
        }
        let probing = word | PROBING;
        match self
            .0
            .compare_exchange(word, probing, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => Admission::Probe(Permit(probing)),
            Err(0) => Admission::Free,
            Err(_) => Admission::Refused,
        }
    }

    /// Ends a probe. One that neither connected nor failed leaves its place to the next.
    pub(crate) fn release(&self, permit: Permit) {
        // Anything else in the word means that the probe has been decided.
        let _ = self.0.compare_exchange(
            permit.0,
            permit.0 & !PROBING,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    /// A connection failed. Says whether that opened a closed breaker.
    ///
    /// During a pause this changes nothing: requests that failed together are one failure.
    pub(crate) fn failed(&self, now: Moment) -> bool {
        let opened = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word == 0 || until(word) <= now).then(|| open(now, level(word)))
            });
        opened == Ok(0)
    }

    /// A connection came about. Says whether that closed an open breaker.
    pub(crate) fn connected(&self) -> bool {
        !self.is_closed() && self.0.swap(0, Ordering::SeqCst) != 0
    }

    /// A backend answered, perhaps on a connection from before the failure, so this counts
    /// only once the pause is over. Says whether that closed an open breaker.
    pub(crate) fn answered(&self, now: Moment) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word != 0
            && until(word) <= now
            && self
                .0
                .compare_exchange(word, 0, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
    }
}

/// The pause after `level` failures in a row before this one.
fn pause(level: u64) -> Duration {
    let doubled = 2u32.saturating_pow(u32::try_from(level).unwrap_or(u32::MAX));
    BASE_PAUSE.saturating_mul(doubled).min(MAX_PAUSE)
}

fn open(now: Moment, level: u64) -> u64 {
    let until = now.after(pause(level)).as_micros();
    let next = (level + 1).min(TOP_LEVEL);
    (until << UNTIL_SHIFT) | (next << LEVEL_SHIFT)
}

fn until(word: u64) -> Moment {
    Moment::from_micros(word >> UNTIL_SHIFT)
}

fn level(word: u64) -> u64 {
    (word >> LEVEL_SHIFT) & LEVEL_MASK
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the breaker should be, in plain words.
    #[derive(Default)]
    struct Model {
        failures: u32,
        until: Option<Moment>,
        probe: Option<Permit>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Fail,
        Connect,
        Answer,
        Admit,
        Cancel,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..40_000).prop_map(Step::Wait),
            Just(Step::Fail),
            Just(Step::Connect),
            Just(Step::Answer),
            Just(Step::Admit),
            Just(Step::Cancel),
        ]
    }

    impl Model {
        fn paused(&self, now: Moment) -> bool {
            self.until.is_some_and(|until| now < until)
        }

        fn fail(&mut self, now: Moment) {
            if !self.paused(now) {
                let seconds = 2_u64.pow(self.failures.min(10)).min(30);
                self.failures += 1;
                self.until = Some(now.after(Duration::from_secs(seconds)));
                self.probe = None;
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_like_the_model(steps in prop::collection::vec(step(), 0..60)) {
            let breaker = Breaker::default();
            let mut model = Model::default();
            let mut now = Moment::from_micros(1);
            for step in steps {
                match step {
                    Step::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                    Step::Fail => {
                        prop_assert_eq!(breaker.failed(now), model.until.is_none());
                        model.fail(now);
                    }
                    Step::Connect => {
                        prop_assert_eq!(breaker.connected(), model.until.is_some());
                        model = Model::default();
                    }
                    Step::Answer => {
                        let closes = model.until.is_some() && !model.paused(now);
                        prop_assert_eq!(breaker.answered(now), closes);
                        if closes {
                            model = Model::default();
                        }
                    }
                    Step::Admit => match breaker.admit(now) {
                        Admission::Free => prop_assert!(model.until.is_none()),
                        Admission::Probe(permit) => {
                            prop_assert!(model.until.is_some() && !model.paused(now));
                            prop_assert!(model.probe.replace(permit).is_none());
                        }
                        Admission::Refused => {
                            prop_assert!(model.paused(now) || model.probe.is_some());
                        }
                    },
                    Step::Cancel => {
                        if let Some(permit) = model.probe.take() {
                            breaker.release(permit);
                        }
                    }
                }
                let admits = !model.paused(now) && model.probe.is_none();
                prop_assert_eq!(breaker.would_admit(now), admits);
                prop_assert_eq!(breaker.is_closed(), model.until.is_none());
            }
        }
    }

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let breaker = Breaker::default();
        let mut now = Moment::from_micros(5);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            breaker.failed(now);
            let end = now.after(Duration::from_secs(seconds));
            assert!(!breaker.would_admit(Moment::from_micros(end.as_micros() - 1)));
            assert!(breaker.would_admit(end));
            now = end;
        }
    }

    #[test]
    fn failures_together_are_one() {
        let breaker = Breaker::default();
        let now = Moment::from_micros(5);
        assert!(breaker.failed(now));
        for _ in 0..100 {
            assert!(!breaker.failed(now));
        }
        assert!(breaker.would_admit(now.after(BASE_PAUSE)));
    }

    #[test]
    fn an_old_permit_frees_nothing() {
        let breaker = Breaker::default();
        let now = Moment::from_micros(5);
        breaker.failed(now);
        let now = now.after(BASE_PAUSE);
        let Admission::Probe(old) = breaker.admit(now) else {
            panic!("no probe");
        };
        breaker.failed(now);
        let now = now.after(BASE_PAUSE * 2);
        assert!(matches!(breaker.admit(now), Admission::Probe(_)));
        breaker.release(old);
        assert_eq!(breaker.admit(now), Admission::Refused);
    }
}
