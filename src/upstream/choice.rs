//! What a decision arrives at, and what is done with it.
//!
//! A decision is made to serve a request or to foresee what would serve it. Both
//! take the same way through the same code, so that an explanation cannot differ
//! from what it explains; they part only where a turn is used up and where a slot
//! is taken.

use super::ask::Ask;
use super::breaker::Trip;
use super::selection::PickReason;
use crate::config::Algorithm;

/// What a decision is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request is sent there.
    Serve,
    /// Somebody wants to know. No turn, no slot and no probe is used up.
    Foresee,
}

/// A decision to be made.
pub(crate) struct Task<'a, Take> {
    /// The request.
    pub(crate) ask: &'a Ask<'a>,
    /// What for.
    pub(crate) purpose: Purpose,
    /// What is done with a choice; `None` where it does not hold, and another one is to be made.
    pub(crate) take: Take,
}

/// A backend that a decision arrives at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Its position in the upstream.
    pub(crate) member: usize,
    /// The algorithm in force.
    pub(crate) algorithm: Algorithm,
    /// Why this one.
    pub(crate) reason: PickReason,
    /// How an open breaker is passed.
    pub(crate) entry: Entry,
    /// Whether the request's randomness had a part in it.
    pub(crate) drawn: bool,
}

/// How an open breaker is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Not at all.
    Closed,
    /// A panic ignores it, but for one that refused connections: there, as a probe.
    Panic,
    /// As a probe.
    Probe,
}

impl Entry {
    /// Whether the probe's place has to be taken; `None` where there is no way in.
    pub(crate) const fn needs_place(self, trip: Option<Trip>) -> Option<bool> {
        match (self, trip) {
            (Self::Closed, Some(_)) => None,
            (Self::Panic, Some(Trip::Connect)) | (Self::Probe, Some(_)) => Some(true),
            (_, None) | (Self::Panic, Some(_)) => Some(false),
        }
    }
}
