//! What the calls of the admin API work on.

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};

use super::view::Known;
use crate::clock::{self, Moment};
use crate::config::Secret;
use crate::control::autoscale::board::Board;
use crate::control::health::Latest;
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::{Commands, Refusal};
use crate::control::reload::Reloads;
use crate::control::timeline::Timeline;
use crate::control::traffic::Traffic;
use crate::observe::Decisions;
use crate::snapshot::Published;

/// Calls that may wait for a backend's last request at a time.
const MAX_WAITING: usize = 64;

/// Clients that may follow the timeline at a time.
const MAX_STREAMS: usize = 64;

/// What the calls work on.
pub struct Api<T> {
    pub(super) published: Arc<Published<T>>,
    pub(super) commands: Commands,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) token: Option<Secret>,
    /// Places for calls that wait for a backend's last request.
    pub(super) waiting: Semaphore,
    /// Places for clients that follow the timeline.
    pub(super) streams: Arc<Semaphore>,
    /// Whose turn it is to change the configuration.
    pub(super) configuring: Mutex<()>,
    pub(super) seen: Seen,
    pub(super) started: Started,
}

/// Where the API looks beside what is published.
pub struct Seen {
    /// What happened.
    pub timeline: Arc<Timeline>,
    /// How much traffic there is.
    pub traffic: Arc<Traffic>,
    /// What the autoscaler saw, decided and did.
    pub autoscaler: Arc<Board>,
    /// What the health checks came to.
    pub checks: Arc<Latest>,
    /// Where the data plane keeps sampled picks.
    pub decisions: Arc<Decisions>,
    /// Counts the clients' connections.
    pub connections: Box<dyn Fn() -> usize + Send + Sync>,
    /// The configuration, and the way to another; `None` where there is none to show.
    pub reloads: Option<Reloads>,
}

impl Default for Seen {
    /// Where there is nothing to be seen.
    fn default() -> Self {
        Self {
            timeline: Arc::default(),
            traffic: Arc::default(),
            autoscaler: Arc::default(),
            checks: Arc::default(),
            decisions: Arc::default(),
            connections: Box::new(|| 0),
            reloads: None,
        }
    }
}

/// When the API was made, which is when the process was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    pub(super) at: Moment,
    pub(super) unix_millis: u64,
}

impl<T> Api<T> {
    /// An API that reads `published`, gives `commands`, and asks for `token` if there is one.
    #[must_use]
    pub fn new(
        published: Arc<Published<T>>,
        commands: Commands,
        lifecycle: Arc<Lifecycle>,
        token: Option<Secret>,
        seen: Seen,
    ) -> Self {
        Self {
            published,
            commands,
            lifecycle,
            token,
            waiting: Semaphore::const_new(MAX_WAITING),
            streams: Arc::new(Semaphore::const_new(MAX_STREAMS)),
            configuring: Mutex::const_new(()),
            seen,
            started: Started {
                at: clock::now(),
                unix_millis: clock::unix_millis(),
            },
        }
    }

    /// What is known about an upstream at this moment.
    pub(super) async fn known(&self, upstream: &str) -> Result<Known, Refusal> {
        Ok(Known {
            told: self.commands.recall(upstream).await?,
            paces: self.seen.traffic.upstream(upstream),
            checks: self.seen.checks.of(upstream),
            now: clock::now(),
        })
    }
}
