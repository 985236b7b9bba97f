//! The forecast on series made up from seeds.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::season::MAX_SLOTS;
use super::*;
use crate::config::Percent;
use crate::control::autoscale::simulation::trace::{BEGIN, Random};

mod seasons;

const STEP: f64 = 15.0;
const HORIZON: f64 = 60.0;
const HOUR: f64 = 3_600.0;
const SEEDS: std::ops::Range<u64> = 0..8;

fn settings(mode: ForecastMode, season: f64) -> Forecast {
    Forecast {
        mode,
        max_error: Percent::from_hundredths(15.0).unwrap(),
        season: Duration::from_secs_f64(season),
    }
}

fn forecaster(season: f64) -> Forecaster {
    let settings = settings(ForecastMode::Auto, season);
    let (step, horizon) = (
        Duration::from_secs_f64(STEP),
        Duration::from_secs_f64(HORIZON),
    );
    Forecaster::new(&settings, step, horizon)
}

/// One without a season that the test is long enough for.
fn short_term() -> Forecaster {
    forecaster(24.0 * HOUR)
}

/// Observes `series`, which is told the seconds since [`BEGIN`], each step of a span.
fn feed(into: &mut Forecaster, span: std::ops::Range<f64>, mut series: impl FnMut(f64) -> f64) {
    let mut t = span.start;
    while t < span.end {
        into.observe(BEGIN + t, Some(series(t)));
        t += STEP;
    }
}

fn needed(of: &Forecaster) -> f64 {
    of.prediction().expect("a prediction").needed
}

fn model(of: &Forecaster) -> Model {
    of.prediction().expect("a prediction").model
}

#[test]
fn a_steady_load_stays_what_it_is() {
    let mut steady = short_term();
    feed(&mut steady, 0.0..600.0, |_| 4.0);
    assert!((needed(&steady) - 4.0).abs() < 1e-9);
    assert_eq!(steady.error(), Some(0.0));
}

#[test]
fn a_ramp_is_seen_where_it_will_be_at_the_horizon() {
    for seed in SEEDS {
        let (mut ramp, mut random) = (short_term(), Random::new(seed));
        let line = |t: f64| 2.0 + t / 120.0;
        feed(&mut ramp, 0.0..1_200.0, |t| {
            line(t) * (1.0 + 0.02 * random.normal())
        });
        let will_be = line(1_185.0 + HORIZON);
        let off = (needed(&ramp) - will_be) / will_be;
        assert!(
            off.abs() < 0.06,
            "seed {seed}: {} for {will_be}",
            needed(&ramp)
        );
        assert!(ramp.error().unwrap() < 0.08, "seed {seed}");
    }
}

#[test]
fn a_falling_load_is_never_expected_below_nothing() {
    let mut falling = short_term();
    feed(&mut falling, 0.0..600.0, |t| (6.0 - t / 50.0).max(0.0));
    assert!(needed(&falling) >= 0.0);
}

#[test]
fn one_spike_makes_no_trend() {
    let mut spiked = short_term();
    feed(&mut spiked, 0.0..1_200.0, |_| 3.0);
    for value in [30.0, 3.0, 3.0] {
        let at = spiked.now.unwrap() + STEP;
        spiked.observe(at, Some(value));
        assert!((needed(&spiked) - 3.0).abs() < 1.0, "{}", needed(&spiked));
    }
}

#[test]
fn a_step_is_a_new_level_and_not_a_trend() {
    let mut stepped = short_term();
    feed(&mut stepped, 0.0..1_200.0, |_| 2.0);
    let mut most: f64 = 0.0;
    for steps in 0..40 {
        let at = stepped.now.unwrap() + STEP;
        stepped.observe(at, Some(8.0));
        most = most.max(needed(&stepped));
        assert!(steps < 3 || needed(&stepped) > 7.9, "after {steps} steps");
    }
    assert!(most < 8.5, "{most}");
}

#[test]
fn noise_is_smoothed_and_not_followed() {
    for seed in SEEDS {
        let (mut noisy, mut random) = (short_term(), Random::new(seed));
        feed(&mut noisy, 0.0..2.0 * HOUR, |_| {
            8.0 * (1.0 + 0.2 * random.normal())
        });
        let mut squares = 0.0;
        for _ in 0..200 {
            let at = noisy.now.unwrap() + STEP;
            noisy.observe(at, Some(8.0 * (1.0 + 0.2 * random.normal())));
            squares += (needed(&noisy) - 8.0).powi(2) / 200.0;
        }
        let deviation = squares.sqrt();
        assert!(deviation < 0.6 * 1.6, "seed {seed}: {deviation}");
    }
}

#[test]
fn samples_may_come_at_any_time() {
    for seed in SEEDS {
        let (mut uneven, mut random) = (short_term(), Random::new(seed));
        let line = |t: f64| 2.0 + t / 120.0;
        let mut t = 0.0;
        for _ in 0..150 {
            t += 1.0 + 28.0 * random.unit();
            let seen = random.unit() > 0.1;
            uneven.observe(BEGIN + t, seen.then(|| line(t)));
        }
        let will_be = line(t + HORIZON);
        assert!((needed(&uneven) - will_be).abs() < 0.1, "seed {seed}");
    }
}

#[test]
fn the_trend_goes_on_while_a_few_values_are_missing() {
    let mut ramp = short_term();
    let line = |t: f64| 2.0 + t / 120.0;
    feed(&mut ramp, 0.0..1_200.0, line);
    let mut t = 1_200.0;
    while t < 1_260.0 {
        ramp.observe(BEGIN + t, None);
        t += STEP;
    }
    let will_be = line(t - STEP + HORIZON);
    assert!((needed(&ramp) - will_be).abs() < 0.2, "{}", needed(&ramp));
}

#[test]
fn nothing_is_said_after_a_long_silence_and_it_begins_anew_without_the_old_trend() {
    let mut ramp = short_term();
    feed(&mut ramp, 0.0..1_200.0, |t| 2.0 + t / 60.0);
    // The slots of the season are a minute wide, so two of them are bridged.
    ramp.observe(BEGIN + 1_185.0 + 121.0, None);
    assert_eq!(ramp.prediction(), None);
    ramp.observe(BEGIN + 1_185.0 + 136.0, Some(5.0));
    assert!((needed(&ramp) - 5.0).abs() < 1e-9);
}

#[test]
fn what_was_said_about_a_silence_is_not_judged() {
    let mut silent = short_term();
    silent.observe(BEGIN, Some(2.0));
    silent.observe(BEGIN + 600.0, Some(8.0));
    assert_eq!(silent.error(), None);
}

#[test]
fn history_that_is_coarser_than_the_horizon_earns_no_trust() {
    let mut coarse = forecaster(14.0 * 24.0 * HOUR);
    let (_, apart) = coarse.history().unwrap();
    let apart = apart.as_secs_f64();
    assert!(apart > 2.0 * HORIZON);
    let points = (0..500).map(|point| (BEGIN + f64::from(point) * apart, 4.0));
    coarse.seed(&points.collect::<Vec<_>>());
    assert_eq!(coarse.error(), None);
    assert!(!coarse.counts());
    assert!(
        (needed(&coarse) - 4.0).abs() < 1e-9,
        "it is known all the same"
    );
}

#[test]
fn values_that_are_none_are_missing() {
    let mut broken = short_term();
    feed(&mut broken, 0.0..600.0, |_| 4.0);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        let at = broken.now.unwrap() + 1.0;
        broken.observe(at, Some(value));
    }
    broken.observe(f64::NAN, Some(100.0));
    assert!((needed(&broken) - 4.0).abs() < 1e-9);
    assert!((broken.last.unwrap().0 - (BEGIN + 585.0)).abs() < 1e-9);
}

#[test]
fn a_clock_that_is_set_back_a_little_is_waited_for_and_one_set_back_far_is_followed() {
    let mut odd = short_term();
    feed(&mut odd, 0.0..600.0, |_| 4.0);
    odd.observe(BEGIN + 580.0, Some(9.0));
    assert!((needed(&odd) - 4.0).abs() < 1e-9);
    odd.observe(BEGIN - HOUR, Some(6.0));
    assert!((needed(&odd) - 6.0).abs() < 1e-9);
    feed(&mut odd, -HOUR + STEP..0.0, |_| 6.0);
    assert!((needed(&odd) - 6.0).abs() < 1e-9);
    assert_eq!(
        odd.error(),
        Some(0.0),
        "the old predictions are not compared"
    );
}

#[test]
fn the_error_is_what_was_said_against_what_came() {
    let mut wrong = short_term();
    feed(&mut wrong, 0.0..600.0, |_| 2.0);
    let due_before = wrong.errors.count();
    feed(&mut wrong, 600.0..600.0 + HORIZON, |_| 4.0);
    // Four predictions of 2 came due between the last 2 and the next 4 or at a 4.
    assert_eq!(wrong.errors.count(), due_before + 4);
    let sum = wrong.error().unwrap() * wrong.errors.count() as f64;
    assert!((sum - 4.0 * 0.5).abs() < 1e-9, "{sum}");
}

#[test]
fn what_is_less_than_a_backend_is_measured_as_one() {
    let mut errors = Errors::default();
    errors.add(0.2, 0.0);
    errors.add(0.4, 0.2);
    assert!((errors.mean().unwrap() - 0.2).abs() < 1e-9);
}

#[test]
fn old_errors_are_forgotten() {
    let mut better = short_term();
    feed(&mut better, 0.0..600.0, |t| {
        if (t / STEP) % 3.0 < 1.0 { 9.0 } else { 2.0 }
    });
    assert!(better.error().unwrap() > 0.3);
    feed(&mut better, 600.0..3.0 * HOUR, |_| 4.0);
    assert_eq!(better.errors.count(), 240);
    assert!(better.error().unwrap() < 0.01);
}

#[test]
fn the_margin_is_how_wrong_it_usually_is_and_not_what_happens_now_and_then() {
    let mut errors = Errors::default();
    assert_eq!(errors.median(), None);
    for wrong in [0.1, 5.0, 0.2, 0.1, 7.0, 0.3, 0.1] {
        errors.add(10.0 + 10.0 * wrong, 10.0);
    }
    assert!((errors.median().unwrap() - 0.2).abs() < 1e-9);

    let (mut seen, random) = (short_term(), &mut Random::new(3));
    feed(&mut seen, 0.0..HORIZON + 19.0 * STEP, |_| {
        8.0 * (1.0 + 0.03 * random.normal())
    });
    let said = seen.prediction().unwrap();
    assert!(
        (said.margin - 0.0).abs() < f64::EPSILON,
        "too little is known"
    );
    feed(&mut seen, HOUR..2.0 * HOUR, |_| {
        8.0 * (1.0 + 0.03 * random.normal())
    });
    let said = seen.prediction().unwrap();
    assert!((0.01..0.04).contains(&(said.margin / said.needed)));
    assert!((said.asked() - said.needed - said.margin).abs() < 1e-9);
    feed(&mut seen, 2.0 * HOUR..4.0 * HOUR, |_| 20.0 * random.unit());
    let said = seen.prediction().unwrap();
    assert!((said.margin - 0.1 * said.needed.max(1.0)).abs() < 1e-9);
}

#[test]
fn the_mode_decides_whether_it_counts() {
    let made = |mode| {
        let step = Duration::from_secs_f64(STEP);
        Forecaster::new(&settings(mode, HOUR), step, step * 4)
    };
    let mut enforced = made(ForecastMode::Enforce);
    let mut observed = made(ForecastMode::Observe);
    let mut auto = made(ForecastMode::Auto);
    assert!(enforced.counts());
    assert!(!auto.counts(), "nothing came due");
    for held in [&mut enforced, &mut observed, &mut auto] {
        feed(held, 0.0..HORIZON + 19.0 * STEP, |_| 4.0);
    }
    assert_eq!(auto.errors.count(), 19);
    assert!(!auto.counts(), "too little came due");
    auto.observe(auto.now.unwrap() + STEP, Some(4.0));
    assert!(auto.counts());
    assert!(!observed.counts());

    let random = &mut Random::new(7);
    feed(&mut auto, HOUR..2.0 * HOUR, |_| 20.0 * random.unit());
    assert!(auto.error().unwrap() > 0.15);
    assert!(!auto.counts(), "wrong too often");
}

#[test]
fn a_reload_keeps_what_was_learnt_unless_time_is_cut_anew() {
    let mut kept = short_term();
    feed(&mut kept, 0.0..HOUR, |_| 4.0);
    let (step, horizon) = (kept.step, kept.horizon);
    let observe = settings(ForecastMode::Observe, 24.0 * HOUR);
    assert!(kept.reconfigure(&observe, step, horizon));
    assert!(!kept.counts());
    assert!((needed(&kept) - 4.0).abs() < 1e-9);
    assert!(!kept.reconfigure(&observe, step, horizon * 2));
    assert_eq!(kept.prediction(), None);
}

#[test]
fn memory_is_bounded_whatever_the_season_and_the_horizon_are() {
    let settings = settings(ForecastMode::Auto, 14.0 * 24.0 * HOUR);
    let (second, hours) = (Duration::from_secs(1), Duration::from_hours(2));
    let mut long = Forecaster::new(&settings, second, hours);
    for t in 0..20_000 {
        long.observe(BEGIN + f64::from(t), Some(3.0));
    }
    assert_eq!(long.season.as_ref().unwrap().slots(), MAX_SLOTS);
    assert!(long.error().is_some(), "what waits lasts to the horizon");
    assert!(long.dues.waiting() <= 128);
    assert!(long.errors.count() <= 240);
}

proptest! {
    #[test]
    fn a_prediction_is_finite_and_not_negative_whatever_comes(
        season in 60.0..20_000.0_f64,
        horizon in 1_u64..3_600,
        steps in prop::collection::vec((-300.0..900.0_f64, any::<f64>(), any::<bool>()), 1..300),
    ) {
        let settings = settings(ForecastMode::Enforce, season);
        let step = Duration::from_secs(15);
        let mut any = Forecaster::new(&settings, step, Duration::from_secs(horizon));
        let mut at = BEGIN;
        for (on, value, missing) in steps {
            at += on;
            // Half of the bit patterns are far beyond any load; these come as they are and within bounds.
            let value = if missing { value } else { value.abs().min(1e8) };
            any.observe(at, Some(value));
            if let Some(said) = any.prediction() {
                prop_assert!(said.needed.is_finite() && said.needed >= 0.0, "{said:?}");
            }
            prop_assert!(any.error().is_none_or(|error| error.is_finite() && error >= 0.0));
        }
    }
}
