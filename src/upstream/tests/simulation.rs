//! `weighted_response_time` in virtual time, with requests that arrive whatever the backends do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use http::StatusCode;

use super::fixture::{ask, build, context, facts, primaries, settings, signer};
use crate::clock::Moment;
use crate::config::Algorithm;
use crate::upstream::draw::Draws;
use crate::upstream::{Failure, PickReason, Selection, Tried, Upstream};

/// What a backend does with a request that arrives at a time (seconds).
struct Answer {
    millis: f64,
    ok: bool,
}

struct Pick {
    at: f64,
    member: usize,
    probe: bool,
}

struct Simulation<B> {
    upstream: Upstream,
    backend: B,
    draws: Draws,
    clock: u64,
    requests: u64,
    running: BTreeMap<u64, (Selection, u64, bool)>,
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    picks: Vec<Pick>,
}

impl<B: FnMut(usize, f64, &mut Draws) -> Answer> Simulation<B> {
    fn new(backends: usize, backend: B) -> Self {
        let upstream = build(
            &settings(Algorithm::WeightedResponseTime),
            &primaries(&vec![1; backends]),
        );
        Self {
            upstream,
            backend,
            draws: Draws::new(42),
            clock: 10_000_000,
            requests: 0,
            running: BTreeMap::new(),
            ends: BinaryHeap::new(),
            picks: Vec::new(),
        }
    }

    fn seconds(&self) -> f64 {
        (self.clock - 10_000_000) as f64 / 1e6
    }

    /// Poisson arrivals at `rate` per second.
    fn run(&mut self, rate: f64, seconds: f64) -> &mut Self {
        let until = self.clock + micros(seconds);
        let mut arrival = self.clock;
        loop {
            arrival += micros(exponential(&mut self.draws) / rate);
            if arrival >= until {
                break;
            }
            self.finish_until(arrival);
            self.clock = arrival;
            self.start();
        }
        self.finish_until(until);
        self.clock = until;
        self
    }

    fn start(&mut self) {
        let facts = facts(1);
        let tried = Tried::new();
        let mut ask = ask(&facts, &tried, self.draws.next());
        ask.now = Moment::from_micros(self.clock);
        let selection = self.upstream.select(&ask).unwrap();
        let (member, at) = (selection.member(), self.seconds());
        self.picks.push(Pick {
            at,
            member,
            probe: selection.reason() == PickReason::Probe,
        });
        let answer = (self.backend)(member, at, &mut self.draws);
        self.requests += 1;
        self.running
            .insert(self.requests, (selection, self.clock, answer.ok));
        let end = self.clock + micros(answer.millis / 1e3);
        self.ends.push(Reverse((end, self.requests)));
    }

    fn finish_until(&mut self, time: u64) {
        while let Some(&Reverse((end, request))) = self.ends.peek()
            && end <= time
        {
            self.ends.pop();
            let (selection, start, ok) = self.running.remove(&request).unwrap();
            let now = Moment::from_micros(end);
            if ok {
                let took = Duration::from_micros(end - start);
                self.upstream.answered(&selection, now, took);
                self.upstream.completed(&selection, now);
            } else {
                let status = Failure::Status(StatusCode::INTERNAL_SERVER_ERROR);
                self.upstream.failed(&selection, now, status);
            }
        }
    }

    /// The share of each backend in the picks of a period.
    fn shares(&self, from: f64, to: f64) -> Vec<f64> {
        let mut counts = vec![0.0; self.upstream.members().len()];
        for pick in self.picks.iter().filter(|p| p.at >= from && p.at < to) {
            counts[pick.member] += 1.0;
        }
        let total: f64 = counts.iter().sum();
        counts.into_iter().map(|count| count / total).collect()
    }
}

fn micros(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_micros()).unwrap()
}

fn exponential(draws: &mut Draws) -> f64 {
    let uniform = (draws.next() >> 11) as f64 / (1_u64 << 53) as f64;
    -(1.0 - uniform).ln()
}

fn fine(millis: f64) -> Answer {
    Answer { millis, ok: true }
}

fn noisy(mean: f64, draws: &mut Draws) -> Answer {
    fine(mean / 2.0 + exponential(draws) * mean / 2.0)
}

fn assert_even(shares: &[f64], slack: f64) {
    let fair = 1.0 / shares.len() as f64;
    for share in shares {
        assert!((share - fair).abs() <= fair * slack, "{shares:?}");
    }
}

/// 250 requests/s over three backends of 5 ms, one of which takes 100 ms for twenty seconds.
#[test]
fn a_gray_failure_costs_little_and_is_soon_over() {
    let mut simulation = Simulation::new(3, |member, at, draws| {
        noisy(
            if member == 0 && (20.0..40.0).contains(&at) {
                100.0
            } else {
                5.0
            },
            draws,
        )
    });
    simulation.run(250.0, 60.0);
    let share = simulation.shares(22.0, 40.0)[0];
    assert!(share < 0.006, "the slow one gets {share}");
    let probes = simulation.picks.iter().filter(|pick| pick.probe).count();
    assert!(probes * 200 <= simulation.picks.len() + 200);
    let share = simulation.shares(48.0, 50.0)[0];
    assert!(share > 0.2, "eight seconds later it gets {share}");
}

/// Latencies of two kinds: what is rare must neither be forgotten between two occurrences nor
/// move traffic to and fro.
#[test]
fn rare_slow_answers_do_not_make_it_swing() {
    for (rate, rare) in [(60.0, 50), (250.0, 50), (250.0, 200), (1_000.0, 1_000)] {
        let mut simulation = Simulation::new(3, |_, _, draws| {
            fine(if draws.below(rare) == 0 { 100.0 } else { 5.0 })
        });
        simulation.run(rate, 300.0);
        assert_even(&simulation.shares(0.0, 300.0), 0.15);
        for from in 0..29 {
            let from = f64::from(from) * 10.0;
            let shares = simulation.shares(from, from + 10.0);
            assert!(
                shares.iter().all(|share| (0.1..0.75).contains(share)),
                "{shares:?} from {from} with {rate}/s, one in {rare} slow"
            );
        }
    }
}

/// One of three is slow for one request in ten: it is avoided for it, all of the time.
#[test]
fn one_that_is_slow_now_and_then_is_avoided() {
    let mut simulation = Simulation::new(3, |member, _, draws| {
        fine(if member == 0 && draws.below(10) == 0 {
            100.0
        } else {
            5.0
        })
    });
    simulation.run(250.0, 300.0);
    for from in 0..29 {
        let from = f64::from(from) * 10.0;
        let share = simulation.shares(from, from + 10.0)[0];
        assert!(share < 0.2, "it gets {share} from {from}");
    }
}

/// A late answer keeps a backend back for some ten seconds, so with latencies that scatter this much
/// the shares even out over minutes, the slower the less traffic there is.
#[test]
fn equal_backends_share_evenly() {
    for (rate, seconds) in [(20.0, 4_000.0), (200.0, 400.0), (2_000.0, 40.0)] {
        let mut simulation = Simulation::new(5, |_, _, draws| noisy(10.0, draws));
        simulation.run(rate, seconds);
        assert_even(&simulation.shares(0.0, seconds), 0.15);
    }
}

#[test]
fn a_hair_faster_is_not_faster() {
    let mut simulation = Simulation::new(3, |member, _, _| fine(5.0 + member as f64 * 0.05));
    simulation.run(20.0, 60.0);
    assert_even(&simulation.shares(0.0, 60.0), 0.1);
}

#[test]
fn one_five_times_slower_gets_little_and_returns_when_it_is_fast() {
    let slow_until = 60.0;
    for rate in [100.0, 1_000.0] {
        let mut simulation = Simulation::new(4, |member, at, draws| {
            noisy(
                if member == 0 && at < slow_until {
                    50.0
                } else {
                    10.0
                },
                draws,
            )
        });
        simulation.run(rate, 120.0);
        let share = simulation.shares(5.0, slow_until)[0];
        assert!(share < 0.06, "the slow one gets {share} at {rate}/s");
        let share = simulation.shares(100.0, 120.0)[0];
        assert!(share > 0.18, "the fast one gets {share} at {rate}/s");
    }
}

#[test]
fn failing_fast_attracts_nothing() {
    for rate in [30.0, 300.0, 3_000.0] {
        let mut simulation = Simulation::new(3, |member, at, draws| {
            if member == 0 && (10.0..70.0).contains(&at) {
                Answer {
                    millis: 0.1,
                    ok: false,
                }
            } else {
                noisy(10.0, draws)
            }
        });
        simulation.run(rate, 130.0);
        let share = simulation.shares(10.0, 70.0)[0];
        assert!(share < 0.01, "the failing one gets {share} at {rate}/s");
        let share = simulation.shares(90.0, 130.0)[0];
        assert!(share > 0.25, "the healed one gets {share} at {rate}/s");
    }
}

#[test]
fn one_failure_in_a_hundred_costs_little() {
    let mut simulation = Simulation::new(4, |member, _, draws| Answer {
        ok: member != 0 || draws.below(100) > 0,
        ..noisy(10.0, draws)
    });
    simulation.run(400.0, 60.0);
    let share = simulation.shares(5.0, 60.0)[0];
    assert!(share > 0.15, "it gets {share}");
}

#[test]
fn a_new_backend_is_not_overrun() {
    let mut simulation = Simulation::new(3, |_, _, draws| noisy(20.0, draws));
    simulation.run(500.0, 30.0);
    let settings = settings(Algorithm::WeightedResponseTime);
    simulation.upstream = Upstream::build(
        &settings,
        &primaries(&[1; 4]),
        &context(&[], &signer(), 0),
        Some(&simulation.upstream),
    );
    simulation.run(500.0, 5.0);
    for (from, to) in [(30.0, 30.2), (30.0, 31.0), (31.0, 35.0)] {
        let share = simulation.shares(from, to)[3];
        assert!(share > 0.1 && share < 0.45, "{share} from {from} to {to}");
    }
}

#[test]
fn differences_below_a_millisecond_count() {
    let mut simulation = Simulation::new(2, |member, _, _| fine([0.2, 0.8][member]));
    simulation.run(500.0, 30.0);
    let share = simulation.shares(1.0, 30.0)[0];
    assert!(share > 0.85, "the faster one gets {share}");
}

#[test]
fn exploring_is_regular_and_rare() {
    let mut simulation = Simulation::new(3, |member, _, _| fine([5.0, 5.0, 500.0][member]));
    simulation.run(200.0, 120.0);
    let probes = simulation.picks.iter().filter(|pick| pick.probe).count();
    assert!(probes > 0 && probes * 200 <= simulation.picks.len());
    let slow = simulation.picks.iter().filter(|pick| pick.member == 2);
    let times: Vec<f64> = slow.map(|pick| pick.at).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = longest.fold(0.0, f64::max);
    assert!(longest < 6.0, "not measured for {longest} s");
}
