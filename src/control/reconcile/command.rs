//! What the reconciler can be asked for, and how it answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::found::{Found, Sighting, Taken};
use crate::clock::Moment;
use crate::config::{Choice, Config};
use crate::upstream::Mode;

/// Commands that wait at a time; whoever has more to say waits.
pub(super) const QUEUE: usize = 1024;

/// A backend of an upstream, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The upstream's name.
    pub upstream: String,
    /// The backend's id.
    pub backend: String,
}

/// A backend reports itself.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Who.
    pub place: Place,
    /// Where it listens, `host:port`, as it was said.
    pub address: String,
    /// What that resolves to; empty when the look-up failed. Any of them will do.
    pub resolved: Vec<SocketAddr>,
    /// The weight it claims; `None` leaves it as it is, at first 1.
    pub weight: Option<u32>,
    /// How long until it must report itself again.
    pub ttl: Duration,
}

/// What a heartbeat came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The backend is in the set from now on, or again.
    Registered,
    /// It was and stays there.
    Renewed,
}

/// The weight the operator wants a backend to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// This one, whatever the backend or the configuration says.
    Fixed(u32),
    /// The one that the configuration or the backend itself says.
    Own,
}

/// What the operator changes about a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Another weight.
    pub weight: Option<Weighing>,
    /// Whether it takes requests.
    pub mode: Option<Mode>,
}

/// What a process begins with beside its configuration: what the one before it was told.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The registered backends.
    pub heartbeats: Vec<Heartbeat>,
    /// What the operator wants of backends.
    pub wishes: Vec<(Place, Change)>,
    /// What the operator wants upstreams to choose by.
    pub algorithms: Vec<(String, Choice)>,
}

/// What was said about a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How it registered; `None` when it stands in the configuration or was found.
    pub lease: Option<Lease>,
    /// The id of the source that found it; `None` when it registered or stands in the configuration.
    pub found_by: Option<String>,
    /// The weight that the operator wants instead of its own.
    pub weight: Option<u32>,
    /// What else the operator wants.
    pub mode: Mode,
}

/// What a registered backend last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Where it listens, `host:port`.
    pub address: String,
    /// Its own weight.
    pub weight: u32,
    /// How long a heartbeat holds.
    pub ttl: Duration,
    /// When it is out of the rotation.
    pub deadline: Moment,
}

/// What was said about the backends of an upstream, by their ids.
pub type Records = HashMap<String, Record>;

/// Stands for everything about an upstream that a write can change: equal where nothing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u64);

/// What was said about an upstream.
#[derive(Clone, Debug)]
pub struct Told {
    /// Changes with the rest of it.
    pub tag: Tag,
    /// What the configuration chooses backends by.
    pub configured: Choice,
    /// What the operator wants instead.
    pub algorithm: Option<Choice>,
    /// What was said about its backends.
    pub backends: Records,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such upstream.
    #[error("there is no upstream `{0}`")]
    UnknownUpstream(String),
    /// There is no such backend.
    #[error("upstream `{}` has no backend `{}`", .0.upstream, .0.backend)]
    UnknownBackend(Place),
    /// The upstream takes no registrations.
    #[error("upstream `{0}` takes no registrations")]
    NoRegistry(String),
    /// The backend stands in the configuration, which alone speaks for it.
    #[error("backend `{}` of upstream `{}` stands in the configuration file", .0.backend, .0.upstream)]
    Configured(Place),
    /// The backend was found by a source, which alone speaks for it.
    #[error("backend `{}` of upstream `{}` was found by {source_id}", .place.backend, .place.upstream)]
    Discovered {
        /// The backend.
        place: Place,
        /// The source.
        source_id: String,
    },
    /// Another backend of the upstream has the address.
    #[error("{address} is the address of backend `{holder}` already")]
    AddressTaken {
        /// The address.
        address: SocketAddr,
        /// The backend that has it.
        holder: String,
    },
    /// The upstream has as many backends as it may have.
    #[error("upstream `{upstream}` has {limit} registered backends, which is its limit")]
    Full {
        /// The upstream.
        upstream: String,
        /// How many it may have.
        limit: usize,
    },
    /// The address's name cannot be looked up.
    #[error("`{0}` cannot be looked up")]
    Unresolved(String),
    /// The upstream is not as the command was given for.
    #[error("upstream `{0}` has changed meanwhile")]
    Changed(String),
    /// The reconciler has ended.
    #[error("the process is ending")]
    Ended,
}

/// The position of an upstream.
pub(super) fn position(config: &Config, upstream: &str) -> Result<usize, Refusal> {
    let mut upstreams = config.upstreams.iter();
    upstreams
        .position(|one| one.name == upstream)
        .ok_or_else(|| Refusal::UnknownUpstream(upstream.to_owned()))
}

/// A command and where its answer goes.
#[derive(Debug)]
pub(super) enum Command {
    Report(Heartbeat, Answer<Reported>),
    Leave(Place, Answer<()>),
    Amend(Place, Change, Answer<()>),
    Forget(Place, Answer<()>),
    Steer(String, Option<Choice>, Answer<()>),
    Recall(String, Answer<Told>),
    Hold(Answer<()>),
    /// What a source sees.
    Find(Sighting, Answer<Taken>),
    /// Only while the upstream's tag is one of these.
    Provided(Arc<[Tag]>, Box<Command>),
}

impl Command {
    /// The upstream that it is about, where it is about one.
    pub(super) fn upstream(&self) -> Option<&str> {
        match self {
            Self::Report(heartbeat, _) => Some(&heartbeat.place.upstream),
            Self::Leave(place, _) | Self::Amend(place, ..) | Self::Forget(place, _) => {
                Some(&place.upstream)
            }
            Self::Steer(upstream, ..) | Self::Recall(upstream, _) => Some(upstream),
            Self::Find(sighting, _) => Some(&sighting.upstream),
            Self::Hold(_) => None,
            Self::Provided(_, command) => command.upstream(),
        }
    }
}

pub(super) type Answer<A> = oneshot::Sender<Result<A, Refusal>>;

/// Gives the reconciler its commands. Each method returns when what it asks for is in force.
#[derive(Clone, Debug)]
pub struct Commands {
    queue: mpsc::Sender<Command>,
    provided: Option<Arc<[Tag]>>,
}

impl Commands {
    pub(super) const fn new(queue: mpsc::Sender<Command>) -> Self {
        Self {
            queue,
            provided: None,
        }
    }

    /// Commands that are refused unless the upstream they are about has one of these tags;
    /// nothing comes between the look and the deed.
    #[must_use]
    pub fn provided(&self, tags: Vec<Tag>) -> Self {
        Self {
            queue: self.queue.clone(),
            provided: Some(tags.into()),
        }
    }

    /// Registers a backend, or renews its registration.
    pub async fn report(&self, heartbeat: Heartbeat) -> Result<Reported, Refusal> {
        self.ask(|answer| Command::Report(heartbeat, answer)).await
    }

    /// Takes a registered backend out; requests in flight to it are finished.
    pub async fn leave(&self, place: Place) -> Result<(), Refusal> {
        self.ask(|answer| Command::Leave(place, answer)).await
    }

    /// Changes what the operator may change.
    pub async fn amend(&self, place: Place, change: Change) -> Result<(), Refusal> {
        self.ask(|answer| Command::Amend(place, change, answer))
            .await
    }

    /// Forgets what was asked of a backend that is gone for good: whoever comes by its id is another.
    pub async fn forget(&self, place: Place) -> Result<(), Refusal> {
        self.ask(|answer| Command::Forget(place, answer)).await
    }

    /// Makes an upstream choose by this; `None` is what the configuration says.
    pub async fn steer(&self, upstream: &str, algorithm: Option<Choice>) -> Result<(), Refusal> {
        let upstream = upstream.to_owned();
        self.ask(|answer| Command::Steer(upstream, algorithm, answer))
            .await
    }

    /// What was said about an upstream and its backends.
    pub async fn recall(&self, upstream: &str) -> Result<Told, Refusal> {
        let upstream = upstream.to_owned();
        self.ask(|answer| Command::Recall(upstream, answer)).await
    }

    /// Nobody can renew here any more: registered backends stay in the rotation.
    pub async fn hold(&self) -> Result<(), Refusal> {
        self.ask(Command::Hold).await
    }

    /// Tells everything that a source sees; what it saw before and sees no more leaves the upstream,
    /// and requests in flight to that are finished. A source that cannot be asked tells nothing.
    pub async fn found(
        &self,
        upstream: &str,
        source: &str,
        found: Vec<Found>,
    ) -> Result<Taken, Refusal> {
        let sighting = Sighting {
            upstream: upstream.to_owned(),
            source: source.to_owned(),
            found,
        };
        self.ask(|answer| Command::Find(sighting, answer)).await
    }

    async fn ask<A>(&self, command: impl FnOnce(Answer<A>) -> Command) -> Result<A, Refusal> {
        let (answer, answered) = oneshot::channel();
        let command = command(answer);
        let command = match &self.provided {
            Some(tags) => Command::Provided(Arc::clone(tags), Box::new(command)),
            None => command,
        };
        let sent = self.queue.send(command).await;
        sent.map_err(|_| Refusal::Ended)?;
        answered.await.map_err(|_| Refusal::Ended)?
    }
}
