//! How far along its life the process is, for whoever has to act on it.

use tokio::sync::watch;

/// A stretch of the process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It takes new connections.
    Serving,
    /// It finishes what is under way, then ends.
    Draining,
    /// As draining, but another process has taken its sockets over and answers in its stead.
    HandedOver,
}

/// The phase the process is in. It only moves forward.
#[derive(Debug)]
pub struct Lifecycle(watch::Sender<Phase>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Lifecycle {
    /// The present phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// A later phase begins.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Ready once another process has taken over.
    pub async fn handed_over(&self) {
        let mut phases = self.0.subscribe();
        // The sender is `self`, so this ends only with the phase.
        let _ = phases.wait_for(|phase| *phase == Phase::HandedOver).await;
    }
}
