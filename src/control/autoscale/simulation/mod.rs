//! The autoscaler and a pool in virtual time, under loads made up from seeds.
//!
//! The decider is the real one with the defaults of the configuration; it only
//! reacts, or it is given the forecast. The forecast learns from what each
//! decision found to be needed, so the one that a decision uses is a step old. A
//! backend costs from when it was asked for, serves `provisioning` later, and is
//! gone at once when it is taken away. The load is what clients want, however
//! few backends there are: a pool that is too small is not flattered by what it
//! turns away, and a signal that saturates would make only reacting worse.

mod bars;
mod table;
pub(crate) mod trace;

use std::time::Duration;

use super::decide::{Decider, Inputs, Pool, Reading};
use super::forecast::Forecaster;
use crate::clock::Moment;
use crate::config::{
    Driver, Endpoint, Forecast, ForecastMode, Percent, ScaleTarget, Signal, SignalKind, Steps,
};
use trace::{BEGIN, Random, Trace};

/// From one decision to the next, in seconds.
const INTERVAL: u32 = 15;

/// The band's upper edge, and what the new size should bring.
const UP: f64 = 0.7;
const TARGET: f64 = 0.5;

/// By how much the load may be above the target before anything is done about it.
const TOLERANCE: f64 = 0.1;

/// How closely it is looked, in seconds.
const TICK: u32 = 5;

/// What became of a trace.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Seconds during which the load of a serving backend was above the target.
    above_target: f64,
    /// Of these, above it by more than the tolerance.
    beyond_tolerance: f64,
    /// Of these, above the band.
    above_band: f64,
    /// Backends times hours, those that start included.
    replica_hours: f64,
}

impl Outcome {
    /// The mean over the seeds.
    fn of(trace: &Trace, provisioning: u32, mode: Option<ForecastMode>, seeds: &[u64]) -> Self {
        let mut mean = Self::default();
        for &seed in seeds {
            let one = Run::new(trace, provisioning, mode, seed).finish();
            let share = 1.0 / seeds.len() as f64;
            mean.above_target += one.above_target * share;
            mean.beyond_tolerance += one.beyond_tolerance * share;
            mean.above_band += one.above_band * share;
            mean.replica_hours += one.replica_hours * share;
        }
        mean
    }
}

/// One trace being run.
struct Run<'t> {
    trace: &'t Trace,
    provisioning: f64,
    decider: Decider,
    /// `None` only reacts.
    forecaster: Option<Forecaster>,
    random: Random,
    /// When each backend begins to serve, the oldest first.
    serves: Vec<f64>,
    /// Until when nothing is seen.
    blind_until: f64,
    outcome: Outcome,
}

impl<'t> Run<'t> {
    fn new(trace: &'t Trace, provisioning: u32, mode: Option<ForecastMode>, seed: u64) -> Self {
        let target = target(provisioning);
        let mut random = Random::new(seed);
        let forecaster = mode.map(|mode| forecaster(trace, mode, provisioning, &mut random));
        let mut serves = vec![0.0];
        while (trace.load)(0.0) > TARGET * serves.len() as f64 {
            serves.push(0.0);
        }
        Self {
            trace,
            provisioning: f64::from(provisioning),
            decider: Decider::new(&target),
            forecaster,
            // The same noise for all modes.
            random: Random::new(seed + 1_000),
            serves,
            blind_until: 0.0,
            outcome: Outcome::default(),
        }
    }

    fn finish(mut self) -> Outcome {
        let mut t = 0.0;
        while t < self.trace.length {
            let load = self.look(t);
            self.step(t, load);
            for tick in 0..INTERVAL / TICK {
                self.account(t + f64::from(tick * TICK));
            }
            t += f64::from(INTERVAL);
        }
        self.outcome
    }

    /// The load as it is seen.
    fn look(&mut self, t: f64) -> Option<f64> {
        let (noise, lost, outage) = (
            self.random.normal(),
            self.random.unit() < self.trace.missing,
            self.random.unit() < self.trace.outages,
        );
        if outage && t >= self.blind_until {
            self.blind_until = t + 300.0;
        }
        let seen = (self.trace.load)(t) * (1.0 + self.trace.noise * noise);
        (!lost && t >= self.blind_until).then_some(seen.max(0.0))
    }

    /// Decides and does it.
    fn step(&mut self, t: f64, load: Option<f64>) {
        let ready = self.serving(t);
        let size = u32::try_from(self.serves.len()).unwrap();
        let pool = Pool {
            size,
            ready,
            warming: size - ready,
            failing: 0,
        };
        let reading = load.map_or_else(
            || Reading::Failed("missing".to_owned()),
            |load| Reading::Measured {
                load,
                reporting: ready,
            },
        );
        let mut inputs = Inputs {
            pool,
            readings: &[reading],
            forecast: None,
        };
        let now = Moment::ZERO.after(Duration::from_secs_f64(10_000.0 + t));
        if let Some(forecaster) = &self.forecaster {
            let prediction = forecaster.prediction().filter(|_| forecaster.counts());
            inputs.forecast = prediction.map(|said| said.asked());
        }
        let mut without = self.decider.clone();
        let decision = self.decider.decide(&inputs, now);
        inputs.forecast = None;
        let reactive = without.decide(&inputs, now);
        assert!(
            decision.size >= reactive.size,
            "a forecast never scales in: {decision:?}, without it {reactive:?}"
        );
        if let Some(forecaster) = &mut self.forecaster {
            forecaster.observe(BEGIN + t, decision.needed);
        }
        self.decider.acted(size, decision.size, now);
        let serves = t + self.provisioning;
        self.serves.resize(decision.size as usize, serves);
    }

    fn serving(&self, t: f64) -> u32 {
        let serving = self.serves.iter().filter(|&&at| at <= t).count();
        u32::try_from(serving).unwrap()
    }

    fn account(&mut self, t: f64) {
        let utilisation = (self.trace.load)(t) / f64::from(self.serving(t));
        let outcome = &mut self.outcome;
        for (seconds, bound) in [
            (&mut outcome.above_target, TARGET),
            (&mut outcome.beyond_tolerance, TARGET * (1.0 + TOLERANCE)),
            (&mut outcome.above_band, UP),
        ] {
            // What rounding leaves of a load that is at the bound is not above it.
            if utilisation > bound * (1.0 + 1e-9) {
                *seconds += f64::from(TICK);
            }
        }
        outcome.replica_hours += self.serves.len() as f64 * f64::from(TICK) / 3_600.0;
    }
}

fn forecaster(
    trace: &Trace,
    mode: ForecastMode,
    provisioning: u32,
    random: &mut Random,
) -> Forecaster {
    let settings = Forecast {
        mode,
        max_error: Percent::from_hundredths(15.0).unwrap(),
        season: Duration::from_secs_f64(trace.season),
    };
    let interval = Duration::from_secs(INTERVAL.into());
    let horizon = Duration::from_secs(provisioning.into()) + interval;
    let mut forecaster = Forecaster::new(&settings, interval, horizon);
    if trace.history {
        let (span, apart) = forecaster.history().unwrap();
        let (span, apart) = (span.as_secs_f64(), apart.as_secs_f64());
        let points = (0..).map(|point| f64::from(point) * apart - span);
        let history: Vec<(f64, f64)> = points
            .take_while(|&t| t < 0.0)
            .map(|t| {
                let seen = (trace.load)(t) * (1.0 + trace.noise * random.normal());
                (BEGIN + t, seen / TARGET)
            })
            .collect();
        forecaster.seed(&history);
    }
    forecaster
}

/// The configuration's defaults, from 1 to 60 backends.
fn target(provisioning: u32) -> ScaleTarget {
    ScaleTarget {
        upstream: "web".to_owned(),
        min: 1,
        max: 60,
        signals: vec![Signal {
            name: "cpu".to_owned(),
            kind: SignalKind::Cpu { query: None },
            up: UP,
            down: 0.3,
            target: TARGET,
        }],
        tolerance: Percent::from_hundredths(100.0 * TOLERANCE).unwrap(),
        up: Steps {
            window: Duration::ZERO,
            percent: 100,
            backends: 4,
            period: Duration::from_secs(15),
        },
        down: Steps {
            window: Duration::from_mins(5),
            percent: 50,
            backends: 1,
            period: Duration::from_mins(1),
        },
        cooldown: Duration::from_secs(15),
        provisioning: Duration::from_secs(provisioning.into()),
        drain_timeout: Duration::from_secs(30),
        forecast: None,
        driver: Driver::Docker {
            endpoint: Endpoint::Unix("/run/docker.sock".into()),
            project: None,
            service: "web".to_owned(),
        },
    }
}
