use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

/// Counts with these many in the buckets from the first on, one of them failed.
fn counts(times: &[u64]) -> Counts {
    let mut counts = Counts {
        requests: times.iter().sum(),
        errors: times.iter().sum::<u64>().min(1),
        ..Counts::default()
    };
    counts.times[..times.len()].copy_from_slice(times);
    counts
}

/// One reading a second of one backend.
fn read(readings: &mut Readings, second: u64, counts: &Counts) {
    readings.begin(Moment::ZERO.after(SECOND * u32::try_from(second).unwrap()));
    let number = readings.number;
    readings.backends.add("web", "a", number, counts);
    readings.end();
}

fn present(readings: &Readings) -> Pace {
    let tracks = readings.backends.0["web"].values();
    pace(&sum(tracks), readings.seconds())
}

#[test]
fn one_reading_says_nothing_yet() {
    let mut readings = Readings::default();
    read(&mut readings, 0, &counts(&[100]));
    assert_eq!(present(&readings), Pace::default());
    read(&mut readings, 1, &counts(&[100]));
    assert_eq!(present(&readings), Pace::default());
}

#[test]
fn a_pace_is_that_of_the_window() {
    let mut readings = Readings::default();
    for second in 0..30 {
        read(&mut readings, second, &counts(&[second * 20]));
    }
    let steady = present(&readings);
    assert!((steady.requests - 20.0).abs() < 1e-9, "{steady:?}");
    assert!(steady.errors < 1e-9, "the failed one was long ago");
    assert!((steady.p50.unwrap() - 0.0005).abs() < 1e-9);
    for second in 30..35 {
        read(&mut readings, second, &counts(&[29 * 20]));
    }
    assert!((present(&readings).requests - 10.0).abs() < 1e-9);
    for second in 35..40 {
        read(&mut readings, second, &counts(&[29 * 20]));
    }
    assert_eq!(present(&readings), Pace::default());
    assert!(readings.backends.0["web"]["a"].added.is_empty());
    assert_eq!(readings.taken.len(), WINDOW + 1);
}

#[test]
fn late_readings_count_by_the_time_they_cover() {
    let mut readings = Readings::default();
    for (second, total) in [(0, 0), (1, 10), (5, 50)] {
        read(&mut readings, second, &counts(&[total]));
    }
    assert!((present(&readings).requests - 10.0).abs() < 1e-9);
}

#[test]
fn who_is_gone_is_forgotten_and_who_begins_anew_is_not_negative() {
    let mut readings = Readings::default();
    read(&mut readings, 0, &counts(&[1000]));
    read(&mut readings, 1, &counts(&[7]));
    assert!((present(&readings).requests - 7.0).abs() < 1e-9);
    readings.begin(Moment::ZERO.after(SECOND * 2));
    readings.end();
    assert!(readings.backends.0.is_empty());
}

#[test]
fn quantiles_are_interpolated_within_their_bucket() {
    let mut times = [0; BUCKETS];
    assert_eq!(quantile(&times, 0.5), None);
    // Ten between 2.5 and 5 ms, ten between 5 and 10 ms.
    (times[2], times[3]) = (10, 10);
    let near = |share, expected: f64| {
        let found = quantile(&times, share).unwrap();
        assert!((found - expected).abs() < 1e-9, "{share}: {found}");
    };
    near(0.25, 0.003_75);
    near(0.5, 0.005);
    near(0.75, 0.007_5);
    near(1.0, 0.010);
    times = [0; BUCKETS];
    times[BUCKETS - 1] = 3;
    assert_eq!(quantile(&times, 0.5), Some(10.0), "there is no bound above");
}

proptest! {
    /// They lie in the bucket of the observation of that rank, and grow with the share.
    #[test]
    fn quantiles_are_in_order_and_in_the_right_bucket(
        times in prop::collection::vec(0_u64..50, BUCKETS),
        share in 0.01_f64..1.0,
    ) {
        let times: [u64; BUCKETS] = times.try_into().unwrap();
        let total: u64 = times.iter().sum();
        prop_assume!(total > 0);
        let found = quantile(&times, share).unwrap();
        prop_assert!(found <= quantile(&times, 1.0).unwrap() + 1e-12);
        let rank = share * total as f64;
        let mut below = 0;
        let bucket = times.iter().position(|&count| {
            below += count;
            count > 0 && below as f64 >= rank
        }).unwrap();
        let seconds = |bound: u64| bound as f64 / 1e6;
        let lower = bucket.checked_sub(1).map_or(0.0, |below| seconds(LATENCY_BOUNDS[below]));
        let upper = LATENCY_BOUNDS.get(bucket).map_or(lower, |&bound| seconds(bound));
        prop_assert!((lower..=upper + 1e-12).contains(&found), "{} in {}..{}", found, lower, upper);
    }
}

#[test]
fn what_is_recent_is_whole_and_of_the_present() {
    let traffic = Traffic::default();
    let at = |second| Moment::ZERO.after(SECOND * second);
    for second in 0..=10_u32 {
        assert_eq!(traffic.recent("web", at(second)), None, "{second}");
        let mut readings = traffic.readings();
        readings.begin(at(second));
        let number = readings.number;
        let level = Level {
            in_flight: f64::from(second),
            waiting: 1.0,
        };
        readings.level("web", level);
        let counts = counts(&[u64::from(second) * 20]);
        readings.backends.add("web", "a", number, &counts);
        readings.end();
    }
    let (pace, level) = traffic.recent("web", at(10)).expect("eleven readings");
    assert_eq!(pace, traffic.upstream("web").0);
    assert!((pace.requests - 20.0).abs() < 1e-9, "{pace:?}");
    let expected = Level {
        in_flight: 5.0,
        waiting: 1.0,
    };
    assert_eq!(level, expected);
    assert!(traffic.recent("web", at(15)).is_some());
    assert_eq!(traffic.recent("web", at(16)), None, "nobody reads any more");
    assert_eq!(traffic.recent("api", at(10)), None);
    let mut readings = traffic.readings();
    readings.begin(at(11));
    readings.end();
    assert!(readings.levels.is_empty(), "the upstream is gone");
}
