//! What is judged over time, not request by request.
//!
//! Windows of latency, the choice of the algorithm, and changes that time alone
//! makes: the end of an ejection or a slow start, an overdue heartbeat, a drain's
//! deadline. One overseer watches one upstream, through every rebuild; whoever
//! owns it calls [`Overseer::tick`] with the present moment, so that all of it
//! runs in virtual time as well.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::adaptive::{self, Adaptive, Measured};
use super::breaker::{PROOFS, Trip};
use super::endpoint::Endpoint;
use super::event::EventKind;
use super::gate::{FULL, Wish};
use super::member::Member;
use super::outlier::{self, Course, LEAST_SHARE, Peers, Step};
use super::rules::sixteen_bits;
use super::scatter::Scatter;
use super::select::Upstream;
use super::tally::Sample;
use crate::clock::Moment;
use crate::config;
use crate::state::{Reason, State};

/// How often `adaptive` reconsiders.
const DECIDE_EVERY: Duration = Duration::from_secs(1);

/// What watching one upstream needs to remember.
#[derive(Debug, Default)]
pub struct Overseer {
    watched: HashMap<SocketAddr, Watched>,
    window_from: Option<Moment>,
    decided_at: Option<Moment>,
    adaptive: Option<Adaptive>,
}

/// What is remembered of one backend.
#[derive(Debug, Default)]
struct Watched {
    course: Course,
    /// Its answers since the last window of latencies was closed.
    window: Sample,
    /// Its answers since `adaptive` decided last.
    lately: Sample,
    /// What was measured of it since it was ejected for being slow.
    proof: Sample,
}

impl Overseer {
    /// Does what is due at `now`: judges a window of latencies, reconsiders the algorithm, notices
    /// what time alone has changed. To be called about every 50 ms.
    pub fn tick(&mut self, upstream: &Upstream, now: Moment) {
        for member in upstream.members() {
            let endpoint = &member.endpoint;
            if endpoint
                .breaker
                .open()
                .is_some_and(|open| open.trip == Trip::Latency)
            {
                self.weigh_proof(upstream, endpoint, now);
            }
            endpoint.settle(now, &upstream.rules, None);
            cut_tunnels(endpoint, now);
        }
        let window = upstream.rules.health.outlier.map(|outlier| outlier.window);
        let judge = window.filter(|&window| due(&mut self.window_from, now, window));
        let decide = due(&mut self.decided_at, now, DECIDE_EVERY);
        if judge.is_none() && !decide {
            return;
        }
        self.take_stock(upstream);
        if let (Some(_), Some(settings)) = (judge, &upstream.rules.health.outlier) {
            self.judge(upstream, now, settings);
        }
        if decide {
            self.decide(upstream, now);
        }
    }

    /// Whether a backend that was ejected for being slow is so no more: by the mean of a few
    /// answers, because a single one says as much about the machine as about the backend.
    fn weigh_proof(&mut self, upstream: &Upstream, endpoint: &Endpoint, now: Moment) {
        let watched = self.watched.entry(endpoint.address()).or_default();
        watched.proof = watched.proof.and(endpoint.tally.take());
        if u64::from(watched.proof.requests) < PROOFS {
            return;
        }
        let proof = std::mem::take(&mut watched.proof);
        let health = &upstream.rules.health;
        let limit = health.outlier.zip(upstream.group.reference());
        if limit
            .is_some_and(|(outlier, reference)| proof.mean > outlier::limit(reference, &outlier))
        {
            endpoint.breaker.still_slow(now, &health.ejection);
            upstream.schedule_probe(endpoint, now);
        } else if let Some(open) = endpoint.breaker.recovered(now) {
            upstream.returned(endpoint, open, now);
        }
    }

    /// Collects the answers since the last time; forgets backends that are gone.
    fn take_stock(&mut self, upstream: &Upstream) {
        let members = upstream.members();
        if self.watched.len() > members.len() {
            let known: HashSet<SocketAddr> = members.iter().map(|m| m.endpoint.address()).collect();
            self.watched.retain(|address, _| known.contains(address));
        }
        for member in members {
            let sample = member.endpoint.tally.take();
            let watched = self.watched.entry(member.endpoint.address()).or_default();
            watched.window = watched.window.and(sample);
            watched.lately = watched.lately.and(sample);
        }
    }

    fn judge(&mut self, upstream: &Upstream, now: Moment, settings: &config::Outlier) {
        let members = upstream.members();
        let mut suspects = Vec::with_capacity(members.len());
        let mut samples = Vec::with_capacity(members.len());
        let mut scatters = Vec::with_capacity(members.len());
        for member in members {
            let watched = self.watched.entry(member.endpoint.address()).or_default();
            let window = std::mem::take(&mut watched.window);
            // One that warms up is slow for a reason that passes.
            let state = member.endpoint.condition.state();
            let counts = matches!(state, State::Up | State::Suspect);
            suspects.push(watched.course.is_suspect());
            samples.push(watched.course.gather(counts.then_some(window)));
            scatters.push(watched.course.scatter());
        }
        let is_suspect = |index: usize| suspects[index];
        let peers = outlier::peers(&samples, &is_suspect, settings);
        let means = peers.into_iter().flatten().map(|sample| sample.mean);
        if let Some(median) = Peers::new(means).median(None) {
            upstream.group.set_reference(median);
        }
        let scatter = Scatter::usual(scatters.into_iter()).unwrap_or_default();
        let verdicts = outlier::judge(&samples, &is_suspect, scatter, settings);
        for (member, verdict) in members.iter().zip(verdicts) {
            let watched = self.watched.entry(member.endpoint.address()).or_default();
            let step = watched.course.window(verdict, settings);
            if upstream.follow(&member.endpoint, now, step) {
                watched.course = Course::default();
                watched.proof = Sample::default();
            }
        }
    }

    fn decide(&mut self, upstream: &Upstream, now: Moment) {
        let evidence = upstream.fixed.is_none().then(|| self.evidence(upstream));
        for watched in self.watched.values_mut() {
            watched.lately = Sample::default();
        }
        let Some(evidence) = evidence else {
            self.adaptive = None;
            return;
        };
        let first = || Adaptive::new(upstream.algorithm());
        let adaptive = self.adaptive.get_or_insert_with(first);
        let Some(switch) = adaptive.decide(&evidence, now) else {
            return;
        };
        upstream.group.choose(switch.to, &switch.why);
        upstream.group.note(
            now,
            EventKind::Switched {
                from: switch.from,
                to: switch.to,
                detail: switch.why,
            },
        );
    }

    /// What `adaptive` decides by.
    fn evidence(&self, upstream: &Upstream) -> adaptive::Evidence {
        let [primaries, backups] = &upstream.tiers;
        let mut members = available(primaries.members(&upstream.members));
        if members.is_empty() {
            members = available(backups.members(&upstream.members));
        }
        let in_flight = members.iter().map(|m| m.endpoint.in_flight() as usize);
        adaptive::Evidence {
            in_flight: in_flight.sum(),
            capacity: members.len() * upstream.cap as usize,
            waiting: upstream.queue().waiting(),
            backends: members.iter().map(|member| self.measured(member)).collect(),
        }
    }

    fn measured(&self, member: &Member) -> Measured {
        let address = member.endpoint.address();
        let sample = self.watched.get(&address).map(|watched| watched.lately);
        let sample = sample.unwrap_or_default();
        Measured {
            address,
            weight: member.weight,
            requests: sample.requests,
            mean: sample.mean,
        }
    }
}

/// What still goes on at the end of a drain and has no end of its own is ended, also what became a
/// tunnel only after the deadline.
fn cut_tunnels(endpoint: &Endpoint, now: Moment) {
    if endpoint.gate.load().wish() == Wish::Draining && endpoint.deadline() <= now {
        endpoint.cut_off();
    }
}

fn available(members: &[Member]) -> Vec<&Member> {
    let available = |member: &&Member| member.endpoint.is_available();
    members.iter().filter(available).collect()
}

/// Whether `period` has passed since the last time this was true; never at the first call.
fn due(last: &mut Option<Moment>, now: Moment, period: Duration) -> bool {
    let from = *last.get_or_insert(now);
    let due = now.since(from) >= period;
    if due {
        *last = Some(now);
    }
    due
}

impl Upstream {
    /// Does what a window of latencies leads to; whether the backend was ejected.
    fn follow(&self, endpoint: &Endpoint, now: Moment, step: Step) -> bool {
        match step {
            Step::Nothing => {}
            Step::Cut(share, evidence) => self.cut(endpoint, now, share, &evidence),
            Step::Clear => {
                endpoint.gate.set_cut(FULL);
                endpoint.settle(now, &self.rules, None);
            }
            Step::Eject(evidence) => {
                if self.eject(endpoint, now, Trip::Latency, Some(evidence.to_string())) {
                    return true;
                }
                self.cut(endpoint, now, LEAST_SHARE, &evidence);
            }
            Step::Report(evidence) => self.group.note(
                now,
                EventKind::Observed {
                    backend: endpoint.shared_name(),
                    reason: Reason::Latency,
                    detail: evidence.to_string(),
                },
            ),
        }
        false
    }

    fn cut(&self, endpoint: &Endpoint, now: Moment, share: f32, evidence: &outlier::Evidence) {
        endpoint.gate.set_cut(sixteen_bits(f64::from(share)));
        self.changed(endpoint, now, Some(evidence.to_string()));
    }
}
