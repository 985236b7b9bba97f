//! What happened, in order: backends that changed their state, algorithms that
//! switched, reloads, sources of backends, what operators did.
//!
//! The last [`KEPT`] entries are kept, so that whoever looks later, or comes
//! back after a break, can read on where they stopped; every entry is also told
//! to whoever listens at the moment. Both are bounded: a listener that is slower
//! than the events loses the oldest of them and is told how many.
//!
//! An entry is noted under a lock that is held for as long as it takes to push
//! it, never on the request path.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use tokio::sync::broadcast;

use super::words;
use crate::clock;
use crate::config::Algorithm;
use crate::state::{Reason, State};

/// Entries that are kept, and that a listener may lag behind.
pub const KEPT: usize = 512;

/// The errors of one reload that are kept.
const MAX_ERRORS: usize = 100;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    /// A backend changed its state.
    Backend {
        /// Its upstream's name.
        upstream: String,
        /// Its id.
        backend: String,
        /// What it was.
        #[serde(serialize_with = "words::write")]
        #[schemars(schema_with = "words::schema::<State>")]
        from: State,
        /// What it is.
        #[serde(serialize_with = "words::write")]
        #[schemars(schema_with = "words::schema::<State>")]
        to: State,
        /// Why.
        #[serde(serialize_with = "words::write")]
        #[schemars(schema_with = "words::schema::<Reason>")]
        reason: Reason,
        /// The evidence in words, where there is more than the reason says.
        detail: Option<String>,
    },
    /// A backend would have been ejected, but the configuration says to observe only.
    Observed {
        /// Its upstream's name.
        upstream: String,
        /// Its id.
        backend: String,
        /// Why.
        #[serde(serialize_with = "words::write")]
        #[schemars(schema_with = "words::schema::<Reason>")]
        reason: Reason,
        /// The evidence in words.
        detail: String,
    },
    /// `adaptive` chose another algorithm.
    Algorithm {
        /// The upstream's name.
        upstream: String,
        /// What it was.
        #[serde(serialize_with = "words::write")]
        #[schemars(schema_with = "words::schema::<Algorithm>")]
        from: Algorithm,
        /// What it is.
        #[serde(serialize_with = "words::write")]
        #[schemars(schema_with = "words::schema::<Algorithm>")]
        to: Algorithm,
        /// The evidence in words.
        detail: String,
    },
    /// A configuration was taken or refused.
    Reload {
        /// What led to it: `start`, `file`, `signal` or `api`.
        trigger: &'static str,
        /// What changed, or every error.
        #[serde(flatten, serialize_with = "write_result")]
        #[schemars(with = "Outcome")]
        result: Result<String, Vec<String>>,
    },
    /// A source of backends cannot be asked any more, or answers again.
    Source {
        /// The upstream's name.
        upstream: String,
        /// What it is: `dns`, `file`, `docker`.
        source: String,
        /// Whether it answers.
        up: bool,
        /// In words.
        detail: String,
    },
    /// The autoscaler changed the size of an upstream, or could not.
    Scaling {
        /// The upstream's name.
        upstream: String,
        /// Backends before; null where no size was changed.
        from: Option<u32>,
        /// Backends from now on.
        to: Option<u32>,
        /// Why, in a word.
        reason: &'static str,
        /// The same in words, with what failed.
        detail: String,
    },
    /// Something was changed through the API.
    Operator {
        /// What, and by whom.
        what: String,
    },
}

/// What a reload came to, as JSON.
#[derive(Serialize, JsonSchema)]
struct Outcome<'r> {
    /// Whether it was taken.
    ok: bool,
    /// What changed; null where it was refused.
    summary: Option<&'r str>,
    /// Why it was refused; the first hundred.
    errors: &'r [String],
}

fn write_result<S: Serializer>(
    result: &Result<String, Vec<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let outcome = match result {
        Ok(summary) => Outcome {
            ok: true,
            summary: Some(summary),
            errors: &[],
        },
        Err(errors) => Outcome {
            ok: false,
            summary: None,
            errors,
        },
    };
    outcome.serialize(serializer)
}

impl Happening {
    /// The word for its kind, as in the JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Backend { .. } => "backend",
            Self::Observed { .. } => "observed",
            Self::Algorithm { .. } => "algorithm",
            Self::Reload { .. } => "reload",
            Self::Source { .. } => "source",
            Self::Scaling { .. } => "scaling",
            Self::Operator { .. } => "operator",
        }
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Entry {
    /// Its number; the first one has 1, and each the next.
    pub id: u64,
    /// When it was noted, in seconds since 1970.
    pub at: f64,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
}

/// Entries from some point on, and everything that comes after them.
#[derive(Debug)]
pub struct Subscription {
    /// What is kept of what was asked for, oldest first.
    pub replay: Vec<Arc<Entry>>,
    /// Entries that were asked for and are kept no more.
    pub lost: u64,
    /// What comes next.
    pub live: broadcast::Receiver<Arc<Entry>>,
}

/// The last entries, and whoever listens.
#[derive(Debug)]
pub struct Timeline {
    log: Mutex<Log>,
    live: broadcast::Sender<Arc<Entry>>,
}

#[derive(Debug, Default)]
struct Log {
    /// The newest entry's number.
    last: u64,
    /// Oldest first.
    kept: VecDeque<Arc<Entry>>,
    /// The last reload, however long ago.
    reload: Option<Arc<Entry>>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            log: Mutex::default(),
            live: broadcast::Sender::new(KEPT),
        }
    }
}

impl Timeline {
    /// Writes down what happened just now. Never waits.
    pub fn note(&self, happening: Happening) {
        self.note_at(clock::unix_millis(), happening);
    }

    fn note_at(&self, unix_millis: u64, mut happening: Happening) {
        if let Happening::Reload {
            result: Err(errors),
            ..
        } = &mut happening
        {
            errors.truncate(MAX_ERRORS);
        }
        let mut log = self.log();
        log.last += 1;
        let entry = Arc::new(Entry {
            id: log.last,
            at: unix_millis as f64 / 1e3,
            happening,
        });
        if matches!(entry.happening, Happening::Reload { .. }) {
            log.reload = Some(Arc::clone(&entry));
        }
        if log.kept.len() == KEPT {
            log.kept.pop_front();
        }
        log.kept.push_back(Arc::clone(&entry));
        // Still under the lock, so that listeners hear in the order of the numbers. An error
        // means that nobody listens.
        let _ = self.live.send(entry);
    }

    /// The last `count` entries, oldest first.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<Arc<Entry>> {
        let log = self.log();
        let skipped = log.kept.len().saturating_sub(count);
        log.kept.iter().skip(skipped).cloned().collect()
    }

    /// The last reload.
    #[must_use]
    pub fn last_reload(&self) -> Option<Arc<Entry>> {
        self.log().reload.clone()
    }

    /// Why a backend is in its present state, where that was noted and is still kept.
    #[must_use]
    pub fn evidence(&self, upstream: &str, backend: &str) -> Option<String> {
        let log = self.log();
        log.kept
            .iter()
            .rev()
            .find_map(|entry| match &entry.happening {
                Happening::Backend {
                    upstream: at,
                    backend: who,
                    detail,
                    ..
                } if at == upstream && who == backend => Some(detail.clone()),
                _ => None,
            })?
    }

    /// The last `count` entries and all later ones, none left out and none twice.
    #[must_use]
    pub fn follow(&self, count: usize) -> Subscription {
        let log = self.log();
        let skipped = log.kept.len().saturating_sub(count);
        Subscription {
            replay: log.kept.iter().skip(skipped).cloned().collect(),
            lost: 0,
            live: self.live.subscribe(),
        }
    }

    /// Every entry after the one with this number, as [`Self::follow`]. A number that was not
    /// given out yet comes from a process before this one: then everything that is kept follows.
    #[must_use]
    pub fn follow_after(&self, id: u64) -> Subscription {
        let log = self.log();
        let id = if id > log.last { 0 } else { id };
        let oldest = log.last - log.kept.len() as u64;
        Subscription {
            replay: log
                .kept
                .iter()
                .filter(|entry| entry.id > id)
                .cloned()
                .collect(),
            lost: oldest.saturating_sub(id),
            live: self.live.subscribe(),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
