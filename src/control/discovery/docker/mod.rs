//! The containers of a Docker Engine, as it lists them and as its events say.
//!
//! An event says that it is worth looking: the whole list is asked for then, so
//! none can be missed for long. The list is asked for again a moment after the
//! events begin, because what happens between the two is told by neither, and
//! once a minute in any case. One thing the list does not say: that a container
//! was told to end. It runs until it has, but most programs take no connection
//! from then on, so it is left out as soon as the event is there.
//!
//! The calls are made without the client library that the driver has, over the
//! same connections. It reads a list into types of its own, all of which must fit,
//! so that one container in a state that it has never heard of would take every
//! other away; and its events have no bound. Here what is answered is read within
//! bounds, by the keys that count and no others, in the version that the Engine
//! itself says it has.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clock::{self, Moment};
use crate::config::DockerSource;
use crate::control::reconcile::Found;
use backoff::Backoff;
use container::{Container, Rule};
use engine::{Engine, Events};
use event::Event;

mod backoff;
mod container;
mod engine;
mod event;

/// The list is asked for again after so long, whatever the events say.
const RESYNC: Duration = Duration::from_mins(1);

/// The same when the events have only just begun.
const SETTLED: Duration = Duration::from_secs(1);

/// After an event, the list is asked for once nothing more has happened for so long, but not later
/// than the next constant says: starting a container is several events.
const QUIET: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(200);

/// A container that was told to end and has not after so long goes on.
const ENDING: Duration = Duration::from_mins(5);

/// Containers that end at a time; more end unnoticed until they have.
const MAX_ENDING: usize = 10_000;

/// Containers whose mistakes are remembered, so that each is told once.
const MAX_TOLD: usize = 1_000;

/// Lists the containers of one Engine.
pub(super) struct Docker {
    engine: Engine,
    labels: Vec<String>,
    rule: Rule,
    /// `None` until the Engine answers, and again when it does no more.
    events: Option<Events>,
    /// Whether the events began before the last list.
    is_settled: bool,
    backoff: Backoff,
    /// When containers were told to end, by id.
    ending: HashMap<String, Moment>,
    /// What was told about containers that cannot be used.
    told: HashSet<String>,
}

impl Docker {
    pub(super) fn new(source: DockerSource) -> Self {
        Self {
            engine: Engine::new(source.endpoint),
            labels: source.labels,
            rule: Rule {
                network: source.network,
                port: source.port,
            },
            events: None,
            is_settled: false,
            backoff: Backoff::default(),
            ending: HashMap::new(),
            told: HashSet::new(),
        }
    }

    pub(super) async fn look(&mut self) -> Result<Vec<Found>, String> {
        // Put back only when all went well: whatever else happens, a new connection is tried.
        let events = if let Some(events) = self.events.take() {
            events
        } else {
            self.is_settled = false;
            // Who has ended or begun anew meanwhile is told by nobody.
            self.ending.clear();
            self.engine.greet().await?;
            self.engine.events().await?
        };
        let containers = self.engine.containers(&self.labels).await?;
        self.events = Some(events);
        Ok(self.found(&containers))
    }

    pub(super) async fn pause(&mut self) {
        let longest = if self.is_settled { RESYNC } else { SETTLED };
        match timeout(longest, self.hear()).await {
            Ok(true) => {
                let quiet = async { while timeout(QUIET, self.hear()).await == Ok(true) {} };
                // Busy for too long: what is there by now is listed, and the rest after that.
                let _ = timeout(BUSY, quiet).await;
            }
            Ok(false) => {
                self.events = None;
                sleep(self.backoff.next(rand::random())).await;
            }
            Err(_) => {
                self.is_settled = true;
                self.backoff.reset();
            }
        }
    }

    /// Takes the next event in; `false` when there is none any more.
    async fn hear(&mut self) -> bool {
        let Some(events) = &mut self.events else {
            return false;
        };
        match events.next().await {
            Some(Event::Ending(id)) if self.ending.len() < MAX_ENDING => {
                self.ending.insert(id, clock::now());
            }
            Some(Event::Turned(id)) => {
                self.ending.remove(&id);
            }
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// The backends among the containers. What is wrong with one is told once.
    fn found(&mut self, containers: &[Container]) -> Vec<Found> {
        let mut found = Vec::with_capacity(containers.len());
        let mut wrong = HashSet::new();
        let now = clock::now();
        self.ending.retain(|_, since| now.since(*since) < ENDING);
        for container in containers {
            if self.ending.contains_key(container.id()) {
                continue;
            }
            let (backend, complaints) = self.rule.backend(container);
            found.extend(backend);
            wrong.extend(complaints);
        }
        for complaint in wrong.difference(&self.told).take(MAX_TOLD) {
            tracing::warn!("docker: {complaint}");
        }
        self.told = wrong.into_iter().take(MAX_TOLD).collect();
        found
    }
}
