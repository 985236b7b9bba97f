//! The service beside the traffic: the metrics endpoint, and the end of the process.
//!
//! Pingora sleeps through its whole grace period even when nothing is left to
//! do. This watches the connections instead and ends the process as soon as the
//! last one is closed, or when `drain_timeout` has passed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::SignalKind;

use super::closing::Closing;
use super::{bind, signals};
use crate::config;
use crate::control::exposition;
use crate::listen::Connections;
use crate::observe::metrics::Metrics;
use crate::proxy::Transport;
use crate::snapshot::Published;

/// How often the count of connections is looked at while draining.
const LOOK: Duration = Duration::from_millis(10);

/// Serves metrics while the process lives, and ends it once it is idle.
pub(super) struct Control {
    pub(super) published: Arc<Published<Transport>>,
    pub(super) endpoint: Option<config::Metrics>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connections: Arc<Connections>,
    pub(super) closing: Arc<Closing>,
}

impl Control {
    /// Answers scrapes for as long as the process lives, the drain included.
    fn expose(&self) {
        let Some(endpoint) = self.endpoint.clone() else {
            return;
        };
        let listener = match bind::shared(endpoint.address) {
            Ok(listener) => listener,
            Err(error) => {
                let address = endpoint.address;
                tracing::error!(%address, %error, "metrics: cannot listen");
                return;
            }
        };
        let metrics = Arc::clone(&self.metrics);
        let render = move || metrics.render();
        tokio::spawn(exposition::serve(
            listener,
            render,
            endpoint.token,
            std::future::pending(),
        ));
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
impl BackgroundService for Control {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        self.expose();
        if shutdown.changed().await.is_err() {
            return;
        }
        let mut interrupt = signals::listen(SignalKind::interrupt());
        let mut terminate = signals::listen(SignalKind::terminate());
        let drain_timeout = self.published.load().config().server.drain_timeout;
        tokio::select! {
            () = self.idle() => tracing::info!("drained"),
            () = tokio::time::sleep(drain_timeout) => {
                let open = self.connections.total();
                tracing::warn!(open, "drain_timeout passed: closing what is still open");
            }
            _ = interrupt.recv() => tracing::warn!("interrupted while draining"),
            _ = terminate.recv() => tracing::warn!("terminated while draining"),
        }
        self.closing.close();
        std::process::exit(0);
    }
}
