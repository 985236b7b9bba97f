//! Values that are read when a scrape asks for them.
//!
//! They live in the parts that own them (an endpoint's in-flight count, a
//! queue's length); copying each change into a gauge would cost every request.
//! Whoever knows those parts hands over a [`LiveSource`] that reports them in
//! these plain terms.

use crate::config::Algorithm;

/// Whether a backend may get requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// It may.
    Up,
    /// It does not answer its checks, or not yet.
    Down,
}

impl BackendState {
    /// Every state, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[Self::Up, Self::Down];

    /// The word in the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One reading.
#[derive(Clone, Copy, Debug)]
pub enum Live<'a> {
    /// A listener; at most once per name.
    Listener {
        /// Its name.
        listener: &'a str,
        /// Client connections open now.
        active_connections: u64,
    },
    /// An upstream; at most once per name.
    Upstream {
        /// Its name.
        upstream: &'a str,
        /// The algorithm in use.
        algorithm: Algorithm,
        /// Requests waiting for a free slot.
        waiting: u64,
    },
    /// A backend; at most once per upstream and name.
    Backend {
        /// Its upstream's name.
        upstream: &'a str,
        /// Its `host:port`.
        backend: &'a str,
        /// Requests in flight to it.
        in_flight: u64,
        /// Connections open to it, idle ones included.
        connections: u64,
        /// Its weight.
        weight: f64,
        /// Its state.
        state: BackendState,
    },
    /// The process log.
    Log {
        /// Lines lost so far.
        dropped: u64,
    },
}

/// Reports every [`Live`] value there is, in any order. Called once per scrape;
/// must not block.
pub type LiveSource = Box<dyn Fn(&mut dyn FnMut(Live<'_>)) + Send + Sync>;
