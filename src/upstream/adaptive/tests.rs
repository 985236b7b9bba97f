//! What is chosen for which evidence, and that the choice stands still.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::upstream::draw::Draws;

const CAP: usize = 100;

fn address(index: usize) -> SocketAddr {
    let host = Ipv4Addr::from_bits(0x0a00_0001 + u32::try_from(index).unwrap());
    SocketAddr::from((host, 80))
}

/// Backends by weight, requests in the last second and their mean in milliseconds.
fn measured(backends: &[(u32, u32, f64)]) -> Vec<Measured> {
    let measured = |(index, &(weight, requests, millis)): (usize, &(u32, u32, f64))| Measured {
        address: address(index),
        weight,
        requests,
        mean: millis * 1e3,
    };
    backends.iter().enumerate().map(measured).collect()
}

/// An adaptive choice and the time.
struct Trial {
    adaptive: Adaptive,
    seconds: u64,
    switches: Vec<(u64, Switch)>,
}

impl Trial {
    fn new(start: Algorithm) -> Self {
        Self {
            adaptive: Adaptive::new(start),
            seconds: 0,
            switches: Vec::new(),
        }
    }

    /// One decision.
    fn decide(&mut self, in_flight: usize, waiting: usize, backends: &[(u32, u32, f64)]) {
        let evidence = Evidence {
            in_flight,
            capacity: CAP * backends.len(),
            waiting,
            backends: measured(backends),
        };
        self.seconds += 1;
        let now = Moment::from_micros(self.seconds * 1_000_000);
        if let Some(switch) = self.adaptive.decide(&evidence, now) {
            self.switches.push((self.seconds, switch));
        }
    }

    /// Decisions on three backends of equal weight that got a hundred requests each.
    fn go(&mut self, seconds: u32, in_flight: usize, millis: [f64; 3]) -> Algorithm {
        for _ in 0..seconds {
            self.decide(in_flight, 0, &millis.map(|millis| (1, 100, millis)));
        }
        self.adaptive.current
    }

    fn assert_steady(&self) {
        let mut last: Option<&(u64, Switch)> = None;
        for switch in &self.switches {
            assert_ne!(switch.1.from, switch.1.to);
            assert!(CHOICES.contains(&switch.1.to));
            if let Some(last) = last {
                assert_eq!(last.1.to, switch.1.from);
                assert!(switch.0 - last.0 >= 10, "{:?}", self.switches);
            }
            last = Some(switch);
        }
    }
}

use Algorithm::{LeastConnections, RoundRobin, WeightedResponseTime, WeightedRoundRobin};

#[test]
fn begins_by_the_weights() {
    assert_eq!(start([3, 3, 3].into_iter()), RoundRobin);
    assert_eq!(start([3, 3, 4].into_iter()), WeightedRoundRobin);
    assert_eq!(start([].into_iter()), RoundRobin);
}

#[test]
fn takes_turns_while_backends_are_alike_and_requests_few() {
    let mut trial = Trial::new(RoundRobin);
    assert_eq!(trial.go(100, 0, [5.0, 5.5, 6.0]), RoundRobin);
    let mut trial = Trial::new(RoundRobin);
    for _ in 0..100 {
        trial.decide(0, 0, &[(1, 100, 5.0), (4, 400, 5.5)]);
    }
    assert_eq!(trial.adaptive.current, WeightedRoundRobin);
}

#[test]
fn counts_requests_in_flight_where_they_meet() {
    let mut trial = Trial::new(RoundRobin);
    assert_eq!(trial.go(3, 12, [5.0; 3]), RoundRobin);
    assert_eq!(trial.go(1, 12, [5.0; 3]), LeastConnections);
    assert_eq!(trial.go(10, 0, [5.0; 3]), LeastConnections);
    assert_eq!(trial.go(20, 0, [5.0; 3]), RoundRobin);
    let (_, switch) = &trial.switches[0];
    assert_eq!(switch.why, "4.0 requests in flight for each backend");
}

#[test]
fn looks_at_the_times_where_they_differ() {
    let mut trial = Trial::new(RoundRobin);
    assert_eq!(trial.go(20, 0, [5.0; 3]), RoundRobin);
    assert_eq!(trial.go(1, 10, [5.0, 5.0, 100.0]), WeightedResponseTime);
    let (_, switch) = &trial.switches[0];
    assert_eq!(switch.why, "backends answer in 5.00 ms to 52.5 ms");
}

#[test]
fn a_faster_one_is_unlike_the_others_as_well() {
    let mut trial = Trial::new(RoundRobin);
    assert_eq!(trial.go(10, 1, [5.0, 20.0, 20.0]), WeightedResponseTime);
}

#[test]
fn silence_does_not_make_a_backend_fast() {
    let mut trial = Trial::new(RoundRobin);
    trial.go(10, 0, [5.0, 5.0, 50.0]);
    for _ in 0..1_000 {
        trial.decide(0, 0, &[(1, 150, 5.0), (1, 150, 5.0), (1, 0, 0.0)]);
        trial.decide(0, 0, &[(1, 150, 5.0), (1, 150, 5.0), (1, 1, 50.0)]);
    }
    assert_eq!(trial.adaptive.current, WeightedResponseTime);
    assert_eq!(trial.switches.len(), 1);
    assert_eq!(trial.go(30, 0, [5.0; 3]), RoundRobin);
}

#[test]
fn near_the_caps_times_say_nothing() {
    let mut trial = Trial::new(RoundRobin);
    assert_eq!(trial.go(10, 290, [50.0, 50.0, 200.0]), LeastConnections);
    let mut trial = Trial::new(RoundRobin);
    for _ in 0..10 {
        trial.decide(3, 7, &[(1, 100, 50.0), (1, 100, 200.0)]);
    }
    assert_eq!(trial.adaptive.current, LeastConnections);
    assert_eq!(
        trial.switches[0].1.why,
        "3 requests in flight of 200 allowed, 7 waiting"
    );
}

/// One request in twenty takes twenty times longer, so the means of alike backends differ widely.
#[test]
fn chance_is_no_difference() {
    for requests in [10, 40, 200] {
        let mut draws = Draws::new(u64::from(requests));
        let mut mean = || {
            let large = (0..requests).filter(|_| draws.below(20) == 0).count();
            10.0 * (1.0 + 19.0 * large as f64 / f64::from(requests))
        };
        let mut trial = Trial::new(RoundRobin);
        for _ in 0..3_600 {
            let means = [mean(), mean(), mean()].map(|mean| (1, requests, mean));
            trial.decide(0, 0, &means);
        }
        trial.assert_steady();
        let switches = trial.switches.len();
        assert!(
            switches <= 4,
            "{switches} with {requests} requests a second"
        );
    }
}

#[test]
fn oscillating_load_does_not_flap() {
    for period in [2, 4, 10, 20, 30, 60, 90] {
        let mut trial = Trial::new(RoundRobin);
        for second in 0..3_600 {
            let high = second % period < period / 2;
            trial.go(1, if high { 12 } else { 0 }, [5.0; 3]);
        }
        trial.assert_steady();
        let switches = trial.switches.len();
        assert!(switches <= 50, "{switches} with a period of {period} s");
    }
}

/// With `weighted_response_time` the slow one gets less and is no slower than the others; without
/// it, it is overloaded.
#[test]
fn a_remedy_that_works_does_not_flap() {
    let mut trial = Trial::new(RoundRobin);
    for _ in 0..3_600 {
        let slow = if trial.adaptive.current == WeightedResponseTime {
            5.2
        } else {
            15.0
        };
        trial.go(1, 0, [slow, 5.0, 5.0]);
    }
    trial.assert_steady();
    let switches = trial.switches.len();
    assert!(switches <= 60, "{switches} switches");
}

#[test]
fn remembers_only_who_is_there() {
    let mut trial = Trial::new(RoundRobin);
    for second in 0..100_u32 {
        let there: Vec<_> = (0..second % 7).map(|_| (1, 100, 5.0)).collect();
        trial.decide(1, 0, &there);
        assert_eq!(trial.adaptive.memory.len(), there.len());
    }
}

proptest! {
    #[test]
    fn never_switches_twice_in_ten_seconds(
        seconds in prop::collection::vec(
            (
                0_usize..400,
                0_usize..3,
                prop::collection::vec((1_u32..5, 0_u32..300, 0.1_f64..1_000.0), 0..6),
            ),
            0..200,
        )
    ) {
        let mut trial = Trial::new(RoundRobin);
        for (in_flight, waiting, backends) in seconds {
            trial.decide(in_flight, waiting, &backends);
        }
        trial.assert_steady();
    }
}
