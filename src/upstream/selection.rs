//! What a selection gives.

use std::sync::Arc;

use super::endpoint::{Endpoint, Probe, Slot};
use crate::config::Algorithm;

/// A backend that was chosen, and the slot the request occupies there.
///
/// Dropping it frees the slot, wakes a request that waits, and lets the next
/// probe go where this was one.
#[derive(Debug)]
pub struct Selection {
    pub(super) member: usize,
    pub(super) algorithm: Algorithm,
    pub(super) reason: PickReason,
    // Before the slot: who is woken by the slot must find the probe's place free.
    pub(super) probe: Option<Probe>,
    pub(super) slot: Slot,
}

impl Selection {
    /// The member's position in [`Upstream::members`](super::Upstream::members).
    #[must_use]
    pub const fn member(&self) -> usize {
        self.member
    }

    /// The chosen backend.
    #[must_use]
    pub const fn endpoint(&self) -> &Arc<Endpoint> {
        self.slot.endpoint()
    }

    /// The backend has nothing more to do: its slot is free from now on, before the client has the
    /// end of its answer and can send the next request. A probe keeps its slot until it is decided.
    pub fn done(&mut self) {
        if self.probe.is_none() {
            self.slot.free();
        }
    }

    /// The algorithm that was in force, also where the choice was not its own.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Why this backend.
    #[must_use]
    pub const fn reason(&self) -> PickReason {
        self.reason
    }
}

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PickReason {
    /// The algorithm chose it among the primaries.
    Algorithm,
    /// The client's cookie names it.
    Sticky,
    /// No primary qualified.
    Backup,
    /// Too few backends are available, so health was ignored.
    Panic,
    /// To see whether it is back, or how fast it is by now.
    Probe,
}

impl PickReason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Algorithm,
        Self::Sticky,
        Self::Backup,
        Self::Panic,
        Self::Probe,
    ];

    /// The word in the metrics and the log.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Sticky => "sticky",
            Self::Backup => "backup",
            Self::Panic => "panic",
            Self::Probe => "probe",
        }
    }
}

/// Why there is no backend for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// None is left that is up and not tried.
    #[error("no backend is available")]
    NoBackend,
    /// Those that are left are at their in-flight cap, or others have waited longer.
    #[error("every available backend is at its limit")]
    Saturated,
}

impl Unavailable {
    /// The word in the API; the reason of the answer that follows from it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoBackend => "no_backend",
            Self::Saturated => "saturated",
        }
    }
}
