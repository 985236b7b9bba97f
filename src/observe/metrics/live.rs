//! Values that are read when a scrape asks for them.
//!
//! They live in the parts that own them (an endpoint's in-flight count, a
//! queue's length); copying each change into a gauge would cost every request.
//! Whoever knows those parts hands over a [`LiveSource`] that reports them in
//! these plain terms.

use crate::config::Algorithm;
use crate::state::{Reason, State};

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
        /// Requests that may be in flight to each of its backends.
        in_flight_limit: u32,
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
        /// Share of its weight that it gets for now, between 0 and 1.
        share: f64,
        /// Its state.
        state: State,
        /// Why it is in it.
        reason: Reason,
    },
    /// A certificate that is shown to others; at most once per name.
    Certificate {
        /// Its place in the configuration.
        certificate: &'a str,
        /// When it ends, in Unix seconds.
        expires: i64,
    },
    /// The journal of what happens to backends.
    Journal {
        /// Events lost so far.
        lost: u64,
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
