//! Load over time, made up from a seed: what is wanted of the pool, and what of it is seen.

use std::f64::consts::TAU;

/// When the traces begin, in seconds since the epoch.
pub(crate) const BEGIN: f64 = 1_700_000_000.0;

const HOUR: f64 = 3_600.0;

/// A sequence of random numbers that one seed determines (`SplitMix64`, Steele et al., 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// Evenly distributed over 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normally distributed around 0 with a standard deviation of 1 (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos()
    }
}

/// A load, and how well it is seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) name: &'static str,
    /// The load in full backends, so many seconds after the beginning; negative before it.
    pub(super) load: fn(f64) -> f64,
    /// Seconds.
    pub(super) length: f64,
    /// After how many seconds it repeats itself, as the forecast is told.
    pub(super) season: f64,
    /// Whether the forecast is given the seasons before.
    pub(super) history: bool,
    /// The standard deviation of what is seen, as a share of the load.
    pub(super) noise: f64,
    /// The share of the steps at which nothing is seen, and that at which nothing is seen for
    /// five minutes.
    pub(super) missing: f64,
    pub(super) outages: f64,
}

impl Trace {
    /// A load that is seen with 3 % of noise and does not repeat itself.
    const fn new(name: &'static str, load: fn(f64) -> f64, length: f64) -> Self {
        Self {
            name,
            load,
            length,
            season: 24.0 * HOUR,
            history: false,
            noise: 0.03,
            missing: 0.0,
            outages: 0.0,
        }
    }

    /// A day in an hour: between 1 and 9 full backends, four times over.
    pub(super) const fn sine() -> Self {
        let mut trace = Self::new("sine", |t| day(t, HOUR), 4.0 * HOUR);
        trace.season = HOUR;
        trace
    }

    /// The same with the seasons before.
    pub(super) const fn sine_with_history() -> Self {
        let mut trace = Self::sine();
        trace.name = "sine with history";
        trace.history = true;
        trace
    }

    /// A day of 24 hours with the two days before.
    pub(super) const fn real_day() -> Self {
        let mut trace = Self::new("day of 24 h", |t| day(t, 24.0 * HOUR), 24.0 * HOUR);
        trace.history = true;
        trace
    }

    /// From 2 to 10 full backends in 20 minutes, an hour there, and back.
    pub(super) const fn ramp() -> Self {
        let load = |t: f64| {
            let up = (t - 0.5 * HOUR) / (HOUR / 3.0);
            let down = (t - 2.0 * HOUR) / (HOUR / 3.0);
            2.0 + 8.0 * up.clamp(0.0, 1.0) - 8.0 * down.clamp(0.0, 1.0)
        };
        Self::new("ramp", load, 3.0 * HOUR)
    }

    /// From 2 to 8 full backends for two minutes, each half hour.
    pub(super) const fn spike() -> Self {
        let load = |t: f64| match t.rem_euclid(0.5 * HOUR) {
            into if (900.0..1_020.0).contains(&into) => 8.0,
            _ => 2.0,
        };
        Self::new("spike", load, 3.0 * HOUR)
    }

    /// From 2 to 8 full backends at once, and back after an hour.
    pub(super) const fn step() -> Self {
        let load = |t: f64| match t {
            t if (HOUR..2.0 * HOUR).contains(&t) => 8.0,
            _ => 2.0,
        };
        Self::new("step", load, 3.0 * HOUR)
    }

    /// 5 full backends, seen with 20 % of noise.
    pub(super) const fn noise() -> Self {
        let mut trace = Self::new("noise", |_| 5.0, 3.0 * HOUR);
        trace.noise = 0.2;
        trace
    }

    /// The sine of which a tenth of the steps and now and then five minutes are not seen.
    pub(super) const fn missing_data() -> Self {
        let mut trace = Self::sine();
        trace.name = "missing data";
        trace.missing = 0.1;
        trace.outages = 0.005;
        trace
    }
}

/// Between 1 and 9 full backends, the fewest at the beginning.
fn day(t: f64, length: f64) -> f64 {
    5.0 - 4.0 * (TAU * t / length).cos()
}
