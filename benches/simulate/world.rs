//! A scenario in virtual time: arrivals, the product's own selection and
//! feedback, and servers with queues.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use evenkeel::clock::Moment;
use evenkeel::config::{self, Algorithm, Choice, HashKey, Percent};
use evenkeel::request::Facts;
use evenkeel::upstream::sticky::Signer;
use evenkeel::upstream::{
    Ask, BuildContext, Journal, Overseer, Resolved, Selection, Ticket, Tried, Unavailable, Upstream,
};
use http::{HeaderMap, Method};

use super::scenario::{Backend, Scenario, Sizes};

/// How often the control plane looks at an upstream.
const TICK: u64 = 50_000;
/// How long a request waits for a slot.
const PATIENCE: u64 = 1_000_000;
/// Virtual time begins here, in microseconds.
const START: u64 = 1_000_000_000;
/// Different clients, for what hashes them.
const CLIENTS: u64 = 1_000;

/// What a contestant made of a scenario.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Response times in milliseconds, sorted; waiting in the balancer's queue included.
    pub(crate) millis: Vec<f64>,
    /// Requests that found no place in the queue, or waited too long.
    pub(crate) lost: u64,
    /// Requests that each backend answered.
    pub(crate) answered: Vec<u64>,
    /// How often the algorithm changed.
    pub(crate) switches: u64,
}

impl Outcome {
    /// The response time that this share of the requests stays below.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.millis.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position in the list"
        )]
        let at = (last as f64 * share).round() as usize;
        self.millis.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Runs the scenario with one algorithm.
pub(crate) fn run(scenario: &Scenario, choice: Choice, outliers: bool, seed: u64) -> Outcome {
    let mut world = World::new(scenario, choice, outliers, seed);
    let mut from = START as f64;
    for stretch in &scenario.load {
        let to = from + stretch.seconds * 1e6;
        let mut at = from;
        loop {
            at += world.arrivals.exponential() / stretch.rate * 1e6;
            if at >= to {
                break;
            }
            world.advance(micros(at));
            world.arrive();
        }
        from = to;
    }
    world.finish()
}

/// Randomness that a seed determines (`SplitMix64`, Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

struct Server {
    backend: Backend,
    busy: usize,
    queue: VecDeque<u64>,
}

struct Job {
    arrived: u64,
    size: f64,
    client: u32,
    sent: u64,
    place: Place,
}

/// Where a request is.
enum Place {
    Waiting { _ticket: Ticket },
    At { selection: Selection },
}

struct World<'a> {
    scenario: &'a Scenario,
    upstream: Upstream,
    overseer: Overseer,
    headers: HeaderMap,
    servers: Vec<Server>,
    jobs: BTreeMap<u64, Job>,
    waiting: VecDeque<u64>,
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    /// The same for every contestant: it is never asked for what a decision leads to.
    arrivals: Random,
    decisions: Random,
    now: u64,
    tick: u64,
    serial: u64,
    algorithm: Algorithm,
    outcome: Outcome,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, choice: Choice, outliers: bool, seed: u64) -> Self {
        let upstream = upstream(scenario, choice, outliers, seed);
        let server = |&backend| Server {
            backend,
            busy: 0,
            queue: VecDeque::new(),
        };
        Self {
            scenario,
            algorithm: upstream.algorithm(),
            upstream,
            overseer: Overseer::default(),
            headers: HeaderMap::new(),
            servers: scenario.backends.iter().map(server).collect(),
            jobs: BTreeMap::new(),
            waiting: VecDeque::new(),
            ends: BinaryHeap::new(),
            arrivals: Random(seed),
            decisions: Random(!seed),
            now: START,
            tick: START,
            serial: 0,
            outcome: Outcome {
                answered: vec![0; scenario.backends.len()],
                ..Outcome::default()
            },
        }
    }

    fn moment(&self) -> Moment {
        Moment::from_micros(self.now)
    }

    /// Lets everything happen that is due before `until`.
    fn advance(&mut self, until: u64) {
        loop {
            let end = self.ends.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            if self.tick.min(end) > until {
                break;
            }
            if self.tick <= end {
                self.now = self.tick;
                self.tick += TICK;
                self.oversee();
            } else if let Some(Reverse((at, job))) = self.ends.pop() {
                self.now = at;
                self.end(job);
            }
        }
        self.now = until;
    }

    fn oversee(&mut self) {
        self.overseer.tick(&self.upstream, self.moment());
        if self.upstream.algorithm() != self.algorithm {
            self.algorithm = self.upstream.algorithm();
            self.outcome.switches += 1;
        }
        while let Some(&first) = self.waiting.front()
            && self.now > self.jobs[&first].arrived + PATIENCE
        {
            self.waiting.pop_front();
            self.jobs.remove(&first);
            self.outcome.lost += 1;
        }
    }

    fn arrive(&mut self) {
        self.serial += 1;
        let size = self.size();
        let client = u32::try_from(self.arrivals.next() % CLIENTS).unwrap_or(0);
        match self.select(client, false) {
            Ok(selection) => {
                let place = Place::At { selection };
                self.admit(self.serial, size, client, place);
            }
            Err(Unavailable::Saturated) => match self.upstream.queue().enter(&Tried::new()) {
                Ok(ticket) => {
                    let place = Place::Waiting { _ticket: ticket };
                    self.admit(self.serial, size, client, place);
                }
                Err(_) => self.outcome.lost += 1,
            },
            Err(Unavailable::NoBackend) => self.outcome.lost += 1,
        }
    }

    fn size(&mut self) -> f64 {
        let size = f64::midpoint(1.0, self.arrivals.exponential());
        let large = self.arrivals.unit() < 0.05;
        match self.scenario.sizes {
            Sizes::Mixed if large => size * 20.0,
            Sizes::Mixed | Sizes::Alike => size,
        }
    }

    fn select(&mut self, client: u32, queued: bool) -> Result<Selection, Unavailable> {
        let facts = Facts {
            listener: 0,
            method: &Method::GET,
            host: "example.com",
            path: "/",
            query: None,
            headers: &self.headers,
            client: IpAddr::V4(Ipv4Addr::from_bits(client)),
        };
        self.upstream.select(&Ask {
            facts: &facts,
            algorithm: None,
            tried: &Tried::new(),
            sticky: None,
            now: Moment::from_micros(self.now),
            unix_now: 0,
            random: self.decisions.next(),
            queued,
        })
    }

    fn admit(&mut self, serial: u64, size: f64, client: u32, place: Place) {
        let waits = matches!(place, Place::Waiting { .. });
        let job = Job {
            arrived: self.now,
            size,
            client,
            sent: self.now,
            place,
        };
        self.jobs.insert(serial, job);
        if waits {
            self.waiting.push_back(serial);
        } else {
            self.send(serial);
        }
    }

    /// The request reaches its backend.
    fn send(&mut self, serial: u64) {
        let Place::At { selection } = &self.jobs[&serial].place else {
            return;
        };
        let server = selection.member();
        self.servers[server].queue.push_back(serial);
        self.work(server);
    }

    /// Puts a free worker to work.
    fn work(&mut self, server: usize) {
        let server = &mut self.servers[server];
        if server.busy >= server.backend.workers {
            return;
        }
        let Some(serial) = server.queue.pop_front() else {
            return;
        };
        server.busy += 1;
        let second = (self.now - START) as f64 / 1e6;
        let slow = match server.backend.slow {
            Some((from, to, factor)) if (from..to).contains(&second) => factor,
            _ => 1.0,
        };
        let millis = self.jobs[&serial].size * server.backend.millis * slow;
        self.ends
            .push(Reverse((self.now + micros(millis * 1e3), serial)));
    }

    fn end(&mut self, serial: u64) {
        let Some(job) = self.jobs.remove(&serial) else {
            return;
        };
        let Place::At { selection } = job.place else {
            return;
        };
        let took = Duration::from_micros(self.now - job.sent);
        self.upstream.answered(&selection, self.moment(), took);
        self.upstream.completed(&selection, self.moment());
        let server = selection.member();
        if job.arrived >= START + micros(self.scenario.warm_up * 1e6) {
            let waited = (self.now - job.arrived) as f64 / 1e3;
            self.outcome.millis.push(waited);
            self.outcome.answered[server] += 1;
        }
        drop(selection);
        self.servers[server].busy -= 1;
        self.work(server);
        self.serve_waiting();
    }

    fn serve_waiting(&mut self) {
        while let Some(&serial) = self.waiting.front() {
            let client = self.jobs[&serial].client;
            let Ok(selection) = self.select(client, true) else {
                return;
            };
            self.waiting.pop_front();
            if let Some(job) = self.jobs.get_mut(&serial) {
                job.sent = self.now;
                job.place = Place::At { selection };
            }
            self.send(serial);
        }
    }

    fn finish(mut self) -> Outcome {
        while !self.jobs.is_empty() {
            self.advance(self.now + TICK);
        }
        self.outcome.millis.sort_unstable_by(f64::total_cmp);
        self.outcome
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "virtual time is positive and far from its end"
)]
fn micros(micros: f64) -> u64 {
    micros as u64
}

fn upstream(scenario: &Scenario, choice: Choice, outliers: bool, seed: u64) -> Upstream {
    let resolved: Vec<Resolved> = (1..)
        .zip(&scenario.backends)
        .map(|(number, backend)| resolved(number, backend.weight))
        .collect();
    Upstream::build(
        &settings(scenario, choice, outliers),
        &resolved,
        &BuildContext {
            algorithms: &[],
            signer: &Arc::new(Signer::new(None, [1; 32])),
            journal: &Journal::default(),
            now: Moment::from_micros(START),
            seed,
        },
        None,
    )
}

fn resolved(number: u8, weight: u32) -> Resolved {
    let address = SocketAddr::from((Ipv4Addr::new(10, 0, 0, number), 5000));
    Resolved {
        address,
        name: address.to_string(),
        backend: config::Backend {
            address: address.to_string(),
            weight,
            backup: false,
            zone: None,
            labels: BTreeMap::new(),
        },
    }
}

fn settings(scenario: &Scenario, algorithm: Choice, outliers: bool) -> config::Upstream {
    let mut health = config::Health::default();
    if !outliers {
        health.outlier = None;
    }
    config::Upstream {
        name: "web".into(),
        algorithm,
        hash_key: HashKey::ClientIp,
        backends: Vec::new(),
        discovery: evenkeel::config::Discovery::default(),
        sticky: None,
        max_in_flight_per_backend: scenario.cap,
        queue: config::Queue {
            size: scenario.queue,
            timeout: Duration::from_micros(PATIENCE),
        },
        timeouts: config::Timeouts {
            tunnel: Duration::from_hours(1),
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_mins(1),
        },
        max_idle_per_backend: 64,
        protocol: config::Protocol::Http1,
        tls: None,
        panic_threshold: Percent::HALF,
        slow_start: Duration::ZERO,
        health,
    }
}
