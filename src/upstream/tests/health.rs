//! Whatever happens to backends in whatever order, nothing is lost and what is healthy returns.
//!
//! A world in virtual time: backends whose true condition changes at random, requests that fare
//! accordingly, checks, heartbeats, an operator and changes of configuration. After each event
//! the books must balance; in the end everything heals and must be back at work.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;

use super::fixture::{NOW, UNIX_NOW, context, facts, foreseen, primaries, settings, signer};
use crate::clock::Moment;
use crate::config::{self, ActiveCheck, Algorithm, Choice, Percent, Probe};
use crate::state::{Reason, State};
use crate::upstream::{
    Ask, CheckFailure, Endpoint, Failure, Member, Mode, Overseer, PickReason, Resolved, Selection,
    Tried, Upstream,
};

/// Backends there are; the configuration names some of them.
const BACKENDS: usize = 5;
const STEP: Duration = Duration::from_millis(10);
/// A request every second step, an overseer's tick every fifth, checks every twentieth.
const REQUEST_EVERY: u64 = 2;
const TICK_EVERY: u64 = 5;
const CHECK_EVERY: u64 = 20;
/// The longest pause after refused connections is 30 s, without checks; a suspect gets so few of
/// these rare requests that judging it anew may take longer.
const HEALING: Duration = Duration::from_mins(3);

/// How a backend really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Sound,
    Slow,
    Refusing,
    Resetting,
    Mute,
    HalfFailing,
}

/// What happens.
#[derive(Clone, Debug)]
enum Deed {
    Pass {
        millis: u64,
    },
    Become(usize, Truth),
    Wish(usize, Mode),
    DrainFor(usize, u64),
    Heartbeat(usize, u64),
    /// One bit for each backend that the configuration names from now on.
    Rebuild(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    let truth = prop_oneof![
        Just(Truth::Sound),
        Just(Truth::Slow),
        Just(Truth::Refusing),
        Just(Truth::Resetting),
        Just(Truth::Mute),
        Just(Truth::HalfFailing),
    ];
    let wish = prop_oneof![3 => Just(Mode::Active), 1 => Just(Mode::Maintenance)];
    prop_oneof![
        8 => (10_u64..3_000).prop_map(|millis| Deed::Pass { millis }),
        6 => (0..BACKENDS, truth).prop_map(|(backend, truth)| Deed::Become(backend, truth)),
        2 => (0..BACKENDS, wish).prop_map(|(backend, mode)| Deed::Wish(backend, mode)),
        1 => (0..BACKENDS, 0_u64..3_000).prop_map(|(backend, millis)| Deed::DrainFor(backend, millis)),
        1 => (0..BACKENDS, 0_u64..2_000).prop_map(|(backend, ttl)| Deed::Heartbeat(backend, ttl)),
        1 => (1_u8..1 << BACKENDS).prop_map(Deed::Rebuild),
    ]
}

fn health(checked: bool) -> config::Health {
    let passive = config::Passive::default();
    let outlier = config::Outlier {
        window: Duration::from_secs(1),
        min_requests: 4,
        ..config::Outlier::default()
    };
    config::Health {
        active: checked.then(|| ActiveCheck {
            probe: Probe::Tcp,
            port: None,
            interval: Duration::from_millis(200),
            timeout: Duration::from_millis(100),
            rise: 2,
            fall: 3,
            jitter: Percent::NONE,
            concurrency: 1,
        }),
        passive: Some(config::Passive {
            min_requests: 10,
            ..passive
        }),
        outlier: Some(outlier),
        ejection: config::Ejection {
            base: Duration::from_secs(1),
            max: Duration::from_secs(4),
            max_ejected: Percent::HALF,
        },
        initially_up: true,
    }
}

/// A request under way.
struct Held {
    until: Moment,
    upstream: Arc<Upstream>,
    selection: Selection,
    end: End,
}

/// What it will come to.
enum End {
    Answered(Duration),
    Status(Duration),
    Failed(Failure),
    /// The client leaves.
    Aborted,
}

struct World {
    settings: config::Upstream,
    backends: Vec<Resolved>,
    upstream: Arc<Upstream>,
    overseer: Overseer,
    truths: [Truth; BACKENDS],
    now: Moment,
    steps: u64,
    requests: u32,
    held: Vec<Held>,
    /// Answers by backend since they were last counted.
    served: [u32; BACKENDS],
    ejected: usize,
}

impl World {
    fn new(algorithm: Choice, checked: bool, panic_threshold: Percent) -> Self {
        let mut settings = settings(Algorithm::RoundRobin);
        settings.algorithm = algorithm;
        settings.health = health(checked);
        settings.panic_threshold = panic_threshold;
        settings.slow_start = Duration::from_secs(1);
        let backends = primaries(&[1; BACKENDS]);
        let upstream = Upstream::build(&settings, &backends, &context(&[], &signer(), 0), None);
        Self {
            settings,
            backends,
            upstream: Arc::new(upstream),
            overseer: Overseer::default(),
            truths: [Truth::Sound; BACKENDS],
            now: NOW,
            steps: 0,
            requests: 0,
            held: Vec::new(),
            served: [0; BACKENDS],
            ejected: 0,
        }
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Pass { millis } => self.pass(Duration::from_millis(millis)),
            Deed::Become(backend, truth) => self.truths[backend] = truth,
            Deed::Wish(backend, mode) => self.tell(backend, mode),
            Deed::DrainFor(backend, millis) => {
                let until = self.now.after(Duration::from_millis(millis));
                self.tell(backend, Mode::Draining { until });
            }
            Deed::Heartbeat(backend, ttl) => self.beat(backend, Duration::from_millis(ttl)),
            Deed::Rebuild(names) => self.rebuild(names),
        }
        self.audit();
    }

    fn position(&self, backend: usize) -> Option<usize> {
        let address = self.backends[backend].address;
        let members = self.upstream.members().iter();
        members.map(address_of).position(|member| member == address)
    }

    fn backend(&self, address: SocketAddr) -> usize {
        let backends = self.backends.iter();
        backends
            .map(|backend| backend.address)
            .position(|own| own == address)
            .unwrap()
    }

    fn tell(&self, backend: usize, mode: Mode) {
        if let Some(member) = self.position(backend) {
            self.upstream.set_mode(member, self.now, mode);
        }
    }

    fn beat(&self, backend: usize, ttl: Duration) {
        if let Some(member) = self.position(backend) {
            self.upstream.renew(member, self.now, ttl);
        }
    }

    fn rebuild(&mut self, names: u8) {
        let chosen = |(index, backend): (usize, &Resolved)| {
            (names & (1 << index) != 0).then(|| backend.clone())
        };
        let resolved: Vec<_> = self
            .backends
            .iter()
            .enumerate()
            .filter_map(chosen)
            .collect();
        let signer = signer();
        let mut context = context(&[], &signer, 0);
        context.now = self.now;
        let built = Upstream::build(&self.settings, &resolved, &context, Some(&self.upstream));
        assert_eq!(built.members().len(), resolved.len(), "no endpoint is lost");
        self.upstream = Arc::new(built);
    }

    fn pass(&mut self, length: Duration) {
        let end = self.now.after(length);
        while self.now < end {
            self.now = self.now.after(STEP);
            self.steps += 1;
            self.finish();
            if self.steps.is_multiple_of(TICK_EVERY) {
                self.overseer.tick(&Arc::clone(&self.upstream), self.now);
                self.knock();
            }
            if self.steps.is_multiple_of(CHECK_EVERY) {
                self.check();
            }
            if self.steps.is_multiple_of(REQUEST_EVERY) {
                self.request();
            }
            self.audit();
        }
    }

    fn knock(&self) {
        for (member, resolved) in self.upstream.members().iter().enumerate() {
            if let Some(knock) = self.upstream.knock(member, self.now) {
                let refuses = self.truths[self.backend(address_of(resolved))] == Truth::Refusing;
                self.upstream.knocked(&knock, self.now, !refuses);
            }
        }
    }

    fn check(&self) {
        for (member, resolved) in self.upstream.members().iter().enumerate() {
            let result = match self.truths[self.backend(address_of(resolved))] {
                Truth::Refusing => Err(CheckFailure::Refused),
                Truth::Mute => Err(CheckFailure::Failed("timeout".to_owned())),
                _ => Ok(()),
            };
            self.upstream.record_check(member, self.now, result);
        }
    }

    /// A request with up to two retries.
    fn request(&mut self) {
        self.requests += 1;
        let mut tried = Tried::new();
        for _ in 0..3 {
            let Some(selection) = self.select(&tried) else {
                return;
            };
            tried.insert(selection.member());
            if !self.begin(selection) {
                return;
            }
        }
    }

    fn select(&self, tried: &Tried) -> Option<Selection> {
        let upstream = &self.upstream;
        let states: Vec<State> = self.states().map(|(state, _)| state).collect();
        let facts = facts(self.requests.wrapping_mul(2_654_435_761));
        let ask = Ask {
            facts: &facts,
            algorithm: None,
            tried,
            sticky: None,
            now: self.now,
            unix_now: UNIX_NOW,
            random: u64::from(self.requests).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            queued: false,
        };
        let result = foreseen(upstream, &ask);
        let left = |member: usize| states[member].is_available() && !tried.contains(member);
        let someone = (0..states.len()).any(left);
        assert!(result.is_ok() || !someone, "nobody is chosen of {states:?}");
        let selection = result.ok()?;
        let state = states[selection.member()];
        let reason = selection.reason();
        assert!(state.is_counted(), "{state:?} is chosen for {reason:?}");
        let despite = matches!(reason, PickReason::Panic | PickReason::Probe);
        assert!(
            state.is_available() || despite,
            "{state:?} is chosen for {reason:?}"
        );
        Some(selection)
    }

    /// Sends a request on its way; whether another backend has to be asked.
    fn begin(&mut self, selection: Selection) -> bool {
        let upstream = Arc::clone(&self.upstream);
        let millis = Duration::from_millis;
        let truth = self.truths[self.backend(selection.endpoint().address())];
        if truth == Truth::Refusing {
            upstream.failed(&selection, self.now, Failure::Connect);
            return true;
        }
        upstream.connected(&selection, self.now);
        let (length, end) = match truth {
            _ if self.requests.is_multiple_of(16) => (3, End::Aborted),
            Truth::Slow => (100, End::Answered(millis(100))),
            Truth::Resetting => (1, End::Failed(Failure::Reset)),
            Truth::Mute => (300, End::Failed(Failure::Timeout)),
            Truth::HalfFailing if self.requests.is_multiple_of(2) => (5, End::Status(millis(5))),
            _ => (5, End::Answered(millis(5))),
        };
        self.held.push(Held {
            until: self.now.after(millis(length)),
            upstream,
            selection,
            end,
        });
        false
    }

    /// Ends what is due, by the upstream that it was selected from.
    fn finish(&mut self) {
        let now = self.now;
        let (due, held) = self.held.drain(..).partition(|held| held.until <= now);
        self.held = held;
        let due: Vec<Held> = due;
        for Held {
            upstream,
            selection,
            end,
            ..
        } in due
        {
            match end {
                End::Answered(first_byte) => {
                    upstream.answered(&selection, now, first_byte);
                    upstream.completed(&selection, now);
                    let backend = self.backend(selection.endpoint().address());
                    self.served[backend] += 1;
                }
                End::Status(first_byte) => {
                    let failure = Failure::Status(StatusCode::INTERNAL_SERVER_ERROR);
                    upstream.answered(&selection, now, first_byte);
                    upstream.failed(&selection, now, failure);
                }
                End::Failed(failure) => upstream.failed(&selection, now, failure),
                End::Aborted => {}
            }
        }
    }

    fn states(&self) -> impl Iterator<Item = (State, Reason)> {
        (0..self.upstream.members().len()).map(|member| {
            let status = self.upstream.status(member, self.now).expect("a member");
            (status.state, status.reason)
        })
    }

    /// The books balance.
    fn audit(&mut self) {
        let mut held: HashMap<*const Endpoint, u32> = HashMap::new();
        for one in &self.held {
            *held
                .entry(Arc::as_ptr(one.selection.endpoint()))
                .or_default() += 1;
        }
        for member in self.upstream.members() {
            let known = held.get(&Arc::as_ptr(&member.endpoint)).copied();
            assert_eq!(member.endpoint.in_flight(), known.unwrap_or(0));
        }
        assert_eq!(self.upstream.in_flight(), self.held.len());
        // Also those whose state says something worse.
        let is_ejected = |member: &&Member| {
            let open = member.endpoint.breaker.open();
            open.is_some_and(|open| open.trip.is_counted())
        };
        let members = self.upstream.members();
        let ejected = members.iter().filter(is_ejected).count();
        let bound = match members.len() {
            0 | 1 => 0,
            several => (several / 2).max(1),
        };
        // A smaller configuration takes nobody back, but lets nobody else be taken out either.
        let allowed = bound.max(self.ejected);
        assert!(ejected <= allowed, "{ejected} of {} ejected", members.len());
        self.ejected = ejected;
    }

    /// Everything heals; returns who is not back at work in time.
    fn heal(&mut self) -> Vec<(usize, State, Reason)> {
        self.rebuild((1 << BACKENDS) - 1);
        self.truths = [Truth::Sound; BACKENDS];
        for backend in 0..BACKENDS {
            self.tell(backend, Mode::Active);
            self.beat(backend, Duration::from_hours(1));
        }
        let end = self.now.after(HEALING);
        // What is under way may still fail.
        self.pass(Duration::from_secs(1));
        self.served = [0; BACKENDS];
        while self.now < end && !self.idle().is_empty() {
            self.pass(Duration::from_secs(1));
        }
        self.idle()
    }

    /// The backends that are not up, or have answered nothing.
    fn idle(&self) -> Vec<(usize, State, Reason)> {
        let states: Vec<_> = self.states().collect();
        let idle = |backend: usize| {
            let (state, reason) = states[self.position(backend)?];
            let works = state == State::Up && self.served[backend] > 0;
            (!works).then_some((backend, state, reason))
        };
        (0..BACKENDS).filter_map(idle).collect()
    }
}

fn address_of(member: &Member) -> SocketAddr {
    member.endpoint.address()
}

fn algorithm() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Adaptive),
        Just(Choice::Fixed(Algorithm::RoundRobin)),
        Just(Choice::Fixed(Algorithm::LeastConnections)),
        Just(Choice::Fixed(Algorithm::WeightedResponseTime)),
        Just(Choice::Fixed(Algorithm::PowerOfTwo)),
        Just(Choice::Fixed(Algorithm::WeightedRoundRobin)),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_and_what_is_healthy_returns(
        algorithm in algorithm(),
        checked in any::<bool>(),
        panics in any::<bool>(),
        deeds in prop::collection::vec(deed(), 1..24),
    ) {
        let threshold = if panics { Percent::HALF } else { Percent::NONE };
        let mut world = World::new(algorithm, checked, threshold);
        for deed in &deeds {
            world.act(deed);
        }
        let away = world.heal();
        prop_assert!(away.is_empty(), "not back at work: {away:?}");
    }
}
