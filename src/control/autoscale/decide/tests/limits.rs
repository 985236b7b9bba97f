//! What bounds, windows, steps, pauses and health make of it, with the numbers.

use super::Direction::{Down, Hold, Up};
use super::bench::{Bench, first, settled, verdict};
use super::*;

#[test]
fn bounds_stop_it() {
    let most = first(&target(), well(10), &[load(9.0)]);
    assert_eq!(most, (10, 10, Hold, Reason::AtMax));
    let partly = first(&target(), well(8), &[load(9.0)]);
    assert_eq!(partly, (10, 10, Up, Reason::Load), "18 are wanted");
    let three = ScaleTarget { min: 3, ..target() };
    let least = settled(&three, well(3), &[load(0.5)]);
    assert_eq!(least, (3, 3, Hold, Reason::AtMin));
    let partly = settled(&three, well(4), &[load(0.5)]);
    assert_eq!(partly, (3, 3, Down, Reason::Load));
    let idle = settled(&target(), well(1), &[load(0.0)]);
    assert_eq!(idle, (1, 1, Hold, Reason::AtMin));
}

#[test]
fn below_the_least_it_grows_at_once() {
    let mut three = ScaleTarget { min: 3, ..target() };
    three.up.window = seconds(600);
    (three.up.percent, three.up.backends) = (0, 1);
    let mut bench = Bench::new(&three);
    bench.decide(well(3), &[load(1.5)]);
    bench.acted(3, 4);
    let restored = (3, 3, Up, Reason::BelowMin);
    assert_eq!(bench.wait(1).decide(well(1), &[load(0.5)]), restored);
    assert_eq!(bench.decide(well(1), &[failed()]), restored);
    assert_eq!(bench.decide(Pool::default(), &[load(0.0)]), restored);
    assert_eq!(
        bench.decide(well(1), &[load(3.0)]),
        (3, 6, Up, Reason::BelowMin)
    );
    let two = ScaleTarget { min: 2, ..target() };
    let more = first(&two, well(1), &[load(2.0)]);
    assert_eq!(more, (4, 4, Up, Reason::Load));
}

#[test]
fn above_the_most_it_shrinks_step_by_step_whatever_there_is() {
    let mut bench = Bench::new(&target());
    bench.decide(well(40), &[load(20.0)]);
    bench.acted(39, 40);
    let halved = (20, 10, Down, Reason::AboveMax);
    let sick = Pool {
        size: 40,
        ready: 0,
        warming: 1,
        failing: 39,
    };
    assert_eq!(
        bench.decide(well(40), &[load(20.0)]),
        (20, 10, Down, Reason::AboveMax)
    );
    assert_eq!(bench.wait(1).decide(sick, &[failed()]), halved);
    bench.acted(40, 20);
    let waits = (20, 10, Hold, Reason::StepLimit);
    assert_eq!(bench.wait(59).decide(well(20), &[load(10.0)]), waits);
    let reached = (10, 10, Down, Reason::AboveMax);
    assert_eq!(bench.wait(1).decide(well(20), &[load(10.0)]), reached);
}

#[test]
fn a_change_must_be_recommended_throughout_the_window() {
    let mut bench = Bench::new(&target());
    let waits = (4, 2, Hold, Reason::Stabilising);
    assert_eq!(bench.decide(well(4), &[load(0.6)]), waits);
    assert_eq!(bench.wait(299).decide(well(4), &[load(0.6)]), waits);
    let kept = (4, 4, Hold, Reason::WithinBand);
    assert_eq!(bench.decide(well(4), &[load(2.0)]), kept);
    assert_eq!(bench.wait(1).decide(well(4), &[load(0.6)]), waits);
    bench.wait(150).decide(well(4), &[load(1.1)]);
    assert_eq!(bench.wait(149).decide(well(4), &[load(0.6)]), waits);
    let partly = bench.wait(1).decide(well(4), &[load(0.6)]);
    assert_eq!(partly, (3, 2, Down, Reason::Load), "the largest was 3");

    let mut slow = target();
    slow.up.window = seconds(60);
    let mut bench = Bench::new(&slow);
    let waits = (2, 4, Hold, Reason::Stabilising);
    bench.decide(well(2), &[load(1.0)]);
    assert_eq!(bench.wait(15).decide(well(2), &[load(2.0)]), waits);
    assert_eq!(bench.wait(59).decide(well(2), &[load(2.0)]), waits);
    let grown = bench.wait(1).decide(well(2), &[load(3.0)]);
    assert_eq!(grown, (4, 6, Up, Reason::Load), "the smallest was 4");
}

#[test]
fn a_period_allows_so_many() {
    let mut bench = Bench::new(&ScaleTarget {
        cooldown: seconds(0),
        ..target()
    });
    bench.decide(well(2), &[load(5.0)]);
    bench.acted(2, 6);
    let waits = (6, 10, Hold, Reason::StepLimit);
    assert_eq!(bench.wait(14).decide(well(6), &[load(5.0)]), waits);
    let grown = bench.wait(1).decide(well(6), &[load(5.0)]);
    assert_eq!(grown, (10, 10, Up, Reason::Load));

    let mut bench = Bench::new(&target());
    bench.decide(well(8), &[load(0.1)]);
    bench.wait(300).acted(8, 4);
    let waits = (4, 1, Hold, Reason::StepLimit);
    assert_eq!(bench.wait(59).decide(well(4), &[load(0.1)]), waits);
    let shrunk = bench.wait(1).decide(well(4), &[load(0.1)]);
    assert_eq!(shrunk, (2, 1, Down, Reason::Load));
}

#[test]
fn after_a_change_nothing_is_done_for_a_while() {
    let slow = ScaleTarget {
        cooldown: seconds(60),
        ..target()
    };
    let mut bench = Bench::new(&slow);
    bench.decide(well(2), &[load(1.5)]);
    bench.acted(2, 3);
    let waits = (3, 5, Hold, Reason::Cooldown);
    assert_eq!(bench.wait(59).decide(well(3), &[load(2.5)]), waits);
    let grown = bench.wait(1).decide(well(3), &[load(2.5)]);
    assert_eq!(grown, (5, 5, Up, Reason::Load));

    let mut bench = Bench::new(&slow);
    bench.decide(well(5), &[load(0.1)]);
    bench.wait(300).acted(4, 5);
    let waits = (5, 1, Hold, Reason::Cooldown);
    assert_eq!(bench.wait(59).decide(well(5), &[load(0.1)]), waits);
}

#[test]
fn a_short_failure_does_not_let_the_window_begin_anew() {
    let (low, mut bench) = ([load(0.6)], Bench::new(&target()));
    bench.decide(well(4), &low);
    let held = bench.wait(299).decide(well(4), &[failed()]);
    assert_eq!(held, (4, 4, Hold, Reason::AllFailed));
    let shrunk = bench.wait(1).decide(well(4), &low);
    assert_eq!(shrunk, (2, 2, Down, Reason::Load));

    let mut bench = Bench::new(&target());
    bench.decide(well(4), &low);
    bench.wait(200).decide(well(4), &[failed()]);
    bench.wait(100).decide(well(4), &[failed()]);
    let waits = (4, 2, Hold, Reason::Stabilising);
    assert_eq!(bench.wait(15).decide(well(4), &low), waits, "it was long");
    assert_eq!(bench.wait(299).decide(well(4), &low), waits);
    assert_eq!(bench.wait(1).decide(well(4), &low), shrunk);
}

#[test]
fn after_a_long_silence_the_window_begins_anew() {
    let mut bench = Bench::new(&target());
    bench.decide(well(4), &[load(0.6)]);
    let waits = (4, 2, Hold, Reason::Stabilising);
    assert_eq!(bench.wait(1201).decide(well(4), &[load(0.6)]), waits);
    assert_eq!(bench.wait(299).decide(well(4), &[load(0.6)]), waits);
    let shrunk = bench.wait(1).decide(well(4), &[load(0.6)]);
    assert_eq!(shrunk, (2, 2, Down, Reason::Load));

    // What was recommended last may have been so until now.
    let mut bench = Bench::new(&target());
    bench.decide(well(4), &[load(4.0)]);
    bench.wait(1201).decide(well(4), &[load(0.6)]);
    let waits = (8, 2, Hold, Reason::Stabilising);
    assert_eq!(bench.decide(well(8), &[load(0.6)]), waits);
}

#[test]
fn a_pool_that_mostly_fails_does_not_shrink() {
    let most = Pool {
        size: 5,
        ready: 2,
        warming: 0,
        failing: 3,
    };
    let kept = settled(&target(), most, &[load(0.2)]);
    assert_eq!(kept, (5, 4, Hold, Reason::MostlyFailing));
    let half = Pool {
        size: 4,
        failing: 2,
        ..most
    };
    let shrunk = settled(&target(), half, &[load(0.2)]);
    assert_eq!(shrunk, (3, 3, Down, Reason::Load), "1 and 2");
}

#[test]
fn what_is_seen_of_a_failing_pool_is_no_reason_to_shrink_later() {
    let mut bench = Bench::new(&target());
    let most = Pool {
        size: 4,
        ready: 1,
        warming: 0,
        failing: 3,
    };
    bench.decide(most, &[load(0.0)]);
    bench.wait(600).decide(most, &[load(0.0)]);
    let waits = (4, 1, Hold, Reason::Stabilising);
    assert_eq!(bench.wait(15).decide(well(4), &[load(0.1)]), waits);
}

#[test]
fn without_a_ready_backend_it_stays() {
    let none = Pool {
        size: 3,
        ready: 0,
        warming: 1,
        failing: 2,
    };
    let decision = Bench::new(&target()).full(&inputs(none, &[load(5.0)]));
    assert_eq!(verdict(&decision), (3, 3, Hold, Reason::NoneReady));
    assert_eq!(decision.needed, None);
    let four = ScaleTarget { min: 4, ..target() };
    let least = first(&four, none, &[load(5.0)]);
    assert_eq!(least, (4, 4, Up, Reason::BelowMin));
}

#[test]
fn backends_that_do_not_start_are_tried_one_by_one() {
    let mut bench = Bench::new(&target());
    let busy = [load(2.5)];
    bench.decide(well(2), &busy);
    bench.acted(2, 5);
    for _ in 0..3 {
        bench.decider.start_failed(at(0));
    }
    let held = (2, 5, Hold, Reason::CrashLoop);
    assert_eq!(bench.wait(59).decide(well(2), &busy), held);
    assert_eq!(
        bench.wait(1).decide(well(2), &busy),
        (3, 5, Up, Reason::Load)
    );
    bench.acted(2, 3);
    let now = bench.now();
    bench.decider.start_failed(now);
    assert_eq!(bench.wait(119).decide(well(2), &busy), held);
    assert_eq!(
        bench.wait(1).decide(well(2), &busy),
        (3, 5, Up, Reason::Load)
    );
    bench.acted(2, 3);
    let now = bench.wait(15).now();
    bench.decider.started(now);
    assert_eq!(bench.decide(well(3), &busy), (5, 5, Up, Reason::Load));
}

#[test]
fn a_crash_loop_holds_below_the_least_too() {
    let three = ScaleTarget { min: 3, ..target() };
    let mut bench = Bench::new(&three);
    bench.decide(Pool::default(), &[load(0.0)]);
    for _ in 0..3 {
        bench.decider.start_failed(at(0));
    }
    let held = (0, 3, Hold, Reason::CrashLoop);
    assert_eq!(bench.wait(59).decide(Pool::default(), &[load(0.0)]), held);
    let tried = bench.wait(1).decide(Pool::default(), &[load(0.0)]);
    assert_eq!(tried, (1, 3, Up, Reason::BelowMin));
}

#[test]
fn a_new_configuration_keeps_the_history() {
    let mut bench = Bench::new(&target());
    bench.decide(well(4), &[load(0.6)]);
    bench.wait(290).acted(4, 4);
    bench
        .decider
        .reconfigure(&ScaleTarget { min: 2, ..target() });
    let waits = (4, 2, Hold, Reason::Stabilising);
    assert_eq!(bench.wait(9).decide(well(4), &[load(0.6)]), waits);
    let shrunk = bench.wait(1).decide(well(4), &[load(0.6)]);
    assert_eq!(shrunk, (2, 2, Down, Reason::Load));
}
