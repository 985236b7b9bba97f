//! An explanation foresees the pick, names what keeps the others out, and costs nothing.

use std::time::Duration;

use proptest::prelude::*;

use super::fixture::{
    NOW, UNIX_NOW, ask, backend, build, context, facts, fail_checks, foreseen, nth, primaries,
    refuse, settings, signer, tcp_check, upstream,
};
use crate::config::{self, Algorithm, Percent, SecureCookie, Sticky};
use crate::upstream::breaker::Trip;
use crate::upstream::endpoint::Slot;
use crate::upstream::{
    Binding, Exclusion, Measure, Mode, PickReason, Resolved, Source, Tried, Unavailable, Upstream,
};

const CAP: u32 = 3;

/// What is made of a backend before it is asked about.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    Measured(u64),
    Tried,
    Failing,
    Refused,
    Ejected,
    Draining,
    Maintenance,
    Expired,
    Cut(u32),
    Warming,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Well),
        3 => (1_u64..50_000).prop_map(Fate::Measured),
        1 => Just(Fate::Tried),
        1 => Just(Fate::Failing),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Ejected),
        1 => Just(Fate::Draining),
        1 => Just(Fate::Maintenance),
        1 => Just(Fate::Expired),
        1 => (0_u32..60_000).prop_map(Fate::Cut),
        1 => Just(Fate::Warming),
    ]
}

fn rules(algorithm: Algorithm, threshold: f64, checked: bool) -> config::Upstream {
    let mut settings = settings(algorithm);
    settings.max_in_flight_per_backend = CAP;
    settings.panic_threshold = Percent::from_hundredths(threshold).unwrap();
    settings.slow_start = Duration::from_secs(10);
    settings.queue.size = 1;
    settings.sticky = Some(Sticky {
        cookie: "EVENKEEL".into(),
        ttl: Duration::from_mins(1),
        secure: SecureCookie::Never,
    });
    settings.health.active = checked.then(tcp_check);
    settings.health.initially_up = true;
    settings
}

fn befall(upstream: &Upstream, index: usize, fate: Fate, tried: &mut Tried) {
    let endpoint = &upstream.members()[index].endpoint;
    match fate {
        Fate::Well => {}
        Fate::Measured(micros) => endpoint
            .latency
            .record(NOW, Duration::from_micros(micros), None),
        Fate::Tried => tried.insert(index),
        Fate::Failing => fail_checks(upstream, index),
        Fate::Refused => refuse(upstream, index, NOW),
        Fate::Ejected => {
            upstream.eject(endpoint, NOW, Trip::Consecutive, None);
        }
        Fate::Draining => {
            let until = NOW.after(Duration::from_secs(5));
            upstream.set_mode(index, NOW, Mode::Draining { until });
        }
        Fate::Maintenance => upstream.set_mode(index, NOW, Mode::Maintenance),
        Fate::Expired => upstream.renew(index, NOW, Duration::ZERO),
        Fate::Cut(share) => {
            endpoint.gate.set_cut(share);
            upstream.changed(endpoint, NOW, None);
        }
        Fate::Warming => {
            endpoint.warm_up(NOW, &upstream.rules);
            upstream.changed(endpoint, NOW, None);
        }
    }
}

fn hold(upstream: &Upstream, index: usize, count: u32) -> Vec<Slot> {
    let endpoint = &upstream.members()[index].endpoint;
    (0..count).filter_map(|_| endpoint.take_slot(CAP)).collect()
}

/// The cookie that names a member.
fn cookie(upstream: &Upstream, member: usize) -> Option<String> {
    let stickiness = upstream.sticky.as_ref()?;
    let set = stickiness.set_cookie(member, None, UNIX_NOW, false)?;
    let value = set.strip_prefix("EVENKEEL=")?.split(';').next()?;
    Some(value.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the algorithm, and whatever has befallen the backends.
    #[test]
    fn what_is_foreseen_is_picked(
        mut backends in prop::collection::vec(
            (1_u32..6, prop::bool::weighted(0.25), fate(), 0..=CAP),
            0..Tried::CAPACITY,
        ),
        threshold in prop::sample::select(vec![0.0, 50.0, 100.0]),
        checked: bool,
        turns in 0_u32..300,
        later in 0_u64..40_000,
        bound in prop::option::weighted(0.3, 0_usize..12),
        waits in prop::bool::weighted(0.05),
        random: u64,
        client: u32,
    ) {
        backends.sort_by_key(|one| one.1);
        let resolved: Vec<Resolved> = (0..)
            .zip(&backends)
            .map(|(index, &(weight, backup, ..))| backend(index, weight, backup))
            .collect();
        for &algorithm in Algorithm::ALL {
            let upstream = build(&rules(algorithm, threshold, checked), &resolved);
            for n in 0..turns {
                drop(nth(&upstream, n));
            }
            let mut tried = Tried::new();
            let mut held = Vec::new();
            for (index, &(.., fate, in_flight)) in backends.iter().enumerate() {
                held.extend(hold(&upstream, index, in_flight));
                befall(&upstream, index, fate, &mut tried);
            }
            let ticket = waits.then(|| upstream.queue().enter(&tried).unwrap());
            let cookie = bound.and_then(|member| cookie(&upstream, member));
            let facts = facts(client);
            let mut ask = ask(&facts, &tried, random);
            ask.now = NOW.after(Duration::from_millis(later));
            ask.sticky = cookie.as_deref();
            let free = upstream.in_flight();
            let told = || format!("{:?}", upstream.explain(&ask, usize::MAX));
            prop_assert_eq!(told(), told());
            for round in 0..4_u64 {
                ask.random = random.wrapping_add(round);
                drop(foreseen(&upstream, &ask));
            }
            prop_assert_eq!(upstream.in_flight(), free);
            drop(ticket);
        }
    }
}

/// The one exclusion of each backend.
fn exclusions(upstream: &Upstream, tried: &Tried) -> Vec<Option<Exclusion>> {
    let facts = facts(1);
    let mut ask = ask(&facts, tried, 1);
    ask.now = NOW.after(Duration::from_millis(1));
    let explanation = upstream.explain(&ask, usize::MAX);
    let backends = explanation.backends.iter();
    backends.map(|backend| backend.exclusion).collect()
}

#[test]
fn everybody_who_is_out_has_a_reason() {
    let fates = [
        (Fate::Well, None),
        (Fate::Tried, Some(Exclusion::Tried)),
        (Fate::Failing, Some(Exclusion::Down)),
        (Fate::Refused, Some(Exclusion::Down)),
        (Fate::Ejected, Some(Exclusion::Ejected)),
        (Fate::Draining, Some(Exclusion::Draining)),
        (Fate::Maintenance, Some(Exclusion::Maintenance)),
        (Fate::Expired, Some(Exclusion::Expired)),
        (Fate::Cut(0), Some(Exclusion::ReducedShare)),
    ];
    let mut resolved = primaries(&[1; 10]);
    resolved.push(backend(10, 1, true));
    let upstream = build(&rules(Algorithm::RoundRobin, 0.0, true), &resolved);
    let mut tried = Tried::new();
    for (index, (fate, _)) in fates.into_iter().enumerate() {
        befall(&upstream, index, fate, &mut tried);
    }
    let full = hold(&upstream, 9, CAP);
    let mut expected: Vec<Option<Exclusion>> = fates.map(|(_, exclusion)| exclusion).to_vec();
    expected.push(Some(Exclusion::AtCap));
    expected.push(Some(Exclusion::BackupNotNeeded));
    assert_eq!(exclusions(&upstream, &tried), expected);
    drop(full);
    let half_open = NOW.after(Duration::from_mins(10));
    let facts = facts(1);
    let mut ask = ask(&facts, &tried, 1);
    ask.now = half_open;
    let explanation = upstream.explain(&ask, usize::MAX);
    assert_eq!(
        explanation.backends[4].exclusion,
        Some(Exclusion::HalfOpen),
        "a retry tries nobody out"
    );
    let nothing = Tried::new();
    ask.tried = &nothing;
    let explanation = upstream.explain(&ask, usize::MAX);
    assert_eq!(explanation.backends[4].exclusion, None);
    let pick = explanation.pick.unwrap();
    assert_eq!((pick.member, pick.reason), (4, PickReason::Probe));
}

#[test]
fn a_backup_is_a_candidate_once_it_is_needed() {
    let mut resolved = primaries(&[1, 1]);
    resolved.push(backend(2, 1, true));
    let upstream = build(&rules(Algorithm::RoundRobin, 0.0, true), &resolved);
    fail_checks(&upstream, 0);
    fail_checks(&upstream, 1);
    let down = Some(Exclusion::Down);
    assert_eq!(exclusions(&upstream, &Tried::new()), [down, down, None]);
}

#[test]
fn the_cookie_is_read_out() {
    let upstream = build(
        &rules(Algorithm::RoundRobin, 0.0, true),
        &primaries(&[1, 1]),
    );
    let (facts, tried) = (facts(1), Tried::new());
    let own = cookie(&upstream, 1).unwrap();
    let binding = |sticky| {
        let mut ask = ask(&facts, &tried, 1);
        ask.sticky = sticky;
        upstream.explain(&ask, 8).binding
    };
    assert_eq!(binding(None), Binding::None);
    assert_eq!(binding(Some("v1.x.y.z")), Binding::Void);
    assert_eq!(binding(Some(&own)), Binding::Holds(1));
    befall(&upstream, 1, Fate::Draining, &mut Tried::new());
    assert_eq!(binding(Some(&own)), Binding::Holds(1), "it is still there");
    befall(&upstream, 1, Fate::Maintenance, &mut Tried::new());
    let moves = Binding::Moves(1, Exclusion::Maintenance);
    assert_eq!(binding(Some(&own)), moves);
    let plain = self::upstream(Algorithm::RoundRobin, &[1]);
    let binding = plain.explain(&ask(&facts, &tried, 1), 8).binding;
    assert_eq!(binding, Binding::Off);
}

fn scores(upstream: &Upstream) -> (Measure, Vec<f64>) {
    let (facts, tried) = (facts(1), Tried::new());
    let explanation = upstream.explain(&ask(&facts, &tried, 1), 64);
    let scores = explanation.backends.iter().map(|one| one.score.unwrap());
    (explanation.measure, scores.collect())
}

#[test]
fn scores_are_what_the_algorithm_compares() {
    let with = |algorithm| {
        let upstream = upstream(algorithm, &[2, 1, 1]);
        for (index, micros) in [(0, 4_000), (1, 1_000), (2, 9_000)] {
            let endpoint = &upstream.members()[index].endpoint;
            let first_byte = Duration::from_micros(micros);
            endpoint.latency.record(NOW, first_byte, None);
        }
        upstream
    };
    for algorithm in [Algorithm::RoundRobin, Algorithm::WeightedRoundRobin] {
        let upstream = with(algorithm);
        let mut before: Option<(Vec<f64>, usize)> = None;
        for n in 0..8 {
            let (measure, turns) = scores(&upstream);
            assert_eq!(measure, Measure::Turns);
            for (index, &left) in turns.iter().enumerate() {
                // Whoever has had its turn waits anew; for the others it has come nearer.
                let Some((before, picked)) = &before else {
                    break;
                };
                assert!(index == *picked || (left - (before[index] - 1.0)).abs() < 1e-9);
            }
            let picked = nth(&upstream, n).unwrap().member();
            assert!(turns[picked] < 1e-9, "{turns:?}");
            before = Some((turns, picked));
        }
    }
    let least = with(Algorithm::LeastConnections);
    let held = hold(&least, 0, 2);
    assert_eq!(scores(&least), (Measure::Load, vec![1.5, 1.0, 1.0]));
    drop(held);
    let (measure, costs) = scores(&with(Algorithm::WeightedResponseTime));
    assert_eq!(measure, Measure::Cost);
    for (cost, wanted) in costs.iter().zip([0.002, 0.001, 0.009]) {
        assert!((cost - wanted).abs() < 1e-6, "{costs:?}");
    }
    let (measure, chances) = scores(&with(Algorithm::Random));
    assert_eq!((measure, chances), (Measure::Chance, vec![0.5, 0.25, 0.25]));
    for algorithm in [Algorithm::ConsistentHash, Algorithm::Maglev] {
        let upstream = with(algorithm);
        let (measure, mut order) = scores(&upstream);
        let first = nth(&upstream, 1).unwrap();
        assert_eq!(measure, Measure::Order);
        order.sort_by(f64::total_cmp);
        assert_eq!(order, [0.0, 1.0, 2.0], "{algorithm:?}");
        drop(first);
    }
}

#[test]
fn the_first_candidate_in_the_order_of_a_key_is_picked() {
    for algorithm in [
        Algorithm::ConsistentHash,
        Algorithm::Maglev,
        Algorithm::IpHash,
    ] {
        let upstream = upstream(algorithm, &[1, 2, 3, 4]);
        refuse(&upstream, 2, NOW);
        for client in 0..200 {
            let (facts, tried) = (facts(client), Tried::new());
            let explanation = upstream.explain(&ask(&facts, &tried, 1), 64);
            assert!(explanation.key.is_some());
            let candidates = explanation.backends.iter();
            let candidates = candidates.filter(|one| one.exclusion.is_none());
            let best = candidates
                .filter(|one| one.score.is_some())
                .min_by(|a, b| a.score.partial_cmp(&b.score).unwrap());
            let pick = explanation.pick.unwrap();
            assert_eq!(best.map(|one| one.member), Some(pick.member));
            assert!(!pick.by_chance);
        }
    }
}

#[test]
fn chance_is_told_from_necessity() {
    let by_chance = |upstream: &Upstream| {
        let (facts, tried) = (facts(1), Tried::new());
        let explanation = upstream.explain(&ask(&facts, &tried, 1), 8);
        explanation.pick.unwrap().by_chance
    };
    for &algorithm in Algorithm::ALL {
        let upstream = upstream(algorithm, &[1, 1, 1]);
        let draws = matches!(algorithm, Algorithm::Random | Algorithm::PowerOfTwo);
        assert_eq!(by_chance(&upstream), draws, "{algorithm:?}");
        befall(&upstream, 1, Fate::Cut(30_000), &mut Tried::new());
        drop(nth(&upstream, 1));
        assert!(by_chance(&upstream), "{algorithm:?}");
    }
}

#[test]
fn who_says_which_algorithm_is_told() {
    let resolved = primaries(&[1, 1]);
    let mut settings = settings(Algorithm::RoundRobin);
    let signer = signer();
    let context = context(Algorithm::ALL, &signer, 0);
    let (facts, tried) = (facts(1), Tried::new());
    let mut ask = ask(&facts, &tried, 1);
    let fixed = Upstream::build(&settings, &resolved, &context, None);
    assert_eq!(fixed.explain(&ask, 8).source, Source::Configured);
    settings.algorithm = config::Choice::Adaptive;
    let adaptive = Upstream::build(&settings, &resolved, &context, None);
    assert_eq!(adaptive.explain(&ask, 8).source, Source::Adaptive);
    assert_eq!(adaptive.evidence(), None);
    adaptive
        .group
        .choose(Algorithm::LeastConnections, "crowded");
    assert_eq!(adaptive.evidence().as_deref(), Some("crowded"));
    assert_eq!(fixed.evidence(), None);
    ask.algorithm = Some(Algorithm::Maglev);
    let explanation = adaptive.explain(&ask, 8);
    assert_eq!(explanation.source, Source::Request);
    assert_eq!(explanation.algorithm, Algorithm::Maglev);
}

#[test]
fn a_long_list_is_cut_but_never_loses_the_pick() {
    let upstream = upstream(Algorithm::IpHash, &[1; 100]);
    for client in 0..100 {
        let (facts, tried) = (facts(client), Tried::new());
        let explanation = upstream.explain(&ask(&facts, &tried, 1), 8);
        let pick = explanation.pick.unwrap().member;
        assert_eq!((explanation.backends.len(), explanation.left_out), (8, 92));
        assert!(explanation.backends.iter().any(|one| one.member == pick));
    }
    let empty = self::upstream(Algorithm::IpHash, &[]);
    let (facts, tried) = (facts(1), Tried::new());
    let explanation = empty.explain(&ask(&facts, &tried, 1), 8);
    assert_eq!(explanation.pick, Err(Unavailable::NoBackend));
}
