//! What happened, in order, for whoever looks later: the last [`KEPT`] entries.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Entries that are kept.
pub const KEPT: usize = 512;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A source of backends cannot be asked any more, or answers again.
    Source {
        /// The upstream's name.
        upstream: String,
        /// The source's id.
        source: String,
        /// Whether it answers.
        up: bool,
        /// In words.
        detail: String,
    },
}

/// The last entries.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<VecDeque<Happening>>);

impl Timeline {
    /// Writes down what happened just now. Never waits.
    pub fn note(&self, happening: Happening) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(happening);
    }
}
