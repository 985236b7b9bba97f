//! Who may get a request, against a model that enumerates who may.

use std::time::Duration;

use proptest::prelude::*;

use super::fixture::{
    NOW, ask, backend, build, context, facts, fail_checks, foreseen, nth, refuse, settings, signer,
};
use crate::clock::Moment;
use crate::config::{Algorithm, Percent};
use crate::upstream::{PickReason, Resolved, Selection, Tried, Unavailable, Upstream};

const CAP: u32 = 2;

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent by design: the test combines them all"
)]
#[derive(Clone, Copy, Debug)]
struct State {
    weight: u32,
    backup: bool,
    down: bool,
    full: bool,
    tried: bool,
}

fn state() -> impl Strategy<Value = State> {
    let often = || prop::bool::weighted(0.3);
    (1_u32..10, often(), often(), often(), often()).prop_map(
        |(weight, backup, down, full, tried)| State {
            weight,
            backup,
            down,
            full,
            tried,
        },
    )
}

/// The members that may be chosen, or the error. Written against DESIGN's words, not the code.
fn expected(states: &[State], threshold: f64) -> Result<(Vec<usize>, bool), Unavailable> {
    let tier = |backup: bool| -> Vec<usize> {
        (0..states.len())
            .filter(|&index| states[index].backup == backup)
            .collect()
    };
    let suffices = |tier: &[usize]| {
        let up = tier.iter().filter(|&&index| !states[index].down).count();
        !tier.is_empty() && up as f64 / tier.len() as f64 >= threshold
    };
    let tiers = [tier(false), tier(true)];
    let panic = !tiers.iter().any(|tier| suffices(tier));
    let healthy = |index: usize| panic || !states[index].down;
    for tier in &tiers {
        let may: Vec<usize> = tier
            .iter()
            .copied()
            .filter(|&i| healthy(i) && !states[i].tried && !states[i].full)
            .collect();
        if !may.is_empty() {
            return Ok((may, panic));
        }
    }
    let lacks_only_room = (0..states.len()).any(|i| healthy(i) && !states[i].tried);
    Err(if lacks_only_room {
        Unavailable::Saturated
    } else {
        Unavailable::NoBackend
    })
}

/// Brings an upstream into these states; the returned selections keep the full ones full.
fn arrange(upstream: &Upstream, states: &[State]) -> (Tried, Vec<Selection>) {
    let mut tried = Tried::new();
    let mut held = Vec::new();
    for (index, state) in states.iter().enumerate() {
        if state.full {
            held.extend((0..CAP).map(|_| only(upstream, index)));
        }
    }
    for (index, state) in states.iter().enumerate() {
        if state.down {
            fail_checks(upstream, index);
        }
        if state.tried {
            tried.insert(index);
        }
    }
    (tried, held)
}

/// Selects one certain member by having tried all others.
fn only(upstream: &Upstream, wanted: usize) -> Selection {
    let mut tried = Tried::new();
    for index in (0..upstream.members().len()).filter(|&index| index != wanted) {
        tried.insert(index);
    }
    let facts = facts(1);
    upstream.select(&ask(&facts, &tried, 1)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn only_those_that_may_are_chosen(
        mut states in prop::collection::vec(state(), 0..=Tried::CAPACITY),
        threshold in prop::sample::select(vec![0.0, 50.0, 100.0]),
        random: u64,
    ) {
        states.sort_by_key(|state| state.backup);
        let resolved: Vec<Resolved> = states
            .iter()
            .enumerate()
            .map(|(index, state)| backend(index, state.weight, state.backup))
            .collect();
        for &algorithm in Algorithm::ALL {
            let mut settings = settings(algorithm);
            settings.max_in_flight_per_backend = CAP;
            settings.panic_threshold = Percent::from_hundredths(threshold).unwrap();
            let upstream = build(&settings, &resolved);
            let (tried, _held) = arrange(&upstream, &states);
            for n in 0..4 {
                let facts = facts(n);
                let ask = ask(&facts, &tried, random.wrapping_add(n.into()));
                let found = foreseen(&upstream, &ask);
                match (found, expected(&states, threshold / 100.0)) {
                    (Ok(selection), Ok((may, panic))) => {
                        prop_assert!(may.contains(&selection.member()));
                        prop_assert_eq!(selection.reason() == PickReason::Panic, panic);
                    }
                    (found, expected) => {
                        prop_assert_eq!(found.map(|_| ()), expected.map(|_| ()));
                    }
                }
            }
        }
    }
}

fn two_tiers(threshold: f64) -> Upstream {
    let mut settings = settings(Algorithm::RoundRobin);
    settings.panic_threshold = Percent::from_hundredths(threshold).unwrap();
    let resolved = [
        backend(0, 1, false),
        backend(1, 1, false),
        backend(2, 1, true),
    ];
    build(&settings, &resolved)
}

fn fail(upstream: &Upstream, members: &[usize]) {
    for &member in members {
        refuse(upstream, member, NOW);
    }
}

#[test]
fn backups_stand_in_before_health_is_ignored() {
    let upstream = two_tiers(50.0);
    assert_eq!(nth(&upstream, 1).unwrap().reason(), PickReason::Algorithm);
    fail_checks(&upstream, 0);
    fail_checks(&upstream, 1);
    let selection = nth(&upstream, 2).unwrap();
    assert_eq!(
        (selection.member(), selection.reason()),
        (2, PickReason::Backup)
    );
    fail_checks(&upstream, 2);
    let selection = nth(&upstream, 3).unwrap();
    assert!(selection.member() < 2, "primaries come first in a panic");
    assert_eq!(selection.reason(), PickReason::Panic);
}

#[test]
fn without_a_threshold_nothing_down_is_used() {
    let upstream = two_tiers(0.0);
    fail(&upstream, &[0, 1, 2]);
    assert_eq!(nth(&upstream, 1).unwrap_err(), Unavailable::NoBackend);
}

#[test]
fn one_probe_at_a_time_until_it_connects() {
    let upstream = two_tiers(0.0);
    fail(&upstream, &[0, 1, 2]);
    let facts = facts(1);
    let tried = Tried::new();
    let mut ask = ask(&facts, &tried, 1);
    ask.now = NOW.after(Duration::from_secs(2));
    let first = upstream.select(&ask).unwrap();
    assert_eq!(first.reason(), PickReason::Probe);
    let second = upstream.select(&ask).unwrap();
    assert_ne!(first.member(), second.member());
    let backup = upstream.select(&ask).unwrap();
    assert_eq!(backup.member(), 2);
    assert_eq!(upstream.select(&ask).unwrap_err(), Unavailable::NoBackend);

    let cancelled = first.member();
    drop(first);
    let again = upstream.select(&ask).unwrap();
    assert_eq!(again.member(), cancelled);

    upstream.connected(&again, ask.now);
    let free = upstream.select(&ask).unwrap();
    assert_eq!(
        (free.member(), free.reason()),
        (cancelled, PickReason::Algorithm)
    );
}

#[test]
fn live_state_survives_a_rebuild() {
    let settings = settings(Algorithm::LeastConnections);
    let before = build(&settings, &[backend(0, 1, false), backend(1, 1, false)]);
    let held = nth(&before, 1).unwrap();
    let changed = [
        backend(0, 5, false),
        backend(1, 1, false),
        backend(2, 1, true),
    ];
    let after = Upstream::build(
        &settings,
        &changed,
        &context(&[], &signer(), 0),
        Some(&before),
    );
    assert_eq!(after.in_flight(), 1);
    assert_eq!(after.members()[held.member()].endpoint.in_flight(), 1);
    drop(held);
    assert_eq!(after.in_flight(), 0);
}

#[test]
fn addresses_that_repeat_count_once() {
    let settings = settings(Algorithm::RoundRobin);
    let upstream = build(&settings, &[backend(0, 1, false), backend(0, 9, true)]);
    assert_eq!(upstream.members().len(), 1);
    assert_eq!(upstream.members()[0].weight, 1);
}

#[test]
fn the_addresses_of_a_name_may_come_in_any_order() {
    let mut resolved = [
        backend(2, 1, false),
        backend(0, 1, false),
        backend(1, 1, false),
    ];
    for one in &mut resolved[..2] {
        one.backend.address = "web.internal:5000".into();
    }
    let settings = settings(Algorithm::RoundRobin);
    let order = |resolved: &[Resolved]| -> Vec<_> {
        let upstream = build(&settings, resolved);
        let members = upstream.members().iter();
        members.map(|member| member.endpoint.address()).collect()
    };
    let before = order(&resolved);
    resolved.swap(0, 1);
    assert_eq!(order(&resolved), before);
    let hosts = build(&settings, &resolved);
    let hosts = hosts.members().iter().map(|member| member.host.as_deref());
    assert!(hosts.eq([Some("web.internal"), Some("web.internal"), None]));
}

#[test]
fn an_algorithm_may_be_asked_for() {
    let settings = settings(Algorithm::RoundRobin);
    let resolved = [backend(0, 1, false)];
    let offered = [Algorithm::Maglev];
    let upstream = Upstream::build(&settings, &resolved, &context(&offered, &signer(), 0), None);
    let facts = facts(1);
    let tried = Tried::new();
    let mut ask = ask(&facts, &tried, 1);
    for (asked, used) in [
        (Some(Algorithm::Maglev), Algorithm::Maglev),
        (Some(Algorithm::Random), Algorithm::RoundRobin),
        (None, Algorithm::RoundRobin),
    ] {
        ask.algorithm = asked;
        assert_eq!(upstream.select(&ask).unwrap().algorithm(), used);
    }
}

#[test]
fn a_request_falls_in_behind_those_that_wait() {
    let mut settings = settings(Algorithm::RoundRobin);
    settings.queue.size = 2;
    let upstream = build(&settings, &[backend(0, 1, false)]);
    let ticket = upstream.queue().enter(&Tried::new()).unwrap();
    assert_eq!(nth(&upstream, 1).unwrap_err(), Unavailable::Saturated);
    let facts = facts(1);
    let tried = Tried::new();
    let mut ask = ask(&facts, &tried, 1);
    ask.queued = true;
    assert!(upstream.select(&ask).is_ok());
    drop(ticket);
    assert!(nth(&upstream, 2).is_ok());
}

#[test]
fn a_moment_may_precede_the_last_one() {
    let upstream = two_tiers(0.0);
    fail(&upstream, &[0]);
    let facts = facts(1);
    let tried = Tried::new();
    let mut ask = ask(&facts, &tried, 1);
    ask.now = Moment::ZERO;
    assert_eq!(upstream.select(&ask).unwrap().member(), 1);
}
