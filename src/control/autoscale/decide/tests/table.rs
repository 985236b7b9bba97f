//! What the signals and the forecast ask for, with the numbers that lead to each reason.

use super::Direction::{Down, Hold, Up};
use super::bench::{Bench, first, settled, verdict};
use super::*;

fn two_signals() -> ScaleTarget {
    ScaleTarget {
        signals: vec![
            signal("cpu", 0.3, 0.5, 0.7),
            signal("requests", 0.2, 0.6, 0.8),
        ],
        ..target()
    }
}

#[test]
fn inside_the_band_nothing_changes() {
    for inside in [0.6, 1.0, 1.4] {
        let kept = (2, 2, Hold, Reason::WithinBand);
        assert_eq!(
            settled(&target(), well(2), &[load(inside)]),
            kept,
            "{inside}"
        );
    }
    let decision = Bench::new(&target()).full(&inputs(well(2), &[load(1.2)]));
    assert_eq!(decision.needed, Some(2.4));
    let expected = Recommendation {
        source: "cpu".to_owned(),
        utilisation: Some(0.6),
        replicas: 2,
        note: None,
    };
    assert_eq!(decision.recommendations, [expected]);
}

#[test]
fn above_the_band_it_grows_to_the_target() {
    let grown = first(&target(), well(2), &[load(1.41)]);
    assert_eq!(grown, (3, 3, Up, Reason::Load), "1.41 / 0.5 is 2.82");
    let exact = first(&target(), well(2), &[load(1.5)]);
    assert_eq!(exact, (3, 3, Up, Reason::Load));
    let by_steps = first(&target(), well(2), &[load(3.9)]);
    assert_eq!(by_steps, (6, 8, Up, Reason::Load), "4 more at once");
}

#[test]
fn a_quotient_is_not_rounded_up_for_what_floats_leave() {
    let tenths = ScaleTarget {
        signals: vec![signal("cpu", 0.05, 0.1, 0.12)],
        ..target()
    };
    let grown = first(&tenths, well(1), &[load(0.1 + 0.2)]);
    assert_eq!(grown, (3, 3, Up, Reason::Load), "0.30000000000000004 / 0.1");
}

#[test]
fn below_the_band_it_shrinks_to_the_target() {
    let shrunk = settled(&target(), well(4), &[load(0.6)]);
    assert_eq!(shrunk, (2, 2, Down, Reason::Load), "0.6 / 0.5 is 1.2");
    let by_steps = settled(&target(), well(9), &[load(0.6)]);
    assert_eq!(
        by_steps,
        (4, 2, Down, Reason::Load),
        "half of 9, rounded up"
    );
}

#[test]
fn a_band_that_noise_would_cross_leaves_room() {
    let narrow = ScaleTarget {
        signals: vec![signal("cpu", 0.5, 0.7, 0.7)],
        ..target()
    };
    // It grows from 4 beyond 4.4, which is 10 % more than 4.0, measured where it is 10 % less: 3.6.
    let tight = settled(&narrow, well(8), &[load(0.7 * 3.61)]);
    assert_eq!(tight, (5, 5, Down, Reason::Load));
    let roomy = settled(&narrow, well(8), &[load(0.7 * 3.59)]);
    assert_eq!(roomy, (4, 4, Down, Reason::Load));
    let wide = settled(&target(), well(8), &[load(0.5 * 4.0)]);
    assert_eq!(wide, (4, 4, Down, Reason::Load), "needs no room");
}

#[test]
fn less_than_the_tolerance_is_not_worth_a_change() {
    let near = ScaleTarget {
        signals: vec![signal("cpu", 0.66, 0.68, 0.7)],
        max: 20,
        ..target()
    };
    let kept = (10, 10, Hold, Reason::Tolerance);
    assert_eq!(first(&near, well(10), &[load(7.1)]), kept, "10.44 of 10");
    assert_eq!(settled(&near, well(10), &[load(6.5)]), kept, "9.56 of 10");
    let grown = first(&near, well(10), &[load(7.5)]);
    assert_eq!(grown, (12, 12, Up, Reason::Load), "11.03 of 10");
}

#[test]
fn one_less_would_be_too_few() {
    let kept = settled(&target(), well(2), &[load(0.55)]);
    assert_eq!(kept, (2, 2, Hold, Reason::BestFit), "0.55 / 0.5 is 1.1");
}

#[test]
fn what_is_on_its_way_counts_for_growing() {
    let pool = Pool {
        size: 4,
        ready: 2,
        warming: 2,
        failing: 0,
    };
    let waits = first(&target(), pool, &[load(1.5)]);
    assert_eq!(waits, (4, 4, Hold, Reason::Warming), "0.75, soon 0.375");
    let more = first(&target(), pool, &[load(3.0)]);
    assert_eq!(more, (6, 6, Up, Reason::Load), "soon still 0.75");
}

#[test]
fn it_does_not_shrink_while_backends_warm() {
    let pool = Pool {
        size: 4,
        ready: 3,
        warming: 1,
        failing: 0,
    };
    let kept = settled(&target(), pool, &[load(0.5)]);
    assert_eq!(kept, (4, 1, Hold, Reason::Warming));
}

#[test]
fn what_discovery_does_not_list_is_on_its_way_only_for_so_long() {
    let mut bench = Bench::new(&target());
    let listed = Pool { size: 4, ..well(2) };
    bench.decide(well(2), &[load(1.0)]);
    bench.wait(100).acted(2, 4);
    let on_its_way = bench.wait(29).decide(listed, &[load(1.5)]);
    assert_eq!(on_its_way, (4, 4, Hold, Reason::Warming));
    let lost = bench.wait(1).decide(listed, &[load(1.5)]);
    assert_eq!(lost, (5, 5, Up, Reason::Load), "3 serve, 2 do not");
}

#[test]
fn what_fails_is_replaced_where_the_rest_is_too_few() {
    let pool = Pool {
        size: 4,
        ready: 3,
        warming: 0,
        failing: 1,
    };
    let replaced = first(&target(), pool, &[load(1.8)]);
    assert_eq!(replaced, (5, 5, Up, Reason::ReplaceFailing), "3.6 and 1");
    let enough = first(&target(), pool, &[load(1.2)]);
    assert_eq!(enough, (4, 4, Hold, Reason::WithinBand), "2.4 of 3");
    let loaded = first(&target(), pool, &[load(2.4)]);
    assert_eq!(loaded, (6, 6, Up, Reason::Load), "4.8 and 1");
    let on_its_way = Pool {
        size: 5,
        warming: 1,
        ..pool
    };
    let replaced = first(&target(), on_its_way, &[load(1.8)]);
    assert_eq!(replaced, (5, 5, Hold, Reason::WithinBand));
    let four = ScaleTarget { max: 4, ..target() };
    let full = first(&four, pool, &[load(1.8)]);
    assert_eq!(full, (4, 4, Hold, Reason::AtMax));
}

#[test]
fn the_least_is_what_serves() {
    let two = ScaleTarget { min: 2, ..target() };
    let pool = Pool {
        size: 2,
        ready: 1,
        warming: 0,
        failing: 1,
    };
    let replaced = first(&two, pool, &[load(0.4)]);
    assert_eq!(replaced, (3, 3, Up, Reason::ReplaceFailing));
}

#[test]
fn a_failed_signal_forbids_only_to_shrink() {
    let (low, high) = (load(0.4), load(3.0));
    let kept = settled(&two_signals(), well(4), &[low, failed()]);
    assert_eq!(kept, (4, 1, Hold, Reason::SignalFailed));
    let grown = first(&two_signals(), well(4), &[failed(), high]);
    assert_eq!(
        grown,
        (4, 4, Hold, Reason::WithinBand),
        "0.75 of at most 0.8"
    );
    let grown = first(&two_signals(), well(4), &[failed(), load(3.3)]);
    assert_eq!(grown, (6, 6, Up, Reason::Load), "3.3 / 0.6 is 5.5");
    let short = settled(&two_signals(), well(4), &[load(0.4)]);
    assert_eq!(
        short,
        (4, 1, Hold, Reason::SignalFailed),
        "one was not read"
    );
    let decision = Bench::new(&two_signals()).full(&inputs(well(4), &[failed(), load(2.0)]));
    let [cpu, requests] = &decision.recommendations[..] else {
        panic!("{decision:?}");
    };
    assert_eq!((cpu.utilisation, cpu.replicas), (None, 4));
    assert_eq!(cpu.note.as_deref(), Some("503"));
    assert_eq!((requests.utilisation, requests.replicas), (Some(0.5), 4));
}

#[test]
fn a_load_that_is_no_number_has_failed() {
    for no_load in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        let kept = settled(&target(), well(4), &[load(no_load)]);
        assert_eq!(kept, (4, 4, Hold, Reason::AllFailed), "{no_load}");
    }
}

#[test]
fn without_any_signal_it_stays() {
    let decision = Bench::new(&two_signals()).full(&Inputs {
        forecast: Some(8.0),
        ..inputs(well(4), &[failed(), failed()])
    });
    assert_eq!(verdict(&decision), (4, 4, Hold, Reason::AllFailed));
    assert_eq!(decision.needed, None);
}

#[test]
fn a_backend_that_does_not_report_counts_for_staying() {
    let reading = |load, reporting| [Reading::Measured { load, reporting }];
    let decision = Bench::new(&target()).full(&inputs(well(4), &reading(0.4, 2)));
    let kept = (4, 4, Hold, Reason::WithinBand);
    assert_eq!(verdict(&decision), kept, "0.4 and twice 0.5 are 0.35 of 4");
    assert_eq!(decision.needed, Some(2.8));
    let [cpu] = &decision.recommendations[..] else {
        panic!("{decision:?}");
    };
    assert_eq!(cpu.utilisation, Some(0.1));
    assert_eq!(cpu.note.as_deref(), Some("2 of 4 backends do not report"));
    let hot = first(&target(), well(4), &reading(2.7, 3));
    assert_eq!(hot, (4, 4, Hold, Reason::WithinBand), "2.7 is 0.675 of 4");
    let hotter = first(&target(), well(4), &reading(2.9, 3));
    assert_eq!(hotter, (6, 6, Up, Reason::Load));
    let silent = Bench::new(&target()).full(&inputs(well(4), &reading(0.0, 0)));
    assert_eq!(verdict(&silent), (4, 4, Hold, Reason::WithinBand));
    assert_eq!(silent.needed, None);
}

#[test]
fn the_largest_recommendation_wins() {
    let grown = first(&two_signals(), well(4), &[load(3.0), load(4.0)]);
    assert_eq!(grown, (7, 7, Up, Reason::Load), "6 and 6.7");
    let kept = settled(&two_signals(), well(4), &[load(0.4), load(2.0)]);
    assert_eq!(kept, (4, 4, Hold, Reason::WithinBand));
    let shrunk = settled(&two_signals(), well(8), &[load(0.4), load(1.5)]);
    assert_eq!(shrunk, (4, 3, Down, Reason::Load), "1 and 2.5");
}

#[test]
fn a_forecast_raises() {
    let ahead = |needed| Bench::new(&target()).ahead(well(2), &[load(1.0)], needed);
    assert_eq!(ahead(2.5), (3, 3, Up, Reason::Forecast));
    let kept = (2, 2, Hold, Reason::WithinBand);
    assert_eq!(ahead(2.13), kept, "2.14 is 2 and 7 %");
    assert_eq!(ahead(2.15), (3, 3, Up, Reason::Forecast));
    assert_eq!(ahead(0.0), kept);
    assert_eq!(ahead(f64::NAN), kept);
    assert_eq!(ahead(f64::INFINITY), kept);
    let both = Bench::new(&target()).ahead(well(2), &[load(1.5)], 2.5);
    assert_eq!(both, (3, 3, Up, Reason::Load), "each asks for 3");
}

#[test]
fn a_forecast_says_how_far_the_others_may_go() {
    let settled = |needed| {
        let mut bench = Bench::new(&target());
        bench.decide(well(4), &[load(0.4)]);
        bench.wait(300).ahead(well(4), &[load(0.4)], needed)
    };
    assert_eq!(settled(0.0), (2, 1, Down, Reason::Load));
    assert_eq!(settled(2.5), (3, 3, Down, Reason::Load), "2.5 / 0.9 is 2.8");
    assert_eq!(settled(3.8), (4, 4, Hold, Reason::Forecast));
}

#[test]
fn words_are_the_same_everywhere() {
    let written = |word: serde_json::Result<serde_json::Value>| word.expect("a word");
    for (index, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index);
        assert_eq!(written(serde_json::to_value(reason)), reason.label());
    }
    for (index, direction) in Direction::ALL.iter().enumerate() {
        assert_eq!(*direction as usize, index);
        assert_eq!(written(serde_json::to_value(direction)), direction.label());
    }
}
