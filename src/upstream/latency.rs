//! How long a backend takes to answer, as `weighted_response_time` sees it.
//!
//! The latency is a peak EWMA (Finagle's): a sample above it is taken over at
//! once, one below pulls it down by `1 - e^(-dt/tau)`. Reading it decays it
//! toward the upstream's median, because an idle backend's old measurement says
//! less and less, and the median is the best guess about a backend that nobody
//! has measured.
//!
//! With `tau` alone, a backend that was twenty times slower than its peers would
//! be believed to be fast again half a minute after it is, because few samples
//! come from a backend that is avoided, and each says only that this request was
//! fast. Two things tell its recovery from luck. Slow answers were the rule
//! there, not the exception: the latency was borne out by the average of the
//! last samples as well. And there has been no relapse for three seconds: every
//! sample since was below half of that latency. From there on `tau` is one
//! second. Where slow answers are rare, the first is not given, and peaks last
//! as long as ever: backends that share such a trait keep about the same peak,
//! and traffic does not swing between them. No single sample, after however
//! long a silence, takes more than half of the way on these grounds.
//!
//! Failures are kept apart from latency: a failure is no measurement, and mixing
//! the two would let failures shift the median that everyone decays to. They
//! add up to a *strain* that multiplies the cost by 4 for each unit. A failure
//! adds one unit, an answer takes 30 % off, and idle time takes it off with its
//! own time constant. One failure in a hundred is thus forgotten within a few
//! answers; a backend that fails always costs up to 4^10 times its latency, and
//! failing fast does not help it.
//!
//! Value and time of change are packed into one word, so that an update is one
//! compare-and-swap: an `f32` in the upper half, ticks of 1.024 ms in the lower.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// Time constant of the latency's decay, in seconds.
const TAU: f32 = 10.0;
/// How long samples must have been far below the latency before they count for more.
const SETTLED_AFTER: f32 = 3.0;
/// Time constant of the latency's decay from then on, in seconds.
const RECOVERY_TAU: f32 = 1.0;
/// What one sample leaves of the distance at least, by that time constant.
const RECOVERY_KEPT: f32 = 0.5;
/// A sample below this part of the latency is far below it.
const FAR_BELOW: f32 = 0.5;
/// What one sample adds to the average of the last ones.
const USUAL_SHARE: f32 = 1.0 / 16.0;
/// A latency is the rule where the average is at least this part of it.
const THE_RULE: f32 = 0.25;
/// The recovery is complete when the latency is within this factor of the samples.
const RECOVERED: f32 = 1.25;
/// Time constant of the strain's decay, in seconds. Longer than the latency's, so that a backend
/// that fails at every re-measurement stays out between them.
const STRAIN_TAU: f32 = 15.0;
/// What an answer leaves of the strain.
const STRAIN_KEPT: f32 = 0.7;
const STRAIN_MAX: f32 = 10.0;
/// What one unit of strain multiplies the cost by.
const STRAIN_BASE: f32 = 4.0;
/// Assumed for all before anything was measured, in microseconds. Any value does: it is the same for all.
const UNMEASURED: f32 = 1_000.0;

/// A backend's latency and strain.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    peak: Stamped,
    /// The average of the last samples.
    usual: Stamped,
    /// What the latency was when a sample last bore it out, and when that was; 0 where it is the
    /// exception.
    confirmed: Stamped,
    strain: Stamped,
}

impl Latency {
    /// An answer whose first byte came after `first_byte`. `median` seeds the first measurement:
    /// one lucky answer must not draw everything to a new backend.
    pub(crate) fn record(&self, now: Moment, first_byte: Duration, median: Option<f32>) {
        let sample = micros(first_byte);
        let settled = self.settled(now, sample);
        self.peak.update(now, |peak, age| {
            if peak == 0.0 {
                let seed = median.unwrap_or(sample);
                sample.max(f32::midpoint(seed, sample))
            } else if sample >= peak {
                sample
            } else {
                let recovery = decay(age.min(settled), RECOVERY_TAU).max(RECOVERY_KEPT);
                sample + (peak - sample) * decay(age, TAU).min(recovery)
            }
        });
        if !self.strain.is_zero() {
            self.strain.update(now, |strain, age| {
                let kept = strain * decay(age, STRAIN_TAU) * STRAIN_KEPT;
                if kept < 0.01 { 0.0 } else { kept }
            });
        }
    }

    /// For how many seconds samples have been far below the latency, this one included, beyond the
    /// time after which that counts.
    fn settled(&self, now: Moment, sample: f32) -> f32 {
        self.usual.update(now, |usual, _| {
            let usual = if usual == 0.0 { sample } else { usual };
            usual + (sample - usual) * USUAL_SHARE
        });
        let (peak, _) = self.peak.load();
        let (confirmed, stamp) = self.confirmed.load();
        if sample < confirmed * FAR_BELOW && sample * RECOVERED < peak {
            (age(now, stamp) - SETTLED_AFTER).max(0.0)
        } else {
            let peak = peak.max(sample);
            let is_the_rule = self.usual.load().0 >= peak * THE_RULE;
            self.confirmed
                .set(now, if is_the_rule { peak } else { 0.0 });
            0.0
        }
    }

    /// An attempt that failed.
    pub(crate) fn penalise(&self, now: Moment) {
        self.strain.update(now, |strain, age| {
            (strain * decay(age, STRAIN_TAU) + 1.0).min(STRAIN_MAX)
        });
    }

    /// The latency as last measured, in microseconds.
    pub(crate) fn measured(&self) -> Option<f32> {
        let (peak, _) = self.peak.load();
        (peak > 0.0).then_some(peak)
    }

    /// The latency at `now` in microseconds, decayed toward the median.
    pub(crate) fn decayed(&self, now: Moment, median: Option<f32>) -> Option<f32> {
        let (peak, stamp) = self.peak.load();
        let toward = median.unwrap_or(peak);
        (peak > 0.0).then(|| toward + (peak - toward) * decay(age(now, stamp), TAU))
    }

    /// The latency at `now` times what failures make of it, in microseconds.
    pub(crate) fn cost(&self, now: Moment, median: Option<f32>) -> f32 {
        let latency = self.decayed(now, median).or(median).unwrap_or(UNMEASURED);
        let (strain, stamp) = self.strain.load();
        if strain == 0.0 {
            return latency;
        }
        latency * STRAIN_BASE.powf(strain * decay(age(now, stamp), STRAIN_TAU))
    }
}

/// A value and the tick at which it was written.
#[derive(Debug, Default)]
struct Stamped(AtomicU64);

impl Stamped {
    fn is_zero(&self) -> bool {
        self.load().0 == 0.0
    }

    fn load(&self) -> (f32, u32) {
        unpack(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, now: Moment, value: f32) {
        self.0.store(pack(value, ticks(now)), Ordering::Relaxed);
    }

    /// Replaces the value by what `next` makes of it and of its age in seconds.
    fn update(&self, now: Moment, next: impl Fn(f32, f32) -> f32) {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (value, stamp) = unpack(word);
            let new = pack(next(value, age(now, stamp)), ticks(now));
            match self
                .0
                .compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(changed) => word = changed,
            }
        }
    }
}

fn pack(value: f32, stamp: u32) -> u64 {
    (u64::from(value.to_bits()) << 32) | u64::from(stamp)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the word's two halves are taken apart"
)]
fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

/// Ticks of 1.024 ms; they wrap after 50 days.
#[expect(
    clippy::cast_possible_truncation,
    reason = "differences of ticks are taken modulo 2^32"
)]
fn ticks(now: Moment) -> u32 {
    (now.as_micros() >> 10) as u32
}

/// Seconds since the tick; a tick in the future, from a request with an older `now`, is no age.
fn age(now: Moment, stamp: u32) -> f32 {
    let ticks = ticks(now).wrapping_sub(stamp);
    if ticks > u32::MAX / 2 {
        return 0.0;
    }
    ticks as f32 * 0.001_024
}

fn decay(age: f32, tau: f32) -> f32 {
    if age == 0.0 { 1.0 } else { (-age / tau).exp() }
}

/// In microseconds; at least a nanosecond, because zero stands for "not measured".
#[expect(
    clippy::cast_possible_truncation,
    reason = "24 bits of precision are plenty for a latency"
)]
fn micros(duration: Duration) -> f32 {
    (duration.as_secs_f64() * 1e6).max(0.001) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_micros(1 << 40);

    fn at(seconds: f64) -> Moment {
        START.after(Duration::from_secs_f64(seconds))
    }

    fn near(found: f32, wanted: f32) -> bool {
        (found - wanted).abs() <= wanted * 0.01
    }

    fn measured(micros: u64) -> Latency {
        let latency = Latency::default();
        latency.record(START, Duration::from_micros(micros), None);
        latency
    }

    #[test]
    fn rises_at_once_and_falls_slowly() {
        let latency = measured(1_000);
        latency.record(at(0.1), Duration::from_millis(9), None);
        assert!(near(latency.measured().unwrap(), 9_000.0));
        latency.record(at(10.1), Duration::from_millis(1), None);
        let wanted = 1_000.0 + 8_000.0 * (-1.0_f32).exp();
        assert!(near(latency.measured().unwrap(), wanted));
    }

    /// Samples of a millisecond every 0.8 s, from a moment after a latency of 20 ms was measured.
    fn recovering(latency: &Latency, from: f64, to: f64) -> f32 {
        let mut at = from;
        while at < to {
            latency.record(self::at(at), Duration::from_millis(1), Some(1_000.0));
            at += 0.8;
        }
        latency.measured().unwrap()
    }

    #[test]
    fn a_recovery_that_lasts_is_believed() {
        let latency = measured(20_000);
        assert!(recovering(&latency, 0.8, 3.0) > 15_000.0);
        assert!(recovering(&latency, 3.2, 8.0) < 1_500.0);
    }

    #[test]
    fn a_relapse_begins_it_anew() {
        let latency = measured(20_000);
        recovering(&latency, 0.8, 3.0);
        latency.record(at(3.2), Duration::from_millis(20), None);
        assert!(recovering(&latency, 4.0, 6.0) > 15_000.0);
    }

    #[test]
    fn one_sample_after_a_silence_proves_little() {
        let latency = measured(20_000);
        latency.record(at(4.0), Duration::from_millis(1), None);
        assert!(latency.measured().unwrap() > 10_000.0);
    }

    #[test]
    fn noise_is_no_recovery() {
        let latency = measured(20_000);
        for tenth in 1..100 {
            let millis = if tenth % 20 == 0 { 20 } else { 2 };
            latency.record(
                at(f64::from(tenth) / 10.0),
                Duration::from_millis(millis),
                None,
            );
            assert!(latency.measured().unwrap() > 15_000.0);
        }
    }

    #[test]
    fn decays_to_the_median_when_idle() {
        let latency = measured(50_000);
        let found = latency.decayed(at(10.0), Some(10_000.0)).unwrap();
        assert!(near(found, 10_000.0 + 40_000.0 * (-1.0_f32).exp()));
        let found = measured(1_000).decayed(at(100.0), Some(10_000.0)).unwrap();
        assert!(near(found, 10_000.0));
        assert!(near(latency.decayed(at(100.0), None).unwrap(), 50_000.0));
    }

    #[test]
    fn the_unmeasured_stand_at_the_median() {
        let latency = Latency::default();
        assert!(near(latency.cost(START, Some(7_000.0)), 7_000.0));
        assert_eq!(latency.decayed(START, Some(7_000.0)), None);
        latency.record(START, Duration::from_millis(1), Some(7_000.0));
        assert!(near(latency.measured().unwrap(), 4_000.0));
        let latency = Latency::default();
        latency.record(START, Duration::from_millis(9), Some(7_000.0));
        assert!(near(latency.measured().unwrap(), 9_000.0));
    }

    #[test]
    fn failures_multiply_the_cost_and_are_forgotten() {
        let latency = measured(1_000);
        latency.penalise(START);
        assert!(near(latency.cost(START, None), 4_000.0));
        latency.penalise(START);
        assert!(near(latency.cost(START, None), 16_000.0));
        for _ in 0..20 {
            latency.record(START, Duration::from_millis(1), None);
        }
        assert!(near(latency.cost(START, None), 1_000.0));
        for _ in 0..1_000 {
            latency.penalise(START);
        }
        assert!(latency.cost(START, None).is_finite());
        assert!(near(latency.cost(at(300.0), Some(1_000.0)), 1_000.0));
    }

    #[test]
    fn tells_apart_fractions_of_a_microsecond() {
        let (fast, slow) = (Latency::default(), Latency::default());
        fast.record(START, Duration::from_nanos(800), None);
        slow.record(START, Duration::from_nanos(1_900), None);
        assert!(fast.cost(START, None) < slow.cost(START, None));
    }

    #[test]
    fn an_older_moment_is_no_age() {
        let latency = measured(1_000);
        let before = Moment::from_micros(START.as_micros() - 5_000_000);
        assert!(near(latency.decayed(before, Some(9.0)).unwrap(), 1_000.0));
    }
}
