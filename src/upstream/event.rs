//! What happened to an upstream's backends, for whoever keeps the record.
//!
//! States change on the request path, where nobody may wait for a log. So an
//! event is handed to a bounded channel and counted as lost when that is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::clock::Moment;
use crate::config::Algorithm;
use crate::state::{Reason, State};

/// Something that happened in an upstream.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A backend changed its state.
    State {
        /// Its `host:port`.
        backend: Arc<str>,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
        /// Why.
        reason: Reason,
        /// The evidence in words, where there is more than the reason says.
        detail: Option<String>,
    },
    /// A backend would have been ejected, but the configuration says to observe only.
    Observed {
        /// Its `host:port`.
        backend: Arc<str>,
        /// Why.
        reason: Reason,
        /// The evidence in words.
        detail: String,
    },
    /// Another algorithm is in force.
    Switched {
        /// What it was.
        from: Algorithm,
        /// What it is.
        to: Algorithm,
        /// The evidence in words.
        detail: String,
    },
}

/// Where events go. Cloning it is cheap; all clones feed one receiver.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    sender: Option<mpsc::Sender<Event>>,
    lost: Arc<AtomicU64>,
}

impl Journal {
    /// A journal and the end that reads it; more than `capacity` unread events are lost.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let journal = Self {
            sender: Some(sender),
            lost: Arc::default(),
        };
        (journal, receiver)
    }

    /// Events that found the journal full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes an event down. Never waits.
    pub(crate) fn note(&self, event: Event) {
        let Some(sender) = &self.sender else {
            return;
        };
        if sender.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
