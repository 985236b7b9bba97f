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
//! over its last hundred requests or so, however long they took to come in.
//!
//! Hysteresis has three parts. A condition ends at another threshold than it
//! began; it must hold for several decisions; and two switches are at least ten
//! seconds apart.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::outlier::{Micros, Peers};
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
/// Requests that half of a remembered mean is made of.
const MEMORY: f64 = 50.0;
/// Requests that a mean must rest on to be compared.
const ENOUGH: f64 = 20.0;
/// A backend whose mean differs from the median by this factor, up or down, is unlike the others ...
const UNLIKE: f64 = 1.5;
/// ... until it differs by less than this.
const ALIKE: f64 = 1.25;
/// Share of the in-flight caps in use that counts as crowded, and below which it no longer does.
const CROWDED: (f64, f64) = (0.8, 0.5);
/// Requests in flight for each backend, at and above which requests meet, and below which they no
/// longer do.
const MEETING: (f64, f64) = (1.0, 0.5);
/// Decisions that a condition must hold for to begin, and to end.
const HOLD: (u32, u32) = (2, 10);
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
    switched_at: Option<Moment>,
    crowded: Latch,
    meeting: Latch,
    in_flight: f64,
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
            switched_at: None,
            crowded: Latch::default(),
            meeting: Latch::default(),
            in_flight: 0.0,
            memory: HashMap::new(),
        }
    }

    /// Takes in what the time since the last call has shown, and says what follows. To be called
    /// about once a second.
    pub(crate) fn decide(&mut self, evidence: &Evidence, now: Moment) -> Option<Switch> {
        self.remember(evidence);
        let wanted = self.wanted(evidence);
        let may = self
            .switched_at
            .is_none_or(|switched_at| now.since(switched_at) >= MIN_STAY);
        if wanted == self.current || !may {
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
        self.crowded
            .update(queueing || used >= CROWDED.0, !queueing && used < CROWDED.1);
        let backends = evidence.backends.len().max(1) as f64;
        let meeting = evidence.in_flight as f64 / backends;
        self.in_flight += SMOOTHING * (meeting - self.in_flight);
        self.meeting
            .update(self.in_flight >= MEETING.0, self.in_flight < MEETING.1);
        self.compare(&evidence.backends);
    }

    fn compare(&mut self, backends: &[Measured]) {
        self.memory
            .retain(|address, _| backends.iter().any(|backend| backend.address == *address));
        for backend in backends {
            self.memory.entry(backend.address).or_default().add(backend);
        }
        let peers = Peers::new(self.memory.values().filter_map(Memory::mean));
        for backend in backends.iter().filter(|backend| backend.requests > 0) {
            if let Some(memory) = self.memory.get_mut(&backend.address) {
                memory.compare(&peers);
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
            Algorithm::LeastConnections => {
                format!("{:.1} requests in flight for each backend", self.in_flight)
            }
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
    requests: f64,
    mean: f64,
    unlike: Latch,
}

impl Memory {
    fn add(&mut self, measured: &Measured) {
        let new = f64::from(measured.requests);
        if new == 0.0 {
            return;
        }
        self.requests = self.requests.min(MEMORY) + new;
        self.mean += (measured.mean - self.mean) * new / self.requests;
    }

    fn mean(&self) -> Option<f64> {
        (self.requests >= ENOUGH).then_some(self.mean)
    }

    fn compare(&mut self, peers: &Peers) {
        let Some((own, median)) = self
            .mean()
            .and_then(|own| Some((own, peers.median(Some(own))?)))
        else {
            return;
        };
        let factor = (own / median).max(median / own);
        self.unlike.update(factor >= UNLIKE, factor < ALIKE);
    }
}

/// A condition that must hold for a while to begin and to end.
#[derive(Clone, Copy, Debug, Default)]
struct Latch {
    on: bool,
    held: u32,
}

impl Latch {
    fn update(&mut self, begins: bool, ends: bool) {
        let (changes, hold) = if self.on {
            (ends, HOLD.1)
        } else {
            (begins, HOLD.0)
        };
        self.held = if changes { self.held + 1 } else { 0 };
        if self.held >= hold {
            *self = Self {
                on: !self.on,
                held: 0,
            };
        }
    }
}
