//! Stage 4: which backend gets the request.
//!
//! [`Upstream::select`] turns a request's facts into a [`Selection`]: one
//! backend, the reason it was chosen, and the slot it occupies until the
//! selection is dropped. Everything here is pure. The present moment, the wall
//! clock and the randomness come in as parameters, nothing waits, nothing takes
//! a lock, and a decision allocates nothing.
//!
//! What changes from request to request lives in [`Endpoint`], in atomics, and
//! outlives every rebuild of the [`Upstream`] around it; an upstream itself is
//! immutable, so a request that holds one sees one consistent set of backends.
//!
//! The order of a decision: the backend named by the sticky cookie, then the
//! primaries, then the backups, and where too few are available, all of them
//! with their health ignored. Who qualifies is decided in one place,
//! `eligible`; the algorithms in `balance` only choose among those. The same code
//! explains a decision, in `explain`.

pub use ask::{Ask, Tried};
pub use balance::Measure;
pub use build::{BuildContext, MAX_MEMBERS};
pub use endpoint::Endpoint;
pub use event::{Event, EventKind, Journal};
pub use exclusion::Exclusion;
pub use explain::{Binding, Considered, Explanation, Foreseen, Panic, Source};
pub use failure::Failure;
pub(crate) use member::host_name;
pub use member::{Member, Resolved};
pub use overseer::Overseer;
pub use oversight::{CheckFailure, Mode, Status};
pub use probing::Knock;
pub use queue::{Freed, Full, Queue, Ticket};
pub use select::Upstream;
pub use selection::{PickReason, Selection, Unavailable};

mod adaptive;
mod ask;
mod availability;
mod balance;
mod breaker;
mod build;
mod choice;
mod condition;
mod draw;
mod eligible;
mod endpoint;
mod event;
mod evidence;
mod exclusion;
mod explain;
mod failure;
mod failures;
mod gate;
mod group;
pub mod hash_key;
mod latency;
mod member;
mod outlier;
mod overseer;
mod oversight;
mod probing;
mod queue;
pub mod retry;
mod rules;
mod scatter;
mod select;
mod selection;
pub mod sticky;
mod tally;
mod tier;

#[cfg(test)]
mod tests;
