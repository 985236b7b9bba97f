//! How backends are taken out and come back, step by step in virtual time.

use std::time::Duration;

use http::StatusCode;

use super::fixture::{
    NOW, ask, build, context, facts, foreseen, primaries, refuse, settings, signer, tcp_check,
};
use crate::clock::Moment;
use crate::config::{self, Algorithm, Passive, Percent};
use crate::state::State::{Down, Up};
use crate::state::{Reason, State};
use crate::upstream::{
    CheckFailure, Failure, Mode, Overseer, PickReason, Selection, Tried, Unavailable, Upstream,
};

const FAILURE: Failure = Failure::Status(StatusCode::INTERNAL_SERVER_ERROR);

fn at(seconds: f64) -> Moment {
    NOW.after(Duration::from_secs_f64(seconds))
}

fn watched() -> config::Upstream {
    let mut settings = settings(Algorithm::RoundRobin);
    settings.panic_threshold = Percent::HALF;
    settings.health.passive = Some(Passive::default());
    settings.health.outlier = Some(config::Outlier::default());
    settings
}

fn checked() -> config::Upstream {
    let mut settings = watched();
    settings.health.active = Some(tcp_check());
    settings
}

fn select(upstream: &Upstream, now: Moment, random: u64) -> Result<Selection, Unavailable> {
    let (facts, tried) = (facts(1), Tried::new());
    let mut ask = ask(&facts, &tried, random.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    ask.now = now;
    foreseen(upstream, &ask)
}

/// One request after the other; `good` says how the members do.
fn serve(
    upstream: &Upstream,
    now: Moment,
    requests: u64,
    good: impl Fn(usize) -> bool,
) -> Vec<u32> {
    let mut counts = vec![0; upstream.members().len()];
    for random in 0..requests {
        let selection = select(upstream, now, random).unwrap();
        counts[selection.member()] += 1;
        if good(selection.member()) {
            upstream.answered(&selection, now, Duration::from_millis(5));
            upstream.completed(&selection, now);
        } else {
            upstream.failed(&selection, now, FAILURE);
        }
    }
    counts
}

fn state(upstream: &Upstream, member: usize, now: Moment) -> (State, Reason) {
    let status = upstream.status(member, now).unwrap();
    (status.state, status.reason)
}

#[test]
fn failures_in_a_row_eject_and_good_answers_bring_back() {
    let upstream = build(&watched(), &primaries(&[1, 1, 1]));
    let counts = serve(&upstream, NOW, 300, |member| member != 1);
    assert_eq!(counts[1], 5, "{counts:?}");
    let ejected = (State::Ejected, Reason::ConsecutiveFailures);
    assert_eq!(state(&upstream, 1, NOW), ejected);
    assert_eq!(upstream.status(1, NOW).unwrap().until, Some(at(30.0)));
    assert_eq!(serve(&upstream, at(29.9), 300, |_| true)[1], 0);

    let half_open = (State::HalfOpen, Reason::ConsecutiveFailures);
    assert_eq!(state(&upstream, 1, at(30.0)), half_open);
    for probe in 0..3 {
        let first = select(&upstream, at(30.0), probe).unwrap();
        assert_eq!((first.member(), first.reason()), (1, PickReason::Probe));
        let beside = select(&upstream, at(30.0), probe).unwrap();
        assert_ne!(beside.member(), 1, "one probe at a time");
        upstream.answered(&first, at(30.0), Duration::from_millis(5));
        upstream.completed(&first, at(30.0));
    }
    assert_eq!(state(&upstream, 1, at(30.0)), (State::Up, Reason::Healthy));
    assert_eq!(serve(&upstream, at(30.0), 300, |_| true)[1], 100);
}

#[test]
fn a_probe_that_fails_ejects_for_longer() {
    let upstream = build(&watched(), &primaries(&[1, 1, 1]));
    serve(&upstream, NOW, 100, |member| member != 1);
    let mut now = 0.0;
    for (round, held) in [(1, 30.0), (2, 60.0), (3, 90.0)] {
        let status = upstream.status(1, at(now)).unwrap();
        assert_eq!(
            (status.ejections, status.until),
            (round, Some(at(now + held)))
        );
        now += held;
        let counts = serve(&upstream, at(now), 50, |member| member != 1);
        assert_eq!(counts[1], 1, "one request is what it costs");
    }
}

#[test]
fn who_finds_a_probe_under_way_was_not_sent_there() {
    let mut settings = watched();
    settings.panic_threshold = Percent::NONE;
    let upstream = build(&settings, &primaries(&[1, 1]));
    serve(&upstream, NOW, 100, |member| member != 1);
    upstream.set_mode(0, NOW, Mode::Maintenance);
    let probe = select(&upstream, at(30.0), 0).unwrap();
    assert_eq!((probe.member(), probe.reason()), (1, PickReason::Probe));
    let refused = select(&upstream, at(31.0), 1).map(|one| one.member());
    assert_eq!(refused, Err(Unavailable::NoBackend));
    assert_eq!(probe.endpoint().picked_at(), at(30.0));
}

#[test]
fn a_share_of_failures_ejects() {
    let upstream = build(&watched(), &primaries(&[1, 1, 1]));
    let mut failed = 0;
    for random in 0..300 {
        let selection = select(&upstream, NOW, random).unwrap();
        if selection.member() == 1 && random % 2 == 0 {
            failed += 1;
            upstream.failed(&selection, NOW, FAILURE);
        } else {
            upstream.answered(&selection, NOW, Duration::from_millis(5));
            upstream.completed(&selection, NOW);
        }
    }
    let ejected = (State::Ejected, Reason::FailureRatio);
    assert_eq!(state(&upstream, 1, NOW), ejected);
    assert!(failed <= 11, "{failed}");
}

#[test]
fn an_answer_that_breaks_off_is_a_failure() {
    let upstream = build(&watched(), &primaries(&[1, 1]));
    for random in 0..10 {
        let selection = select(&upstream, NOW, random).unwrap();
        upstream.answered(&selection, NOW, Duration::from_millis(5));
        if selection.member() == 1 {
            upstream.failed(&selection, NOW, Failure::Reset);
        } else {
            upstream.completed(&selection, NOW);
        }
    }
    assert_eq!(state(&upstream, 1, NOW).0, State::Ejected);
}

#[test]
fn no_more_are_ejected_than_may_be_but_one_always() {
    for (backends, share, most) in [(1, 100.0, 0), (2, 10.0, 1), (3, 50.0, 1), (10, 50.0, 5)] {
        let mut settings = watched();
        settings.health.ejection.max_ejected = Percent::from_hundredths(share).unwrap();
        let upstream = build(&settings, &primaries(&vec![1; backends]));
        serve(&upstream, NOW, 1_000, |_| false);
        let ejected =
            (0..backends).filter(|&member| state(&upstream, member, NOW).0 == State::Ejected);
        assert_eq!(ejected.count(), most, "{backends} backends, {share} %");
    }
}

#[test]
fn an_ejected_backend_that_leaves_makes_room_for_another() {
    let settings = watched();
    let before = build(&settings, &primaries(&[1, 1, 1]));
    serve(&before, NOW, 100, |member| member != 0);
    assert_eq!(state(&before, 0, NOW).0, State::Ejected);
    let after = Upstream::build(
        &settings,
        &primaries(&[1, 1, 1])[1..],
        &context(&[], &signer(), 0),
        Some(&before),
    );
    drop(before);
    serve(&after, NOW, 100, |member| member != 0);
    assert_eq!(state(&after, 0, NOW).0, State::Ejected);
}

#[test]
fn a_backend_that_comes_back_gets_its_share_bit_by_bit() {
    let mut settings = watched();
    settings.slow_start = Duration::from_secs(10);
    let upstream = build(&settings, &primaries(&[1, 1]));
    refuse(&upstream, 1, NOW);
    assert_eq!(
        state(&upstream, 1, NOW),
        (State::Down, Reason::ConnectFailed)
    );
    let knock = upstream.knock(1, at(1.0)).unwrap();
    upstream.knocked(&knock, at(1.0), true);
    assert_eq!(
        state(&upstream, 1, at(1.0)),
        (State::Warming, Reason::SlowStart)
    );
    let mut before = 0;
    // With weights of 1 and a quarter, one in five requests is a fair share.
    for (seconds, least, most) in [
        (1.0, 5, 80),
        (3.5, 340, 460),
        (6.0, 600, 740),
        (11.0, 1_000, 1_000),
    ] {
        let share = serve(&upstream, at(seconds), 2_000, |_| true)[1];
        assert!(
            (least..=most).contains(&share),
            "{share} of 2000 at {seconds} s"
        );
        assert!(share > before);
        before = share;
    }
    assert_eq!(state(&upstream, 1, at(11.0)), (State::Up, Reason::Healthy));
}

#[test]
fn no_request_tries_a_backend_that_the_control_plane_knocks_at() {
    let upstream = build(&watched(), &primaries(&[1, 1]));
    refuse(&upstream, 1, NOW);
    assert!(upstream.knock(0, at(1.0)).is_none(), "it is up");
    assert!(upstream.knock(1, at(0.9)).is_none(), "its pause goes on");
    let mut now = at(1.0);
    for pause in [2, 4, 8, 16, 30, 30] {
        let knock = upstream.knock(1, now).unwrap();
        assert!(upstream.knock(1, now).is_none(), "one at a time");
        // It takes as long as the connect timeout to notice.
        for tenths in 0..50 {
            now = now.after(Duration::from_millis(100));
            assert_eq!(select(&upstream, now, tenths).unwrap().member(), 0);
        }
        upstream.knocked(&knock, now, false);
        assert_eq!(state(&upstream, 1, now).0, State::Down);
        assert!(upstream.knock(1, now).is_none());
        now = now.after(Duration::from_secs(pause));
    }
    let knock = upstream.knock(1, now).unwrap();
    upstream.knocked(&knock, now, true);
    assert_eq!(state(&upstream, 1, now).0, State::Up);
}

#[test]
fn a_request_tries_a_backend_that_nobody_knocks_at() {
    let upstream = build(&watched(), &primaries(&[1, 1]));
    refuse(&upstream, 1, NOW);
    drop(upstream.knock(1, at(1.0)));
    for random in 0..50 {
        assert_eq!(select(&upstream, at(1.2), random).unwrap().member(), 0);
    }
    let probe = select(&upstream, at(1.25), 1).unwrap();
    assert_eq!((probe.member(), probe.reason()), (1, PickReason::Probe));
    upstream.connected(&probe, at(1.25));
    assert_eq!(state(&upstream, 1, at(1.25)).0, State::Up);
}

#[test]
fn refused_connections_are_facts_even_in_a_panic() {
    let upstream = build(&watched(), &primaries(&[1, 1]));
    refuse(&upstream, 0, NOW);
    refuse(&upstream, 1, NOW);
    assert_eq!(
        select(&upstream, at(0.2), 1).unwrap_err(),
        Unavailable::NoBackend
    );
    let selections: Vec<_> = (0..3)
        .map(|random| select(&upstream, at(0.3), random))
        .collect();
    let tried = selections.iter().filter(|one| one.is_ok()).count();
    assert_eq!(tried, 2, "one request for each backend");
}

#[test]
fn with_checks_no_request_tries_a_backend_that_refuses() {
    let upstream = build(&checked(), &primaries(&[1, 1]));
    for member in 0..2 {
        upstream.record_check(member, NOW, Ok(()));
        upstream.record_check(member, NOW, Err(CheckFailure::Refused));
        assert_eq!(state(&upstream, member, NOW).0, State::Down);
    }
    assert_eq!(
        select(&upstream, at(100.0), 1).unwrap_err(),
        Unavailable::NoBackend
    );
    upstream.record_check(0, at(100.0), Ok(()));
    assert_eq!(state(&upstream, 0, at(100.0)).0, State::Down);
    upstream.record_check(0, at(101.0), Ok(()));
    assert_eq!(state(&upstream, 0, at(101.0)).0, State::Up);
    assert_eq!(select(&upstream, at(101.0), 1).unwrap().member(), 0);
}

#[test]
fn checks_count_in_a_row() {
    let upstream = build(&checked(), &primaries(&[1, 1]));
    let fail = || Err(CheckFailure::Failed("HTTP 500".into()));
    let states = |results: &[bool]| -> Vec<State> {
        let record = |&good: &bool| {
            upstream.record_check(0, NOW, if good { Ok(()) } else { fail() });
            state(&upstream, 0, NOW).0
        };
        results.iter().map(record).collect()
    };
    assert_eq!(state(&upstream, 0, NOW), (State::Down, Reason::NotChecked));
    assert_eq!(
        states(&[false, true]),
        [Down, Up],
        "the first that passes suffices"
    );
    assert_eq!(states(&[false, false, true]), [Up, Up, Up]);
    assert_eq!(states(&[false, false, false]), [Up, Up, Down]);
    assert_eq!(states(&[true, false, true, true]), [Down, Down, Down, Up]);
}

#[test]
fn an_unchecked_newcomer_causes_no_panic_and_gets_nothing() {
    let mut settings = checked();
    let before = build(&settings, &primaries(&[1]));
    before.record_check(0, NOW, Ok(()));
    settings.slow_start = Duration::ZERO;
    let after = Upstream::build(
        &settings,
        &primaries(&[1, 1, 1, 1]),
        &context(&[], &signer(), 0),
        Some(&before),
    );
    assert_eq!(serve(&after, NOW, 100, |_| true), [100, 0, 0, 0]);
    after.record_check(2, NOW, Ok(()));
    assert_eq!(serve(&after, NOW, 100, |_| true), [50, 0, 50, 0]);
}

#[test]
fn before_the_first_check_requests_are_served_all_the_same() {
    let upstream = build(&checked(), &primaries(&[1, 1]));
    assert_eq!(
        select(&upstream, NOW, 1).unwrap().reason(),
        PickReason::Panic
    );
    let mut strict = checked();
    strict.panic_threshold = Percent::NONE;
    let upstream = build(&strict, &primaries(&[1, 1]));
    assert_eq!(
        select(&upstream, NOW, 1).unwrap_err(),
        Unavailable::NoBackend
    );
}

#[test]
fn draining_and_maintenance_hold_from_the_next_selection_on_even_in_a_panic() {
    let upstream = build(&watched(), &primaries(&[1, 1, 1]));
    let until = at(60.0);
    upstream.set_mode(0, NOW, Mode::Draining { until });
    upstream.set_mode(1, NOW, Mode::Maintenance);
    assert_eq!(
        state(&upstream, 0, NOW),
        (State::Draining, Reason::Operator)
    );
    assert_eq!(
        state(&upstream, 1, NOW),
        (State::Maintenance, Reason::Operator)
    );
    assert_eq!(serve(&upstream, NOW, 30, |_| true), [0, 0, 30]);
    upstream.set_mode(2, NOW, Mode::Maintenance);
    assert_eq!(
        select(&upstream, NOW, 1).unwrap_err(),
        Unavailable::NoBackend
    );
    upstream.set_mode(0, NOW, Mode::Active);
    assert_eq!(serve(&upstream, NOW, 30, |_| true), [30, 0, 0]);
}

#[test]
fn a_backend_leaves_the_moment_its_heartbeat_is_overdue() {
    let upstream = build(&watched(), &primaries(&[1, 1]));
    upstream.renew(1, NOW, Duration::from_secs(5));
    assert_eq!(serve(&upstream, at(4.999), 100, |_| true), [50, 50]);
    assert_eq!(serve(&upstream, at(5.0), 100, |_| true), [100, 0]);
    assert_eq!(
        state(&upstream, 1, at(5.0)),
        (State::Expired, Reason::TtlExpired)
    );
    upstream.renew(1, at(6.0), Duration::from_secs(5));
    assert_eq!(serve(&upstream, at(6.0), 100, |_| true), [50, 50]);
}

/// Three backends at 5 ms, 250 requests/s; member 1 takes `slow` in seconds 10 to 30.
fn gray_failure(slow: Duration) -> (Vec<[u32; 3]>, Upstream) {
    let upstream = build(&watched(), &primaries(&[1, 1, 1]));
    let mut overseer = Overseer::default();
    let mut seconds = Vec::new();
    for second in 0..45_u32 {
        let mut counts = [0; 3];
        for request in 0..250_u32 {
            let now = at(f64::from(second) + f64::from(request) / 250.0);
            let random = u64::from(second) * 1_000 + u64::from(request);
            let selection = select(&upstream, now, random).unwrap();
            counts[selection.member()] += 1;
            let ill = selection.member() == 1 && (10..30).contains(&second);
            let took = if ill { slow } else { Duration::from_millis(5) };
            upstream.answered(&selection, now.after(took), took);
            upstream.completed(&selection, now.after(took));
            overseer.tick(&upstream, now);
        }
        seconds.push(counts);
    }
    (seconds, upstream)
}

#[test]
fn a_slow_backend_is_cut_then_ejected_and_returns_by_itself() {
    let (seconds, upstream) = gray_failure(Duration::from_millis(100));
    let share = |from: usize, to: usize| {
        let slow: u32 = seconds[from..to].iter().map(|counts| counts[1]).sum();
        f64::from(slow) / (250.0 * (to - from) as f64)
    };
    assert!(share(15, 16) < 0.05, "{seconds:?}");
    assert!(share(20, 30) < 0.01, "{seconds:?}");
    assert!(share(35, 40) > 0.2, "{seconds:?}");
    assert_eq!(state(&upstream, 1, at(45.0)).0, State::Up);
}

#[test]
fn a_backend_that_is_a_little_slower_keeps_its_share() {
    let (seconds, _) = gray_failure(Duration::from_millis(7));
    assert!(seconds.iter().all(|counts| counts[1] > 80), "{seconds:?}");
}

#[test]
fn evenly_spaced_requests_pass_no_idle_backend_over() {
    let upstream = build(
        &settings(Algorithm::LeastConnections),
        &primaries(&[1, 1, 1]),
    );
    let mut counts = [0; 3];
    let mut busy = None;
    for request in 0..300_u32 {
        let now = at(f64::from(request) * 0.004);
        // Each answer takes a little longer than the next request does to come.
        let selection = select(&upstream, now, u64::from(request)).unwrap();
        counts[selection.member()] += 1;
        busy = Some(selection);
    }
    drop(busy);
    assert_eq!(counts, [100, 100, 100]);
}
