//! Configurations, as the reconciler takes them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::command::{Refusal, position};
use super::found::Sighting;
use super::set::Set;
use crate::config::{self, Config};
use crate::upstream::{Member, Resolved};

/// Makes the way to a backend of the upstream at a position.
pub type Transports<T> = Box<dyn Fn(usize, &Member) -> T + Send + Sync>;

/// What one configuration brings, files it names included: loaded as a whole or not at all.
pub struct Origin<T> {
    /// The configuration.
    pub config: Arc<Config>,
    /// The addresses of every upstream's backends, in the configuration's order.
    pub configured: Vec<Vec<Resolved>>,
    /// What sources see that were not asked before: an upstream must not begin without its backends.
    pub sightings: Vec<Sighting>,
    /// How they are reached.
    pub transports: Transports<T>,
}

impl<T> Origin<T> {
    /// The set of each upstream: that of `known` by its name, or a new one. First sightings are taken.
    pub(super) fn sets(&mut self, mut known: HashMap<String, Set>) -> Vec<Set> {
        let upstreams = self.config.upstreams.iter().zip(&self.configured);
        let set = |(upstream, configured): (&config::Upstream, &Vec<Resolved>)| {
            let configured = configured.clone();
            match known.remove(&upstream.name) {
                Some(mut set) => {
                    set.reconfigure(upstream, configured);
                    set
                }
                None => Set::new(upstream, configured),
            }
        };
        let mut sets: Vec<Set> = upstreams.map(set).collect();
        for sighting in std::mem::take(&mut self.sightings) {
            if let Ok(upstream) = position(&self.config, &sighting.upstream) {
                sets[upstream].find(&sighting.source, sighting.found);
            }
        }
        sets
    }
}

/// Configurations that wait at a time.
pub(super) const QUEUE: usize = 1;

/// A configuration to go over to, and who waits for that.
pub(super) struct Load<T> {
    pub(super) origin: Origin<T>,
    pub(super) done: oneshot::Sender<()>,
}

/// Gives the reconciler its configurations.
pub struct Loads<T> {
    queue: mpsc::Sender<Load<T>>,
}

impl<T> Loads<T> {
    pub(super) const fn new(queue: mpsc::Sender<Load<T>>) -> Self {
        Self { queue }
    }

    /// Goes over to another configuration; returns when it is in force.
    pub async fn load(&self, origin: Origin<T>) -> Result<(), Refusal> {
        let (done, loaded) = oneshot::channel();
        let sent = self.queue.send(Load { origin, done }).await;
        sent.map_err(|_| Refusal::Ended)?;
        loaded.await.map_err(|_| Refusal::Ended)
    }
}
