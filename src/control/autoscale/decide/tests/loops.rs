//! A decider with the pool it decides on: what it comes to under a load that stays.

use proptest::prelude::*;

use super::random::moving_target;
use super::*;

const INTERVAL: u64 = 15;

/// What the signals measure of a load that stays.
#[derive(Clone, Debug)]
struct Source {
    /// In full backends, one for each signal.
    loads: Vec<f64>,
    /// As a share of the tolerance.
    noise: f64,
    /// So many measurements are too high, then as many too low; 0 is at random.
    wave: u64,
    seed: u64,
    /// Whether a full backend cannot be seen to be overloaded.
    saturates: bool,
    forecasts: bool,
}

impl Source {
    /// What to multiply a load with.
    fn factor(&self, target: &ScaleTarget, tick: u64, index: usize) -> f64 {
        let place = match (self.wave, index as u64) {
            (0, index) => mixed(self.seed ^ (tick * 8 + index)),
            (wave, _) if (tick / wave).is_multiple_of(2) => 1.0,
            _ => 0.0,
        };
        1.0 + target.tolerance.ratio() * self.noise * (2.0 * place - 1.0)
    }

    fn readings(&self, target: &ScaleTarget, tick: u64, ready: u32) -> Vec<Reading> {
        let measured = self.loads.iter().enumerate().map(|(index, true_load)| {
            let seen = true_load * self.factor(target, tick, index);
            load(if self.saturates {
                seen.min(f64::from(ready))
            } else {
                seen
            })
        });
        measured.take(target.signals.len()).collect()
    }

    /// How many backends the signals ask for.
    fn needed(&self, target: &ScaleTarget) -> f64 {
        let needed = target.signals.iter().zip(&self.loads);
        needed
            .map(|(signal, load)| load / signal.target)
            .fold(0.0, f64::max)
    }

    fn forecast(&self, target: &ScaleTarget, tick: u64) -> Option<f64> {
        self.forecasts
            .then(|| self.needed(target) * self.factor(target, tick, 7))
    }
}

/// Evenly distributed over 0..1 (the finaliser of `SplitMix64`).
fn mixed(seed: u64) -> f64 {
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

fn any_source() -> impl Strategy<Value = Source> {
    let loads = prop::collection::vec(0.0..8.0, 3);
    let wave = prop_oneof![Just(0), 1_u64..40];
    (loads, wave, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(loads, wave, seed, saturates, forecasts)| Source {
            loads,
            noise: 0.999,
            wave,
            seed,
            saturates,
            forecasts,
        },
    )
}

/// A pool that obeys; a backend serves some seconds after it was begun.
struct Pond {
    target: ScaleTarget,
    decider: Decider,
    /// When each backend serves, the youngest last.
    serves: Vec<u64>,
    start: u64,
    tick: u64,
}

impl Pond {
    fn new(target: ScaleTarget, size: u32, start: u64) -> Self {
        Self {
            decider: Decider::new(&target),
            target,
            serves: vec![0; size as usize],
            start,
            tick: 0,
        }
    }

    fn size(&self) -> u32 {
        u32::try_from(self.serves.len()).expect("small")
    }

    /// Decides and obeys so many times; answers with when, from and to which size it changed.
    fn run(&mut self, source: &Source, ticks: u64) -> Vec<(u64, u32, u32)> {
        let mut changes = Vec::new();
        for _ in 0..ticks {
            let (now, size) = (self.tick * INTERVAL, self.size());
            let ready = self.serves.iter().filter(|serves| **serves <= now).count();
            let ready = u32::try_from(ready).expect("small");
            let pool = Pool {
                size,
                ready,
                warming: size - ready,
                failing: 0,
            };
            let readings = source.readings(&self.target, self.tick, ready);
            let inputs = Inputs {
                forecast: source.forecast(&self.target, self.tick),
                ..inputs(pool, &readings)
            };
            let to = self.decider.decide(&inputs, at(now)).size;
            if to != size {
                self.decider.acted(size, to, at(now));
                self.serves.resize(to as usize, now + self.start);
                changes.push((self.tick, size, to));
            }
            self.tick += 1;
        }
        changes
    }

    /// Whether the size suits a load that is measured without noise.
    fn suits(&self, source: &Source) -> Result<(), TestCaseError> {
        let size = f64::from(self.size());
        let tolerance = self.target.tolerance.ratio();
        let mut idle = true;
        for (signal, true_load) in self.target.signals.iter().zip(&source.loads) {
            let seen = if source.saturates {
                true_load.min(size)
            } else {
                *true_load
            };
            let most = signal.up.max(signal.target * (1.0 + tolerance)) * size * (1.0 + 1e-6);
            prop_assert!(seen <= most || self.size() == self.target.max, "too few");
            idle &= seen < signal.down * size;
        }
        // A forecast grows at 0.7 of the tolerance, so what it grew by must not be noise either.
        let noise = (1.0 + tolerance) / (1.0 - tolerance);
        let room = if source.forecasts {
            noise / 0.7_f64.mul_add(tolerance, 1.0)
        } else {
            1.0 / (1.0 - tolerance)
        };
        let enough = (source.needed(&self.target) * room).ceil();
        let least = self.size() == self.target.min;
        prop_assert!(!idle || least || size <= enough, "too many: {enough} do");
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_constant_load_is_settled_once_and_never_again(
        target in moving_target(),
        source in any_source(),
        begin in 0.0..=1.0,
        start in 0_u64..60,
    ) {
        let size = target.min + share_of(target.max - target.min, begin);
        let mut pond = Pond::new(target, size, start);
        let changes = pond.run(&source, 2_000);
        let shrunk = changes.iter().position(|(_, from, to)| to < from);
        let later = changes.iter().skip(shrunk.unwrap_or(changes.len()));
        let again: Vec<_> = later.filter(|(_, from, to)| to > from).collect();
        prop_assert!(again.is_empty(), "grew after it shrank: {changes:?}");
        if source.wave > 0 {
            let last = changes.last().map_or(0, |(tick, _, _)| *tick);
            prop_assert!(last < 1_500, "still changes: {changes:?}");
        }
    }

    #[test]
    fn after_a_step_the_size_suits_the_load(
        target in moving_target(),
        before in any_source(),
        after in any_source(),
        start in 0_u64..60,
    ) {
        let (before, after) = (Source { noise: 0.0, ..before }, Source { noise: 0.0, ..after });
        let size = target.min;
        let mut pond = Pond::new(target, size, start);
        pond.run(&before, 200);
        pond.suits(&before)?;
        pond.run(&after, 200);
        pond.suits(&after)?;
        let changes = pond.run(&after, 200);
        prop_assert!(changes.is_empty(), "{changes:?}");
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a small number"
)]
fn share_of(of: u32, share: f64) -> u32 {
    (f64::from(of) * share).round() as u32
}

#[test]
fn a_step_is_followed_within_a_provisioning_time_and_a_window() {
    let mut pond = Pond::new(target(), 1, 30);
    let source = |load| Source {
        loads: vec![load],
        noise: 0.0,
        wave: 0,
        seed: 0,
        saturates: false,
        forecasts: false,
    };
    assert_eq!(pond.run(&source(0.5), 40), []);
    assert_eq!(pond.run(&source(2.0), 40), [(40, 1, 4)]);
    assert_eq!(pond.run(&source(0.5), 60), [(100, 4, 2), (104, 2, 1)]);
}
