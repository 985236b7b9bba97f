//! What comes back each season, learnt from history or lived through.

use super::*;

/// Seasons of one hour: a sine between 2 and 10, and 6 more in the third quarter of the hour.
fn with_rush(t: f64) -> f64 {
    let rush = match t.rem_euclid(HOUR) {
        into if (0.5 * HOUR..0.75 * HOUR).contains(&into) => 6.0,
        _ => 0.0,
    };
    6.0 - 4.0 * (TAU * t / HOUR).cos() + rush
}

#[test]
fn a_rush_that_comes_each_season_is_expected_before_it_begins() {
    for seed in SEEDS {
        let (mut seasonal, mut random) = (forecaster(HOUR), Random::new(seed));
        let mut seen = |t: f64| with_rush(t) * (1.0 + 0.02 * random.normal());
        let history: Vec<(f64, f64)> = (0..560)
            .map(|step| f64::from(step) * STEP - 2.0 * HOUR - 0.3 * HOUR)
            .map(|t| (BEGIN + t, seen(t)))
            .collect();
        seasonal.seed(&history);
        feed(&mut seasonal, 0.0..0.5 * HOUR - 30.0, &mut seen);
        assert_eq!(model(&seasonal), Model::HoltWinters, "seed {seed}");
        let (said, now) = (needed(&seasonal), with_rush(0.5 * HOUR - 30.0));
        assert!(said > now + 5.0, "seed {seed}: {said} after {now}");
        assert!(said < now + 7.5, "seed {seed}: {said} after {now}");
    }
}

#[test]
fn a_season_lived_through_is_as_good_as_one_from_history() {
    let mut lived = forecaster(HOUR);
    feed(&mut lived, 0.0..1.9 * HOUR, with_rush);
    assert_eq!(model(&lived), Model::Holt, "before two seasons");
    feed(&mut lived, 1.9 * HOUR..3.5 * HOUR - 30.0, with_rush);
    assert_eq!(model(&lived), Model::HoltWinters);
    assert!(needed(&lived) > with_rush(3.5 * HOUR - 30.0) + 5.0);
}

#[test]
fn holt_winters_is_wrong_less_than_holt_where_there_is_a_season() {
    let mut both = forecaster(HOUR);
    feed(&mut both, 0.0..6.0 * HOUR, with_rush);
    let least = |seasonal: bool| {
        let held = both.candidates.iter();
        held.filter(|held| held.seasonal == seasonal)
            .map(|held| held.error)
            .fold(f64::INFINITY, f64::min)
    };
    assert!(
        least(true) < 0.5 * least(false),
        "{} {}",
        least(true),
        least(false)
    );
}

#[test]
fn a_season_that_is_over_is_found_out() {
    let mut over = forecaster(HOUR);
    feed(&mut over, 0.0..3.0 * HOUR, with_rush);
    assert_eq!(model(&over), Model::HoltWinters);
    feed(&mut over, 3.0 * HOUR..3.6 * HOUR, |_| 4.0);
    assert_eq!(model(&over), Model::Holt);
    assert!((needed(&over) - 4.0).abs() < 0.2, "{}", needed(&over));
}

#[test]
fn growth_from_season_to_season_is_no_part_of_the_season() {
    let mut grown = forecaster(HOUR);
    feed(&mut grown, 0.0..2.0 * HOUR + STEP, |t| 4.0 + 2.0 * t / HOUR);
    let season = grown.season.as_ref().unwrap();
    for quarter in 0..4 {
        let off = season.at(BEGIN + 900.0 * f64::from(quarter) + 450.0);
        assert!(off.unwrap().abs() < 0.05, "{quarter}: {off:?}");
    }
}

#[test]
fn one_spike_is_not_expected_again_a_season_later() {
    let mut once = forecaster(HOUR);
    feed(&mut once, 0.0..4.0 * HOUR, |t| {
        let spike = (2.5 * HOUR..2.5 * HOUR + 60.0).contains(&t);
        if spike { 30.0 } else { 4.0 }
    });
    let season = once.season.as_ref().unwrap();
    assert!(season.at(BEGIN + 2.5 * HOUR + 30.0).unwrap() < 0.5);
}

#[test]
fn a_season_follows_when_its_shape_changes() {
    let mut changed = forecaster(HOUR);
    feed(&mut changed, 0.0..3.0 * HOUR, |t| {
        6.0 - 4.0 * (TAU * t / HOUR).cos()
    });
    let height = |of: &Forecaster| {
        let season = of.season.as_ref().unwrap();
        season.at(BEGIN + 0.5 * HOUR).unwrap() - season.at(BEGIN).unwrap()
    };
    let before = height(&changed);
    feed(&mut changed, 3.0 * HOUR..11.0 * HOUR, |t| {
        9.0 - 6.0 * (TAU * t / HOUR).cos()
    });
    let after = height(&changed);
    assert!((before - 8.0).abs() < 0.2, "{before}");
    assert!((after - 12.0).abs() < 0.5, "{after}");
}

#[test]
fn holes_in_the_history_are_bridged_and_too_many_are_waited_out() {
    let line = |t: f64| 6.0 - 4.0 * (TAU * t / HOUR).cos();
    let mut holed = forecaster(HOUR);
    let gone = |t: f64| (0.2 * HOUR..0.3 * HOUR).contains(&t.rem_euclid(HOUR));
    feed(&mut holed, 0.0..2.5 * HOUR, |t| {
        if gone(t) { f64::NAN } else { line(t) }
    });
    let bridged = holed.season.as_ref().unwrap().at(BEGIN + 0.25 * HOUR);
    assert!(
        (bridged.unwrap() - (line(0.25 * HOUR) - 6.0)).abs() < 0.5,
        "{bridged:?}"
    );

    let mut half = forecaster(HOUR);
    feed(&mut half, 0.0..2.5 * HOUR, |t| {
        if t < 0.5 * HOUR { f64::NAN } else { line(t) }
    });
    half.observe(BEGIN + 2.5 * HOUR, None);
    assert_eq!(half.season.as_ref().unwrap().at(BEGIN), None);
    feed(&mut half, 2.5 * HOUR..3.6 * HOUR, line);
    assert!(half.season.as_ref().unwrap().at(BEGIN).is_some());
}

#[test]
fn history_is_asked_for_as_coarse_as_it_is_kept() {
    let (span, apart) = short_term().history().unwrap();
    assert_eq!(apart, Duration::from_mins(1));
    assert!(span > Duration::from_hours(48) && span < Duration::from_hours(50));
    let fortnight = forecaster(14.0 * 24.0 * HOUR).history().unwrap();
    let points = fortnight.0.as_secs_f64() / fortnight.1.as_secs_f64();
    assert!(
        points < 11_000.0,
        "{points} are more than Prometheus answers"
    );
    assert_eq!(forecaster(60.0).history(), None, "four steps have no shape");
}

#[test]
fn history_does_not_undo_what_was_observed() {
    let mut late = short_term();
    feed(&mut late, 0.0..600.0, |_| 4.0);
    late.seed(&[(BEGIN - 60.0, 100.0), (BEGIN + 300.0, 100.0)]);
    assert!((needed(&late) - 4.0).abs() < 1e-9);
}
