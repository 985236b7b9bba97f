//! What every algorithm keeps, whichever it is.

use super::fixture::{NOW, build, context, nth, primaries, refuse, settings, upstream};
use crate::config::Algorithm;
use crate::upstream::{Selection, Unavailable, Upstream};
use std::collections::VecDeque;

/// Shares of so many picks; `held` requests are in flight at any time.
fn shares(upstream: &Upstream, picks: u32, held: usize) -> Vec<f64> {
    let mut counts = vec![0_u32; upstream.members().len()];
    let mut in_flight: VecDeque<Selection> = VecDeque::new();
    for n in 0..picks {
        let selection = nth(upstream, n).unwrap();
        counts[selection.member()] += 1;
        in_flight.push_back(selection);
        if in_flight.len() > held {
            in_flight.pop_front();
        }
    }
    counts
        .into_iter()
        .map(|count| f64::from(count) / f64::from(picks))
        .collect()
}

fn assert_shares(algorithm: Algorithm, found: &[f64], weights: &[u32], tolerance: f64) {
    let total: u32 = weights.iter().sum();
    for (share, &weight) in found.iter().zip(weights) {
        let wanted = f64::from(weight) / f64::from(total);
        assert!(
            (share - wanted).abs() <= tolerance,
            "{algorithm:?}: {found:?} for {weights:?}"
        );
    }
}

/// How many requests are in flight where the algorithm looks at that, and how far a share may be off.
///
/// A Ketama ring has 160 points for each unit of weight, so a share scatters by about 8 % of itself;
/// 5 percentage points are three times that for the weights used here.
fn terms(algorithm: Algorithm) -> (usize, f64) {
    match algorithm {
        Algorithm::LeastConnections | Algorithm::WeightedResponseTime => (240, 0.01),
        Algorithm::ConsistentHash => (0, 0.05),
        _ => (0, 0.01),
    }
}

#[test]
fn respects_the_weights() {
    let weights = [5, 1, 1, 3, 2];
    for &algorithm in Algorithm::ALL {
        let (held, tolerance) = terms(algorithm);
        let found = shares(&upstream(algorithm, &weights), 100_000, held);
        if algorithm == Algorithm::RoundRobin {
            assert_shares(algorithm, &found, &[1; 5], 0.0);
        } else {
            assert_shares(algorithm, &found, &weights, tolerance);
        }
    }
}

#[test]
fn spreads_the_share_of_one_that_is_out_over_all_others() {
    let weights = [5, 1, 1, 3, 2];
    for &algorithm in Algorithm::ALL {
        for out in 0..weights.len() {
            let upstream = upstream(algorithm, &weights);
            refuse(&upstream, out, NOW);
            let (held, tolerance) = terms(algorithm);
            let mut left = if algorithm == Algorithm::RoundRobin {
                [1; 5]
            } else {
                weights
            };
            left[out] = 0;
            // What is missing goes to the neighbours' points on a ring, and its share to few of them.
            let tolerance = tolerance.max(match algorithm {
                Algorithm::ConsistentHash => 0.08,
                // Three sigma of so many random picks.
                _ => 0.012,
            });
            let found = shares(&upstream, 20_000, held);
            assert_shares(algorithm, &found, &left, tolerance);
        }
    }
}

#[test]
fn serves_any_number_of_backends() {
    for &algorithm in Algorithm::ALL {
        let empty = upstream(algorithm, &[]);
        assert_eq!(nth(&empty, 1).unwrap_err(), Unavailable::NoBackend);
        for count in [1, 2, 1_000] {
            let weights: Vec<u32> = (0..).map(|index| index % 2 + 1).take(count).collect();
            let upstream = upstream(algorithm, &weights);
            let mut held = Vec::new();
            let mut used = vec![false; count];
            for n in 0..20_000 {
                let selection = nth(&upstream, n).unwrap();
                used[selection.member()] = true;
                held.push(selection);
            }
            let unused = used.iter().filter(|used| !**used).count();
            assert_eq!(unused, 0, "{algorithm:?} never uses {unused} of {count}");
        }
    }
}

#[test]
fn repeats_itself_for_a_seed() {
    let weights: Vec<u32> = (0..100).map(|index| index % 5 + 1).collect();
    for &algorithm in Algorithm::ALL {
        let run = || -> Vec<usize> {
            let upstream = upstream(algorithm, &weights);
            let held: Vec<Selection> = (0..500).map(|n| nth(&upstream, n).unwrap()).collect();
            held.iter().map(Selection::member).collect()
        };
        assert_eq!(run(), run(), "{algorithm:?}");
    }
}

#[test]
fn every_endpoint_is_free_again_afterwards() {
    for &algorithm in Algorithm::ALL {
        let upstream = upstream(algorithm, &[1, 2, 3]);
        let held: Vec<Selection> = (0..50).map(|n| nth(&upstream, n).unwrap()).collect();
        assert_eq!(upstream.in_flight(), 50);
        drop(held);
        assert_eq!(upstream.in_flight(), 0);
        assert!(
            upstream
                .members()
                .iter()
                .all(|member| member.endpoint.in_flight() == 0)
        );
    }
}

fn placement(upstream: &Upstream) -> Vec<String> {
    (0..20_000)
        .map(|n| nth(upstream, n).unwrap().endpoint().name().to_owned())
        .collect()
}

fn moved(before: &[String], after: &[String]) -> f64 {
    let moved = before.iter().zip(after).filter(|(a, b)| a != b).count();
    moved as f64 / before.len() as f64
}

#[test]
fn consistent_hashes_move_few_keys_when_one_leaves() {
    for algorithm in [Algorithm::ConsistentHash, Algorithm::Maglev] {
        for count in [10_usize, 30] {
            let all = primaries(&vec![1; count]);
            let before = placement(&build(&settings(algorithm), &all));
            for gone in [0, count / 2, count - 1] {
                let mut rest = all.clone();
                rest.remove(gone);
                let after = placement(&build(&settings(algorithm), &rest));
                let moved = moved(&before, &after);
                assert!(
                    moved <= 2.0 / count as f64,
                    "{algorithm:?} moved {moved} of the keys when one of {count} left"
                );
            }
        }
    }
}

#[test]
fn hashes_keep_the_other_keys_when_one_is_down() {
    for algorithm in [
        Algorithm::ConsistentHash,
        Algorithm::Maglev,
        Algorithm::IpHash,
    ] {
        let upstream = upstream(algorithm, &[1, 2, 3, 1]);
        let before = placement(&upstream);
        let down = &upstream.members()[2].endpoint;
        refuse(&upstream, 2, NOW);
        let after = placement(&upstream);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || before == down.name(), "{algorithm:?}");
            assert_ne!(after, down.name());
        }
    }
}

#[test]
fn tables_do_not_depend_on_the_order_in_the_file() {
    for algorithm in [Algorithm::ConsistentHash, Algorithm::Maglev] {
        let mut listed = primaries(&[1, 2, 3, 4, 5]);
        let before = placement(&build(&settings(algorithm), &listed));
        listed.reverse();
        let after = placement(&build(&settings(algorithm), &listed));
        assert_eq!(before, after, "{algorithm:?}");
    }
}

#[test]
fn round_robin_stays_exactly_even_when_one_is_out() {
    let upstream = upstream(Algorithm::RoundRobin, &[1, 1, 1]);
    refuse(&upstream, 1, NOW);
    let mut counts = [0; 3];
    for n in 0..3_000 {
        counts[nth(&upstream, n).unwrap().member()] += 1;
    }
    assert_eq!(counts, [1_500, 0, 1_500]);
}

#[test]
fn bounded_load_moves_a_popular_key_on() {
    let upstream = upstream(Algorithm::ConsistentHash, &[1; 10]);
    let held: Vec<Selection> = (0..1_000).map(|_| nth(&upstream, 1).unwrap()).collect();
    let most = upstream
        .members()
        .iter()
        .map(|member| member.endpoint.in_flight())
        .max();
    assert!(most <= Some(126), "one backend has {most:?} of 1,000");
    drop(held);
}

#[test]
fn least_connections_takes_turns_among_equals() {
    let upstream = upstream(Algorithm::LeastConnections, &[1, 1, 1]);
    let held = nth(&upstream, 0).unwrap();
    let mut counts = [0; 3];
    for n in 0..1_000 {
        counts[nth(&upstream, n).unwrap().member()] += 1;
    }
    assert_eq!(counts[held.member()], 0);
    assert_eq!(counts.iter().max(), Some(&500));
}

#[test]
fn unchanged_tiers_keep_their_turns() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::WeightedRoundRobin] {
        let settings = settings(algorithm);
        let backends = primaries(&[3, 2, 1]);
        let straight = build(&settings, &backends);
        let rebuilt = build(&settings, &backends);
        for n in 0..4 {
            assert_eq!(
                nth(&straight, n).unwrap().member(),
                nth(&rebuilt, n).unwrap().member()
            );
        }
        let signer = super::fixture::signer();
        let rebuilt = Upstream::build(
            &settings,
            &backends,
            &context(&[], &signer, 99),
            Some(&rebuilt),
        );
        for n in 4..40 {
            assert_eq!(
                nth(&straight, n).unwrap().member(),
                nth(&rebuilt, n).unwrap().member()
            );
        }
    }
}
