//! What holds in any sequence of events, however little sense it makes.

use proptest::prelude::*;

use super::random::any_target;
use super::*;

/// What happens before a decision, and what the decision is made from.
#[derive(Clone, Debug)]
struct Event {
    /// Seconds since the one before.
    wait: u64,
    /// Somebody else changed the size.
    resized: Option<u32>,
    /// Starts that failed, then whether one succeeded.
    starts: (u32, bool),
    /// Shares of the size that are ready, warming and failing.
    health: (f64, f64, f64),
    readings: Vec<Reading>,
    forecast: Option<f64>,
    /// Whether the decision is followed.
    obeyed: bool,
}

fn any_reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        8 => (0.0..20.0, 0_u32..20)
            .prop_map(|(load, reporting)| Reading::Measured { load, reporting }),
        4 => (0.0..2.0).prop_map(load),
        1 => Just(failed()),
        1 => Just(load(f64::NAN)),
    ]
}

fn any_health() -> impl Strategy<Value = (f64, f64, f64)> {
    prop_oneof![
        3 => Just((1.0, 0.0, 0.0)),
        2 => (0.0..1.2, 0.0..0.5, 0.0..0.5),
        1 => (0.0..0.5, 0.0..0.5, 0.0..1.2),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![8 => 0_u64..60, 2 => 60_u64..400, 1 => 400_u64..5000];
    let resized = prop::option::weighted(0.05, 0_u32..25);
    let starts = prop_oneof![6 => Just((0, false)), 2 => (0_u32..4, any::<bool>())];
    let forecast = prop::option::of(0.0..15.0);
    let readings = prop::collection::vec(any_reading(), 1..=3);
    let rest = (readings, forecast, prop::bool::weighted(0.9));
    (wait, resized, starts, any_health(), rest).prop_map(
        |(wait, resized, starts, health, (readings, forecast, obeyed))| Event {
            wait,
            resized,
            starts,
            health,
            readings,
            forecast,
            obeyed,
        },
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a small number"
)]
fn share(of: u32, share: f64) -> u32 {
    (f64::from(of) * share).round() as u32
}

/// A decision, and what it was made from.
struct Made {
    at: u64,
    decision: Decision,
    /// Everything was measured, and most backends are well.
    clean: bool,
    /// Backends serve, and nothing says how loaded they are: what was wanted before still is,
    /// whatever else the decision was made for.
    deaf: bool,
}

/// A pool that is resized by a decider, and a record of everything.
struct World {
    target: ScaleTarget,
    decider: Decider,
    size: u32,
    second: u64,
    made: Vec<Made>,
    acted: Vec<(u64, u32, u32)>,
    failures: u32,
    /// When the third start in a row failed.
    looping: Option<u64>,
}

impl World {
    fn new(target: ScaleTarget, size: u32) -> Self {
        Self {
            decider: Decider::new(&target),
            target,
            size,
            second: 0,
            made: Vec::new(),
            acted: Vec::new(),
            failures: 0,
            looping: None,
        }
    }

    fn live(&mut self, event: &Event) -> Result<(), TestCaseError> {
        self.second += event.wait;
        self.start(event.starts);
        self.size = event.resized.unwrap_or(self.size);
        let pool = Pool {
            size: self.size,
            ready: share(self.size, event.health.0),
            warming: share(self.size, event.health.1),
            failing: share(self.size, event.health.2),
        };
        let inputs = Inputs {
            forecast: event.forecast,
            ..inputs(pool, &event.readings)
        };
        let blind = Inputs {
            forecast: None,
            ..inputs
        };
        let without = self.decider.clone().decide(&blind, at(self.second));
        let decision = self.decider.decide(&inputs, at(self.second));
        prop_assert!(decision.size >= without.size, "the forecast lowered it");

        within_bounds(&self.target, pool, &decision)?;
        let shrinks_by_load = decision.reason != Reason::AboveMax;
        if decision.direction == Direction::Down && shrinks_by_load {
            may_shrink(&self.target, pool, &event.readings)?;
        }
        let signals = self.target.signals.len();
        let clean = trusted(&self.target, pool, &event.readings);
        let deaf = pool.ready > 0 && !event.readings.iter().take(signals).any(is_measured);
        self.made.push(Made {
            at: self.second,
            decision: decision.clone(),
            clean,
            deaf,
        });
        self.paced(&decision)?;
        if decision.size != self.size && event.obeyed {
            self.decider
                .acted(self.size, decision.size, at(self.second));
            self.acted.push((self.second, self.size, decision.size));
            self.size = decision.size;
        }
        Ok(())
    }

    fn start(&mut self, (failures, succeeded): (u32, bool)) {
        for _ in 0..failures {
            self.decider.start_failed(at(self.second));
            self.failures += 1;
            if self.failures == 3 {
                self.looping = Some(self.second);
            }
        }
        if succeeded {
            self.decider.started(at(self.second));
            (self.failures, self.looping) = (0, None);
        }
    }

    /// Cooldown, windows, steps and the pause of a crash loop were kept.
    fn paced(&self, decision: &Decision) -> Result<(), TestCaseError> {
        let (from, to, now) = (self.size, decision.size, self.second);
        if from == to {
            return Ok(());
        }
        if !matches!(decision.reason, Reason::BelowMin | Reason::AboveMax) {
            if let Some((last, _, _)) = self.acted.last() {
                prop_assert!(now - last >= self.target.cooldown.as_secs(), "cooldown");
            }
            self.steady(decision)?;
        }
        if to > from && decision.reason != Reason::BelowMin {
            let (added, _, most) = self.period(&self.target.up);
            prop_assert!(added + u64::from(to - from) <= most, "{added} came");
        }
        if to < from {
            let (_, removed, most) = self.period(&self.target.down);
            prop_assert!(removed + u64::from(from - to) <= most, "{removed} went");
        }
        if let Some(looping) = self.looping.filter(|_| to > from) {
            let pause = 60.min(2 * self.target.provisioning.as_secs());
            prop_assert!(now - looping >= pause && to == from + 1, "crash loop");
        }
        Ok(())
    }

    /// What came and went in the last period, and how many may.
    fn period(&self, steps: &Steps) -> (u64, u64, u64) {
        let recent = self
            .acted
            .iter()
            .filter(|(at, _, _)| self.second - at < steps.period.as_secs());
        let (mut added, mut removed) = (0, 0);
        for (_, from, to) in recent {
            added += u64::from(to.saturating_sub(*from));
            removed += u64::from(from.saturating_sub(*to));
        }
        let began = (u64::from(self.size) + removed).saturating_sub(added);
        let share = (began * u64::from(steps.percent)).div_ceil(100);
        (added, removed, share.max(u64::from(steps.backends)))
    }

    /// Every size that was wanted while the window lasted allows the new one.
    fn steady(&self, decision: &Decision) -> Result<(), TestCaseError> {
        let up = decision.direction == Direction::Up;
        let window = if up {
            self.target.up.window
        } else {
            self.target.down.window
        };
        for (index, made) in self.made.iter().enumerate() {
            let until = self.made.get(index + 1).map_or(u64::MAX, |next| next.at);
            if until.saturating_add(window.as_secs()) <= self.second {
                continue;
            }
            let wanted = made.decision.desired;
            if up && made.clean {
                prop_assert!(decision.size <= wanted, "{wanted} at {}", made.at);
            }
            if !up && !made.deaf {
                prop_assert!(decision.size >= wanted, "{wanted} at {}", made.at);
            }
        }
        Ok(())
    }
}

fn within_bounds(
    target: &ScaleTarget,
    pool: Pool,
    decision: &Decision,
) -> Result<(), TestCaseError> {
    let (least, most) = (target.min, target.max);
    let bounds = least..=most;
    let size = decision.size;
    prop_assert!(bounds.contains(&decision.desired));
    if bounds.contains(&pool.size) {
        prop_assert!(bounds.contains(&size), "leaves the bounds");
    }
    match decision.direction {
        Direction::Up => prop_assert!(pool.size < size && size <= most),
        Direction::Down => prop_assert!(least <= size && size < pool.size),
        Direction::Hold => prop_assert_eq!(size, pool.size),
    }
    let moves = match decision.reason {
        Reason::Load => decision.direction != Direction::Hold,
        Reason::ReplaceFailing | Reason::BelowMin => decision.direction == Direction::Up,
        Reason::AboveMax => decision.direction == Direction::Down,
        Reason::Forecast => decision.direction != Direction::Down,
        _ => decision.direction == Direction::Hold,
    };
    prop_assert!(
        moves,
        "{:?} because of {:?}",
        decision.direction,
        decision.reason
    );
    if pool.size < least && size < least {
        let tries = decision.reason == Reason::CrashLoop || size == pool.size + 1;
        prop_assert!(tries, "stays below the least");
    }
    if pool.size > most && size >= pool.size {
        prop_assert_eq!(decision.reason, Reason::StepLimit);
    }
    Ok(())
}

fn is_measured(reading: &Reading) -> bool {
    matches!(reading, Reading::Measured { load, .. } if load.is_finite())
}

/// Every signal was measured, and most backends are well.
fn trusted(target: &ScaleTarget, pool: Pool, readings: &[Reading]) -> bool {
    let signals = target.signals.len();
    let unmeasured = readings.len() < signals || !readings.iter().all(is_measured);
    !unmeasured && pool.ready > 0 && pool.failing <= pool.ready + pool.warming
}

fn may_shrink(target: &ScaleTarget, pool: Pool, readings: &[Reading]) -> Result<(), TestCaseError> {
    for index in 0..target.signals.len() {
        let reading = readings.get(index);
        prop_assert!(reading.is_some_and(is_measured), "shrinks with {reading:?}");
    }
    prop_assert_eq!(pool.warming, 0);
    prop_assert!(pool.ready > 0 && pool.failing <= pool.ready);
    Ok(())
}

proptest! {
    #[test]
    fn every_rule_is_kept(
        target in any_target(),
        size in 0_u32..25,
        events in prop::collection::vec(any_event(), 1..120),
    ) {
        let mut world = World::new(target, size);
        for event in &events {
            world.live(event)?;
        }
    }

    #[test]
    fn no_moment_does_harm(
        target in any_target(),
        events in prop::collection::vec((any_event(), any::<u64>(), any::<bool>()), 1..60),
    ) {
        let mut decider = Decider::new(&target);
        let mut size = target.min;
        for (event, micros, far) in &events {
            let micros = if *far { *micros } else { micros % 1_000_000_000 };
            let now = Moment::from_micros(micros);
            for _ in 0..event.starts.0 {
                decider.start_failed(now);
            }
            if event.starts.1 {
                decider.started(now);
            }
            let pool = Pool { failing: share(size, event.health.2), ..well(size) };
            let decision = decider.decide(&inputs(pool, &event.readings), now);
            within_bounds(&target, pool, &decision)?;
            if decision.direction == Direction::Down {
                may_shrink(&target, pool, &event.readings)?;
            }
            decider.acted(size, decision.size, now);
            size = decision.size;
        }
    }
}

#[test]
fn a_clock_that_went_ahead_and_came_back_stops_nothing() {
    const DAY: u64 = 86_400;
    let mut decider = Decider::new(&target());
    let mut decide = |size, reading, second| {
        let decision = decider.decide(&inputs(well(size), &[reading]), at(second));
        decider.acted(size, decision.size, at(second));
        (decision.size, decision.reason)
    };
    assert_eq!(decide(2, load(1.0), 0), (2, Reason::WithinBand));
    assert_eq!(decide(2, load(1.5), DAY), (3, Reason::Load));
    assert_eq!(decide(3, load(2.5), 14), (3, Reason::Cooldown));
    assert_eq!(decide(3, load(2.5), 28), (3, Reason::Cooldown));
    assert_eq!(decide(3, load(2.5), 29), (5, Reason::Load));
    assert_eq!(decide(5, load(0.1), 30), (5, Reason::Stabilising));
    assert_eq!(decide(5, load(0.1), DAY), (5, Reason::Stabilising));
    assert_eq!(decide(5, load(0.1), 31), (5, Reason::Stabilising));
    assert_eq!(decide(5, load(0.1), 330), (5, Reason::Stabilising));
    assert_eq!(decide(5, load(0.1), 331), (2, Reason::Load));
}
