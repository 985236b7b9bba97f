//! What the reconciler can be asked for, and how it answers.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::found::{Found, Sighting, Taken};
use crate::clock::Moment;
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

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            Some(Weighing::Fixed(weight)) => write!(f, "weight {weight}, ")?,
            Some(Weighing::Own) => f.write_str("own weight, ")?,
            None => {}
        }
        f.write_str(match self.mode {
            Some(Mode::Active) => "active",
            Some(Mode::Draining { .. }) => "draining",
            Some(Mode::Maintenance) => "maintenance",
            None => "state unchanged",
        })
    }
}

/// What a process begins with beside its configuration: what the one before it was told.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The registered backends.
    pub heartbeats: Vec<Heartbeat>,
    /// What the operator wants of backends.
    pub wishes: Vec<(Place, Change)>,
    /// What sources have found.
    pub sightings: Vec<Sighting>,
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
    /// The reconciler has ended.
    #[error("the process is ending")]
    Ended,
}

/// A command and where its answer goes.
#[derive(Debug)]
pub(super) enum Command {
    Report(Heartbeat, Answer<Reported>),
    Leave(Place, Answer<()>),
    Amend(Place, Change, Answer<()>),
    Recall(String, Answer<Records>),
    Hold(Answer<()>),
    Find(Sighting, Answer<Taken>),
}

pub(super) type Answer<A> = oneshot::Sender<Result<A, Refusal>>;

/// Gives the reconciler its commands. Each method returns when what it asks for is in force.
#[derive(Clone, Debug)]
pub struct Commands {
    pub(super) queue: mpsc::Sender<Command>,
}

impl Commands {
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

    /// What was said about the backends of an upstream.
    pub async fn recall(&self, upstream: &str) -> Result<Records, Refusal> {
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
        let sent = self.queue.send(command(answer)).await;
        sent.map_err(|_| Refusal::Ended)?;
        answered.await.map_err(|_| Refusal::Ended)?
    }
}
