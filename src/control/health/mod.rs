//! Active health checks: asking every backend, at an interval, how it is.
//!
//! One task keeps the schedule of all upstreams and each check is a task of
//! its own, so a target that stalls delays nobody. What a check finds comes
//! back to the schedule's task, which tells it to the member in the snapshot
//! of that moment, whatever was published since the check began. Pingora's own
//! loop of checks is not used: a round of it ends when its slowest check does,
//! and it keeps the health it finds to itself.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use pingora_core::upstreams::peer::HttpPeer;
use tokio::task::{self, JoinError, JoinSet};

use crate::clock::{self, Moment};
use crate::snapshot::{Group, Published, Snapshot};
use crate::upstream::Endpoint;
pub use latest::{Checked, Latest};
use probe::{Probes, Target};
use schedule::{Id, Pace, Schedule};
use verdict::Verdict;

mod grpc;
mod http;
mod latest;
mod probe;
mod schedule;
mod verdict;

/// Without anything to do, the schedule is looked at this often.
const IDLE: Duration = Duration::from_hours(1);

/// The service that checks the backends of every upstream that asks for it, until shutdown.
pub struct HealthChecks<T> {
    published: Arc<Published<T>>,
    peer: fn(&T) -> HttpPeer,
    latest: Arc<Latest>,
}

impl<T> HealthChecks<T> {
    /// Checks what is published. `peer` says how the connection of a check is made: to the
    /// backend's address, with the TLS settings of its traffic, and without limits of time.
    #[must_use]
    pub fn new(published: Arc<Published<T>>, peer: fn(&T) -> HttpPeer) -> Self {
        Self {
            published,
            peer,
            latest: Arc::default(),
        }
    }

    /// What the checks came to.
    #[must_use]
    pub const fn latest(&self) -> &Arc<Latest> {
        &self.latest
    }
}

#[async_trait]
impl<T: Send + Sync + 'static> BackgroundService for HealthChecks<T> {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        tokio::select! {
            () = Rounds::new(&self.published, self.peer, &self.latest).run(&self.published) => {}
            _ = shutdown.changed() => {}
        }
    }
}

/// The schedules of all upstreams and the checks under way.
struct Rounds<T> {
    snapshot: Arc<Snapshot<T>>,
    peer: fn(&T) -> HttpPeer,
    latest: Arc<Latest>,
    /// Made when first needed: reading the system's certificates takes time and memory.
    probes: Option<Arc<Probes>>,
    lanes: HashMap<String, Lane>,
    checks: JoinSet<Finding>,
    running: HashMap<task::Id, Running>,
    next_id: Id,
}

/// One upstream's targets.
struct Lane {
    /// Position of the upstream in the snapshot.
    group: usize,
    schedule: Schedule,
    targets: HashMap<Id, Place>,
}

/// One target.
struct Place {
    endpoint: Arc<Endpoint>,
    /// Position of the member in the snapshot.
    member: usize,
}

/// A check under way.
struct Running {
    upstream: String,
    target: Id,
}

/// What a check came to.
struct Finding {
    verdict: Verdict,
    took: Duration,
}

impl<T: Send + Sync + 'static> Rounds<T> {
    fn new(published: &Published<T>, peer: fn(&T) -> HttpPeer, latest: &Arc<Latest>) -> Self {
        let mut rounds = Self {
            snapshot: published.load(),
            peer,
            latest: Arc::clone(latest),
            probes: None,
            lanes: HashMap::new(),
            checks: JoinSet::new(),
            running: HashMap::new(),
            next_id: 0,
        };
        rounds.plan(clock::now());
        rounds
    }

    async fn run(mut self, published: &Published<T>) {
        let mut changes = published.changes();
        // Setting a timer wakes the runtime once more, so it is set only when it has to move.
        let mut alarm = None;
        let mut timer = pin!(tokio::time::sleep(IDLE));
        loop {
            self.follow(published.load(), clock::now());
            self.start_due();
            let wake = self.wake();
            if wake != alarm {
                alarm = wake;
                timer.set(tokio::time::sleep(pause(wake, clock::now())));
            }
            tokio::select! {
                Some(ended) = self.checks.join_next_with_id() => {
                    self.follow(published.load(), clock::now());
                    self.ended(ended);
                }
                // The sender lives in what is published, which is borrowed for longer than this.
                _ = changes.changed() => {}
                () = &mut timer => {
                    alarm = None;
                    timer.set(tokio::time::sleep(IDLE));
                }
            }
        }
    }

    /// Goes over to a newer snapshot.
    fn follow(&mut self, snapshot: Arc<Snapshot<T>>, now: Moment) {
        if !Arc::ptr_eq(&self.snapshot, &snapshot) {
            self.snapshot = snapshot;
            self.plan(now);
        }
    }

    /// Brings the lanes in line with the snapshot.
    fn plan(&mut self, now: Moment) {
        let snapshot = Arc::clone(&self.snapshot);
        let mut before = std::mem::take(&mut self.lanes);
        let upstreams = snapshot.config().upstreams.iter().zip(snapshot.groups());
        for (index, (config, group)) in upstreams.enumerate() {
            let Some(check) = &config.health.active else {
                continue;
            };
            let pace = Pace::of(check);
            let mut lane = before.remove(&config.name).unwrap_or_else(|| Lane {
                group: index,
                schedule: Schedule::new(pace),
                targets: HashMap::new(),
            });
            lane.group = index;
            lane.schedule.set_pace(now, pace);
            lane.renew(group, &mut self.next_id, now);
            self.lanes.insert(config.name.clone(), lane);
        }
        let targets = self.lanes.iter();
        let targets = targets.map(|(upstream, lane)| (upstream.as_str(), lane.addresses()));
        self.latest.keep(&targets.collect());
    }

    fn start_due(&mut self) {
        let now = clock::now();
        let mut due = Vec::new();
        for (upstream, lane) in &mut self.lanes {
            while let Some(target) = lane.schedule.start(now, rand::random()) {
                if let Some(place) = lane.targets.get(&target) {
                    due.push((upstream.clone(), target, lane.group, place.member));
                }
            }
        }
        for (upstream, target, group, member) in due {
            self.spawn(Running { upstream, target }, group, member);
        }
    }

    fn spawn(&mut self, running: Running, group: usize, member: usize) {
        let probes = self.probes.get_or_insert_with(|| Arc::new(Probes::new()));
        let (probes, snapshot) = (Arc::clone(probes), Arc::clone(&self.snapshot));
        let peer = self.peer;
        let handle = self.checks.spawn(async move {
            let began = clock::now();
            let verdict = check(&probes, &snapshot, peer, group, member).await;
            Finding {
                verdict,
                took: clock::now().since(began),
            }
        });
        self.running.insert(handle.id(), running);
    }

    /// Tells the member what its check came to.
    fn ended(&mut self, ended: Result<(task::Id, Finding), JoinError>) {
        let (task, finding) = match ended {
            Ok((task, finding)) => (task, finding),
            // A slot must come back even from a check that fell over.
            Err(error) => (error.id(), Finding::broken(&error)),
        };
        let Some(Running { upstream, target }) = self.running.remove(&task) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(&upstream) else {
            return;
        };
        lane.schedule.finish(target);
        if let Some(place) = lane.targets.get(&target) {
            let checked = finding.checked();
            self.latest
                .note(&upstream, place.endpoint.address(), checked);
            finding.report(&self.snapshot.groups()[lane.group], place.member);
        }
    }

    fn wake(&self) -> Option<Moment> {
        let wakes = self.lanes.values().filter_map(|lane| lane.schedule.wake());
        wakes.min()
    }
}

fn pause(wake: Option<Moment>, now: Moment) -> Duration {
    wake.map_or(IDLE, |wake| wake.since(now)).min(IDLE)
}

impl Lane {
    fn addresses(&self) -> HashSet<SocketAddr> {
        let places = self.targets.values();
        places.map(|place| place.endpoint.address()).collect()
    }

    /// Takes over the members of `group`: those that stay keep their turn.
    fn renew<T>(&mut self, group: &Group<T>, next_id: &mut Id, now: Moment) {
        let key = |endpoint: &Arc<Endpoint>| Arc::as_ptr(endpoint) as usize;
        let known: HashMap<usize, Id> = self
            .targets
            .iter()
            .map(|(id, place)| (key(&place.endpoint), *id))
            .collect();
        let (mut stay, mut new) = (HashSet::new(), Vec::new());
        for (member, one) in group.upstream.members().iter().enumerate() {
            let endpoint = Arc::clone(&one.endpoint);
            let id = known.get(&key(&endpoint)).copied().unwrap_or_else(|| {
                *next_id += 1;
                new.push(*next_id);
                *next_id
            });
            stay.insert(id);
            self.targets.insert(id, Place { endpoint, member });
        }
        for gone in known.values().filter(|id| !stay.contains(*id)) {
            self.targets.remove(gone);
            self.schedule.remove(*gone);
        }
        self.schedule.add(now, &new);
    }
}

impl Finding {
    fn broken(error: &JoinError) -> Self {
        Self {
            verdict: Verdict::Failed(format!("the check itself failed: {error}")),
            took: Duration::ZERO,
        }
    }

    fn checked(&self) -> Checked {
        let result = self.verdict.clone().into_result();
        Checked {
            unix_millis: clock::unix_millis(),
            result: result.map_err(|failure| failure.words().to_owned()),
        }
    }

    fn report<T>(self, group: &Group<T>, member: usize) {
        group.backends[member].check(self.verdict.label(), self.took);
        let result = self.verdict.into_result();
        if let Err(failure) = &result {
            let upstream = group.upstream.name();
            let backend = group.upstream.members()[member].endpoint.name();
            let reason = failure.words();
            tracing::debug!(upstream, backend, reason, "health check failed");
        }
        group.upstream.record_check(member, clock::now(), result);
    }
}

/// Checks the member at these positions of a snapshot.
async fn check<T>(
    probes: &Probes,
    snapshot: &Snapshot<T>,
    peer: fn(&T) -> HttpPeer,
    group: usize,
    member: usize,
) -> Verdict {
    let active = &snapshot.config().upstreams[group].health.active;
    let active = active
        .as_ref()
        .expect("only upstreams with active checks have a lane");
    let group = &snapshot.groups()[group];
    let target = Target {
        peer: peer(&group.transports[member]),
        host: group.upstream.members()[member].host.as_deref(),
    };
    probes.check(active, target).await
}

#[cfg(test)]
mod tests;
