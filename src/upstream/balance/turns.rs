//! Whose turn it is.
//!
//! One counter that goes on with every decision, and stands still where a
//! decision is only foreseen.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Request;

/// A count of turns. Wraps.
#[derive(Debug)]
pub(super) struct Turns(AtomicU64);

impl Turns {
    /// Begins with the turn `first`.
    pub(super) const fn new(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    /// The request's next turn.
    pub(super) fn next(&self, request: &mut Request<'_>) -> u64 {
        let Some(foreseen) = &mut request.foreseen else {
            return self.0.fetch_add(1, Ordering::Relaxed);
        };
        let turn = self.peek().wrapping_add(*foreseen);
        *foreseen += 1;
        turn
    }

    /// The turn that comes next.
    pub(super) fn peek(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
