//! Which algorithm suits the moment.
//!
//! Taking turns is as good as anything while requests are few and backends
//! alike. It stops being so in two cases, and each has its remedy:
//!
//! - Requests meet at the backends, so that one can be caught behind another.
//!   Then the number in flight says where the wait is short: `least_connections`.
//! - Backends answer at different speeds. Then the time they take says where the
//!   wait is short: `weighted_response_time`.
//!
//! Near the in-flight caps, and while requests queue for a slot, the first case
//! wins, because response times are then mostly waiting and say little about the
//! backends. Otherwise the second does.
//!
//! What is compared is remembered, because an algorithm changes its own
//! evidence: `weighted_response_time` hardly ever asks a slow backend, and that
//! nothing is heard of it does not make it fast. A backend's mean is an average
//! over its last few hundred requests, however long they took to come in. Whether
//! it differs from the others' is a matter of statistics as well: where one
//! request in twenty takes twenty times longer, means differ by chance. So the
//! scatter of each mean from second to second is measured, and a difference must
//! exceed what the scatter explains.
//!
//! Hysteresis has four parts. A condition ends at another threshold than it
//! began; it must hold for several decisions, more of them to end than to begin;
//! one that comes back soon after it ended is given up more slowly each time; and
//! two switches are at least ten seconds apart.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::outlier::{Micros, Peers};
use super::scatter::Scatter;
use super::tally::Sample;
use crate::clock::Moment;
use crate::config::Algorithm;

/// The algorithms it chooses among.
pub(crate) const CHOICES: &[Algorithm] = &[
    Algorithm::RoundRobin,
    Algorithm::WeightedRoundRobin,
    Algorithm::LeastConnections,
    Algorithm::WeightedResponseTime,
];

/// Time between two switches.
const MIN_STAY: Duration = Duration::from_secs(10);
/// The first decision that may switch: a switch binds for [`MIN_STAY`], so something should be known.
const FIRST_LOOKS: u32 = 4;
/// Requests from before that count beside the new ones in a remembered mean.
const MEMORY: u32 = 100;
/// Requests that a mean must rest on to be compared.
const ENOUGH: u32 = 20;
/// A backend whose mean differs from the others' median by this factor, up or down, and by this
/// many standard errors, is unlike them ...
const UNLIKE: (f64, f64) = (1.5, 3.0);
/// ... until it differs by less than one of these.
const ALIKE: (f64, f64) = (1.25, 1.5);
/// A difference so large needs no second decision.
const EVIDENT: f64 = 3.0;
/// Share of the in-flight caps in use that counts as crowded, and below which it no longer does.
const CROWDED: (f64, f64) = (0.8, 0.5);
/// Requests in flight for each backend, at and above which requests meet (about one in five finds
/// another one there), and below which they no longer do. Lower than one would guess, because
/// `least_connections` lowers the figure that it was chosen for.
const MEETING: (f64, f64) = (0.25, 0.1);
/// Decisions that a condition must hold for to begin.
const BEGINS_AFTER: u32 = 2;
/// Decisions that its end must hold for at first, and at most, after it has come back again and again.
const ENDS_AFTER: (u32, u32) = (10, 160);
/// Decisions within which a condition comes back rather than begins.
const COMES_BACK_WITHIN: u32 = 60;
/// What one decision's count of requests in flight adds to the average.
const SMOOTHING: f64 = 0.3;

/// What a decision is made by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// Requests in flight to the available backends.
    pub(crate) in_flight: usize,
    /// The sum of their in-flight caps.
    pub(crate) capacity: usize,
    /// Requests waiting in the queue.
    pub(crate) waiting: usize,
    /// The available backends of the tier that serves, suspects included.
    pub(crate) backends: Vec<Measured>,
}

/// What is known about one backend since the last decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Tells it from the others.
    pub(crate) address: SocketAddr,
    /// Its configured weight.
    pub(crate) weight: u32,
    /// Requests it answered.
    pub(crate) requests: u32,
    /// Their mean time to first byte in microseconds.
    pub(crate) mean: f64,
}

/// Another algorithm is to be used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Switch {
    /// What it was.
    pub(crate) from: Algorithm,
    /// What it is.
    pub(crate) to: Algorithm,
    /// The evidence in words.
    pub(crate) why: String,
}

/// Chooses, and remembers what for.
#[derive(Debug)]
pub(crate) struct Adaptive {
    current: Algorithm,
    looks: u32,
    switched_at: Option<Moment>,
    crowded: Latch,
    meeting: Latch,
    in_flight: Option<f64>,
    memory: HashMap<SocketAddr, Memory>,
}

/// What to begin with, by the configured weights.
pub(crate) fn start(mut weights: impl Iterator<Item = u32>) -> Algorithm {
    let first = weights.next();
    if weights.all(|weight| Some(weight) == first) {
        Algorithm::RoundRobin
    } else {
        Algorithm::WeightedRoundRobin
    }
}

impl Adaptive {
    /// Begins with an algorithm of [`CHOICES`]; see [`start`].
    pub(crate) fn new(start: Algorithm) -> Self {
        Self {
            current: start,
            looks: 0,
            switched_at: None,
            crowded: Latch::default(),
            meeting: Latch::default(),
            in_flight: None,
            memory: HashMap::new(),
        }
    }

    /// Takes in what the time since the last call has shown, and says what follows. To be called
    /// about once a second.
    pub(crate) fn decide(&mut self, evidence: &Evidence, now: Moment) -> Option<Switch> {
        self.remember(evidence);
        self.looks = self.looks.saturating_add(1);
        let wanted = self.wanted(evidence);
        let may = self
            .switched_at
            .is_none_or(|switched_at| now.since(switched_at) >= MIN_STAY);
        if wanted == self.current || !may || self.looks < FIRST_LOOKS {
            return None;
        }
        self.switched_at = Some(now);
        let from = std::mem::replace(&mut self.current, wanted);
        Some(Switch {
            from,
            to: wanted,
            why: self.why(evidence),
        })
    }

    fn remember(&mut self, evidence: &Evidence) {
        let used = evidence.in_flight as f64 / evidence.capacity.max(1) as f64;
        let queueing = evidence.waiting > 0;
        // No statistics in this one: it is so, and the other conditions' evidence is spoilt from here.
        let is_crowded = queueing || used >= CROWDED.0;
        let begins = if is_crowded { BEGINS_AFTER } else { 0 };
        self.crowded.update(begins, !queueing && used < CROWDED.1);
        let backends = evidence.backends.len().max(1) as f64;
        let in_flight = evidence.in_flight as f64 / backends;
        let before = self.in_flight.unwrap_or(in_flight);
        let in_flight = before + SMOOTHING * (in_flight - before);
        self.in_flight = Some(in_flight);
        self.meeting
            .update(u32::from(in_flight >= MEETING.0), in_flight < MEETING.1);
        self.compare(&evidence.backends);
    }

    fn compare(&mut self, backends: &[Measured]) {
        let present: HashSet<SocketAddr> = backends.iter().map(|one| one.address).collect();
        self.memory.retain(|address, _| present.contains(address));
        for backend in backends {
            self.memory.entry(backend.address).or_default().add(backend);
        }
        let scatters = self.memory.values().map(|memory| memory.scatter);
        let Some(scatter) = Scatter::usual(scatters) else {
            return;
        };
        let peers = Peers::new(self.memory.values().filter_map(Memory::mean));
        for backend in backends.iter().filter(|backend| backend.requests > 0) {
            if let Some(memory) = self.memory.get_mut(&backend.address) {
                memory.compare(&peers, scatter);
            }
        }
    }

    fn wanted(&self, evidence: &Evidence) -> Algorithm {
        let unequal = self.memory.values().any(|memory| memory.unlike.on);
        if self.crowded.on {
            Algorithm::LeastConnections
        } else if unequal {
            Algorithm::WeightedResponseTime
        } else if self.meeting.on {
            Algorithm::LeastConnections
        } else {
            start(evidence.backends.iter().map(|backend| backend.weight))
        }
    }

    fn why(&self, evidence: &Evidence) -> String {
        match self.current {
            Algorithm::LeastConnections if self.crowded.on => format!(
                "{} requests in flight of {} allowed, {} waiting",
                evidence.in_flight, evidence.capacity, evidence.waiting
            ),
            Algorithm::LeastConnections => format!(
                "{:.1} requests in flight for each backend",
                self.in_flight.unwrap_or_default()
            ),
            Algorithm::WeightedResponseTime => self.spread(),
            Algorithm::WeightedRoundRobin => "backends answer alike, weights differ".into(),
            _ => "backends answer alike, weights are equal".into(),
        }
    }

    fn spread(&self) -> String {
        let means = || self.memory.values().filter_map(Memory::mean);
        let (fastest, slowest) = (
            means().fold(f64::INFINITY, f64::min),
            means().fold(0.0, f64::max),
        );
        format!(
            "backends answer in {} to {}",
            Micros(fastest),
            Micros(slowest)
        )
    }
}

/// What is remembered of a backend.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    lately: Sample,
    scatter: Scatter,
    unlike: Latch,
}

impl Memory {
    fn add(&mut self, measured: &Measured) {
        let new = Sample {
            requests: measured.requests,
            mean: measured.mean,
        };
        if new.requests == 0 {
            return;
        }
        let old = Sample {
            requests: self.lately.requests.min(MEMORY),
            ..self.lately
        };
        if old.requests >= ENOUGH {
            self.scatter.add(old, new);
        }
        self.lately = old.and(new);
    }

    fn mean(&self) -> Option<f64> {
        (self.lately.requests >= ENOUGH).then_some(self.lately.mean)
    }

    fn compare(&mut self, peers: &Peers, scatter: Scatter) {
        let Some((own, median)) = self
            .mean()
            .and_then(|own| Some((own, peers.median(Some(own))?)))
        else {
            return;
        };
        let error = scatter.error(self.lately.requests, self.lately.requests);
        if !scatter.is_known() {
            return;
        }
        let difference = (own / median).ln().abs();
        let is_beyond = |(factor, errors): (f64, f64)| {
            difference >= factor.ln() && difference >= errors * error
        };
        let evident = difference >= EVIDENT.ln();
        let begins = match (is_beyond(UNLIKE), evident) {
            (true, true) => BEGINS_AFTER,
            (true, false) => 1,
            (false, _) => 0,
        };
        self.unlike.update(begins, !is_beyond(ALIKE));
    }
}

/// A condition that must hold for a while to begin and to end.
#[derive(Clone, Copy, Debug)]
struct Latch {
    on: bool,
    held: u32,
    ends_after: u32,
    off_for: u32,
}

impl Default for Latch {
    fn default() -> Self {
        Self {
            on: false,
            held: 0,
            ends_after: ENDS_AFTER.0,
            off_for: COMES_BACK_WITHIN,
        }
    }
}

impl Latch {
    /// `begins` is for how many decisions this one speaks for the condition's beginning.
    fn update(&mut self, begins: u32, ends: bool) {
        if self.on {
            self.held = if ends { self.held + 1 } else { 0 };
            if self.held >= self.ends_after {
                (self.on, self.held, self.off_for) = (false, 0, 0);
            }
            return;
        }
        self.off_for = self.off_for.saturating_add(1);
        self.held = if begins > 0 { self.held + begins } else { 0 };
        if self.held >= BEGINS_AFTER {
            self.ends_after = if self.off_for <= COMES_BACK_WITHIN {
                (self.ends_after * 2).min(ENDS_AFTER.1)
            } else {
                ENDS_AFTER.0
            };
            (self.on, self.held) = (true, 0);
        }
    }
}

#[cfg(test)]
mod tests;
