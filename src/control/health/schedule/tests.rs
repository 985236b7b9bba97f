//! The schedule in virtual time.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn pace(interval: Duration, jitter: f64, concurrency: usize) -> Pace {
    Pace {
        interval,
        jitter,
        concurrency,
    }
}

/// Runs a schedule until `end`, looking every `tick`; `takes` says how long a check of a target
/// takes. Returns the starts of every target.
fn run(
    schedule: &mut Schedule,
    targets: usize,
    tick: Duration,
    end: Moment,
    mut roll: impl FnMut() -> f64,
    takes: impl Fn(Id) -> Duration,
) -> Vec<Vec<Moment>> {
    let ids: Vec<Id> = (0..targets as Id).collect();
    schedule.add(Moment::ZERO, &ids);
    let mut starts = vec![Vec::new(); targets];
    let mut ends: BTreeSet<(Moment, Id)> = BTreeSet::new();
    let mut now = Moment::ZERO;
    while now < end {
        while let Some(&(at, id)) = ends.first()
            && at <= now
        {
            ends.pop_first();
            schedule.finish(id);
        }
        while let Some(id) = schedule.start(now, roll()) {
            starts[usize::try_from(id).unwrap()].push(now);
            ends.insert((now.after(takes(id)), id));
        }
        now = now.after(tick);
    }
    starts
}

fn gaps(starts: &[Moment]) -> impl Iterator<Item = Duration> {
    starts.windows(2).map(|pair| pair[1].since(pair[0]))
}

proptest! {
    #[test]
    fn every_target_keeps_its_pace_where_the_cap_allows(
        targets in 1_usize..40,
        interval_ms in 50_u32..5_000,
        jitter in 0.0..0.9_f64,
        tick_ms in 1_u32..10,
        stalled in 0_usize..4,
        rolls in prop::collection::vec(0.0..1.0_f64, 97),
    ) {
        let (interval, tick) = (MS * interval_ms, MS * tick_ms);
        let mut schedule = Schedule::new(pace(interval, jitter, targets));
        let mut rolls = rolls.into_iter().cycle();
        let end = Moment::ZERO.after(interval * 20);
        // A stalled target's check lasts ten intervals, everybody else's a tenth of one.
        let takes = |id: Id| if id < stalled as Id { interval * 10 } else { interval / 10 };
        let starts = run(&mut schedule, targets, tick, end, || rolls.next().unwrap(), takes);
        let shortest = interval.mul_f64(1.0 - jitter).saturating_sub(Duration::from_micros(2));
        let longest = interval.mul_f64(1.0 + jitter) + tick * 2;
        for (id, starts) in starts.iter().enumerate() {
            let first = starts[0].since(Moment::ZERO);
            prop_assert!(first <= interval.min(FIRST) + tick, "{id}: first after {first:?}");
            for gap in gaps(starts) {
                prop_assert!(gap >= shortest, "{id}: {gap:?} is more often than {shortest:?}");
                if id >= stalled && takes(id as Id) < shortest {
                    prop_assert!(gap <= longest, "{id}: {gap:?} is later than {longest:?}");
                }
            }
        }
    }

    #[test]
    fn the_cap_holds_and_everybody_gets_a_turn(
        targets in 2_usize..30,
        cap in 1_usize..6,
        removed in 0_u64..30,
    ) {
        let mut schedule = Schedule::new(pace(MS * 100, 0.1, cap));
        let ids: Vec<Id> = (0..targets as Id).collect();
        schedule.add(Moment::ZERO, &ids);
        let (mut now, mut running, mut seen) = (Moment::ZERO, Vec::new(), HashSet::new());
        for step in 0..targets * 20 {
            now = now.after(MS * 50);
            if step == targets {
                schedule.remove(removed);
            }
            while let Some(id) = schedule.start(now, 0.5) {
                prop_assert!(step < targets || id != removed, "a removed target is not checked");
                running.push(id);
                seen.insert(id);
            }
            prop_assert!(running.len() <= cap);
            if running.len() == cap {
                prop_assert_eq!(schedule.wake(), None);
            }
            if !running.is_empty() {
                schedule.finish(running.remove(0));
            }
        }
        prop_assert!(seen.len() >= targets - 1);
    }
}

#[test]
fn what_waits_for_the_cap_goes_in_the_order_in_which_it_was_due() {
    let mut schedule = Schedule::new(pace(MS * 900, 0.0, 1));
    schedule.add(Moment::ZERO, &[7, 3, 5]);
    let late = Moment::ZERO.after(MS * 800);
    let mut order = Vec::new();
    while let Some(id) = schedule.start(late, 0.5) {
        assert_eq!(schedule.start(late, 0.5), None, "one at a time");
        order.push(id);
        schedule.finish(id);
    }
    assert_eq!(order, [7, 3, 5]);
    assert_eq!(
        schedule.wake(),
        Some(late.after(MS * 900)),
        "from its start"
    );
}

#[test]
fn wakes_are_few_and_never_early_or_much_too_late() {
    let mut schedule = Schedule::new(pace(MS * 5_000, 0.1, 1_000));
    let ids: Vec<Id> = (0..1_000).collect();
    schedule.add(Moment::ZERO, &ids);
    let (mut wakes, mut starts) = (0, 0);
    while let Some(wake) = schedule.wake()
        && starts < 1_000
    {
        let due = schedule.queue.first().unwrap().0;
        assert!(wake >= due && wake.since(due) < MS * 25);
        wakes += 1;
        while schedule.start(wake, 0.5).is_some() {
            starts += 1;
        }
    }
    assert!((40..=41).contains(&wakes), "{wakes}");
    let quick = pace(MS * 100, 0.1, 1);
    let due = Moment::from_micros(20_001);
    assert_eq!(quick.on_grid(due), Moment::from_micros(25_000));
    let least = pace(Duration::from_micros(1), 0.0, 1);
    assert_eq!(least.on_grid(due), due);
}

#[test]
fn a_thousand_new_targets_are_spread_over_a_second() {
    let mut schedule = Schedule::new(pace(MS * 5_000, 0.1, 1_000));
    let ids: Vec<Id> = (0..1_000).collect();
    schedule.add(Moment::ZERO, &ids);
    let mut started = 0;
    for step in 1..=10 {
        let now = Moment::ZERO.after(MS * 100 * step);
        while schedule.start(now, 0.5).is_some() {
            started += 1;
        }
        assert!(
            (100 * step..=100 * step + 1).contains(&started),
            "{started}"
        );
    }
}

#[test]
fn another_pace_checks_all_at_once() {
    let mut schedule = Schedule::new(pace(MS * 3_600_000, 0.0, 10));
    schedule.add(Moment::ZERO, &[1, 2]);
    let now = Moment::ZERO.after(MS * 1_000);
    for id in [1, 2] {
        assert_eq!(schedule.start(now, 0.5), Some(id));
        schedule.finish(id);
    }
    schedule.set_pace(now, pace(MS * 3_600_000, 0.0, 10));
    assert_eq!(schedule.start(now, 0.5), None, "the same pace");
    schedule.set_pace(now, pace(MS * 10, 0.0, 10));
    assert_eq!(schedule.start(now, 0.5), Some(1));
    assert_eq!(schedule.wake(), Some(now.after(MS * 5)));
    schedule.set_pace(now, pace(MS * 20, 0.0, 10));
    assert_eq!(schedule.start(now, 0.5), Some(2));
    assert_eq!(schedule.start(now, 0.5), None, "it is being checked");
    schedule.finish(1);
    assert_eq!(
        schedule.start(now, 0.5),
        Some(1),
        "and again when it is not"
    );
}

#[test]
fn a_target_removed_during_its_check_does_not_come_back() {
    let mut schedule = Schedule::new(pace(MS * 10, 0.0, 1));
    schedule.add(Moment::ZERO, &[1, 2]);
    assert_eq!(schedule.start(Moment::ZERO, 0.5), Some(1));
    schedule.remove(1);
    let later = Moment::ZERO.after(MS * 10);
    assert_eq!(schedule.start(later, 0.5), None, "it still counts");
    schedule.finish(1);
    schedule.finish(1);
    assert_eq!(schedule.start(later, 0.5), Some(2));
    schedule.finish(2);
    assert_eq!(schedule.start(later.after(MS * 100), 0.5), Some(2));
}
