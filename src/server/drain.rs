//! The end of a process: everything in flight is finished, then it exits.
//!
//! Pingora sleeps through its whole grace period even when nothing is left to
//! do. This watches the connections instead and ends the process as soon as the
//! last one is closed, or when `drain_timeout` has passed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::signal::unix::SignalKind;

use super::signals;
use crate::config::Config;
use crate::listen::Connections;
use crate::observe::Recorder;

/// How often the count of connections is looked at while draining.
const LOOK: Duration = Duration::from_millis(10);

/// Ends the process once it is idle.
pub(super) struct Drain {
    timeout: Duration,
    connections: Arc<Connections>,
    recorder: Arc<Recorder>,
}

impl Drain {
    pub(super) fn new(
        config: &Config,
        connections: &Arc<Connections>,
        recorder: &Arc<Recorder>,
    ) -> Self {
        Self {
            timeout: config.server.drain_timeout,
            connections: Arc::clone(connections),
            recorder: Arc::clone(recorder),
        }
    }

    async fn idle(&self) {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            if self.connections.total() == 0 {
                return;
            }
        }
    }
}

#[async_trait]
impl BackgroundService for Drain {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        if shutdown.changed().await.is_err() {
            return;
        }
        let mut interrupt = signals::listen(SignalKind::interrupt());
        let mut terminate = signals::listen(SignalKind::terminate());
        tokio::select! {
            () = self.idle() => tracing::info!("drained"),
            () = tokio::time::sleep(self.timeout) => {
                let open = self.connections.total();
                tracing::warn!(open, "drain_timeout passed: closing what is still open");
            }
            _ = interrupt.recv() => tracing::warn!("interrupted while draining"),
            _ = terminate.recv() => tracing::warn!("terminated while draining"),
        }
        self.recorder.close();
        std::process::exit(0);
    }
}
