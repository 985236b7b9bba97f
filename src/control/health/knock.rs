//! Trying to connect to backends that refused connections and that nobody checks.
//!
//! Were it left to requests, each pause would cost one client a failure, and if
//! the backend's machine is gone, the whole of the connect timeout. An upstream
//! with active checks needs none of this: its checks find out.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::probe::Probes;
use crate::clock;
use crate::snapshot::{Published, Snapshot};
use crate::upstream::Knock;

/// How often it is looked whether somebody is due: well below the time that requests leave us.
const TICK: Duration = Duration::from_millis(50);

/// Attempts at a time; the others wait, and requests may find out first.
const CONCURRENCY: usize = 256;

/// Knocks wherever it is due, until the task is dropped.
pub(super) async fn run<T>(published: &Published<T>, peer: fn(&T) -> HttpPeer)
where
    T: Send + Sync + 'static,
{
    // Made when first needed: reading the system's certificates takes time and memory.
    let mut probes = None;
    let mut attempts = JoinSet::new();
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        while attempts.try_join_next().is_some() {}
        let snapshot = published.load();
        for (group, one) in snapshot.groups().iter().enumerate() {
            for member in 0..one.upstream.members().len() {
                if attempts.len() >= CONCURRENCY {
                    break;
                }
                let Some(knock) = one.upstream.knock(member, clock::now()) else {
                    continue;
                };
                let probes = probes.get_or_insert_with(|| Arc::new(Probes::new()));
                let attempt = Attempt {
                    snapshot: Arc::clone(&snapshot),
                    group,
                    member,
                    knock,
                };
                attempts.spawn(attempt.make(Arc::clone(probes), peer));
            }
        }
    }
}

/// One attempt to connect.
struct Attempt<T> {
    snapshot: Arc<Snapshot<T>>,
    group: usize,
    member: usize,
    knock: Knock,
}

impl<T> Attempt<T> {
    async fn make(self, probes: Arc<Probes>, peer: fn(&T) -> HttpPeer) {
        let group = &self.snapshot.groups()[self.group];
        let limit = self.snapshot.config().upstreams[self.group]
            .timeouts
            .connect;
        let peer = peer(&group.transports[self.member]);
        let connected = probes.can_connect(peer, limit).await;
        group.upstream.knocked(&self.knock, clock::now(), connected);
    }
}
