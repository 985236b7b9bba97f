//! Stage 6: what happened, told to metrics and the access log.
//!
//! The data plane describes every finished request as an [`Outcome`] and every
//! try at a backend as an [`Attempt`]; only the [`Recorder`] counts, times and
//! logs.

pub use outcome::{Attempt, Connection, Description, Handles, Outcome, Pick, Times};
pub use recorder::Recorder;

pub mod metrics;
mod outcome;
mod recorder;
