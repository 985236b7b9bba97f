//! The last things a process does, whichever way it ends.

use std::sync::Arc;

use super::once::TakeOnce;
use crate::observe::Recorder;
use crate::observe::logging::LogGuard;

/// Writes what is still queued for the logs.
pub(super) struct Closing {
    recorder: Arc<Recorder>,
    log: TakeOnce<LogGuard>,
}

impl Closing {
    pub(super) fn new(recorder: Arc<Recorder>, log: Option<LogGuard>) -> Self {
        Self {
            recorder,
            log: TakeOnce::new(log),
        }
    }

    /// Flushes both logs; later lines are lost. Calling it again does nothing.
    pub(super) fn close(&self) {
        self.recorder.close();
        drop(self.log.take());
    }
}
