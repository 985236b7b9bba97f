//! Stage 6: what happened, told to metrics and the access log.
//!
//! The data plane describes every finished request as an [`Outcome`] and every
//! try at a backend as an [`Attempt`]; only the [`Recorder`] counts, times and
//! logs. [`Decisions`] keeps the picks that somebody wants to see.

pub use access_log::AccessLog;
pub use decisions::Decisions;
pub use outcome::{Attempt, Connection, Description, Handles, Outcome, Pick, Times};
pub use recorder::Recorder;

pub mod access_log;
pub mod decisions;
pub mod logging;
pub mod metrics;
mod outcome;
mod recorder;
