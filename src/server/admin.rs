//! The service that keeps the set of backends, and the API to it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use super::bind;
use crate::config;
use crate::control::admin::{self, Api, Seen};
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::{Commands, Reconciler};
use crate::control::traffic;
use crate::observe::metrics::Metrics;
use crate::proxy::Transport;

/// Runs the reconciler and serves the admin API for as long as the process lives.
pub(super) struct Admin {
    endpoint: config::Admin,
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
    /// Taken by the one start.
    parts: Mutex<Option<(Reconciler<Transport>, Commands, Seen)>>,
}

impl Admin {
    pub(super) fn new(
        endpoint: config::Admin,
        (reconciler, commands): (Reconciler<Transport>, Commands),
        lifecycle: Arc<Lifecycle>,
        metrics: Arc<Metrics>,
        seen: Seen,
    ) -> Self {
        Self {
            endpoint,
            lifecycle,
            metrics,
            parts: Mutex::new(Some((reconciler, commands, seen))),
        }
    }

    /// Answers for as long as the process lives, the drain included, unless another one has taken
    /// over: heartbeats must reach the process that will be there.
    async fn serve(&self, api: Api<Transport>) {
        let address = self.endpoint.address;
        match bind::shared(address) {
            Ok(listener) => {
                tracing::info!(%address, "admin: listening");
                admin::serve(listener, api, self.lifecycle.handed_over()).await;
            }
            Err(error) => tracing::error!(%address, %error, "admin: cannot listen"),
        }
    }

    /// Once heartbeats go to another process, none can be missed here.
    async fn hold(&self, commands: Commands) {
        self.lifecycle.handed_over().await;
        if let Err(refusal) = commands.hold().await {
            tracing::error!(%refusal, "admin: registered backends are not held");
        }
    }
}

#[async_trait]
impl BackgroundService for Admin {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let parts = self
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((mut reconciler, commands, seen)) = parts else {
            return;
        };
        let published = Arc::clone(reconciler.published());
        let lifecycle = Arc::clone(&self.lifecycle);
        let token = self.endpoint.token.clone();
        let (sampled, metrics) = (Arc::clone(&published), Arc::clone(&self.metrics));
        let watch = traffic::watch(Arc::clone(&seen.traffic), sampled, metrics);
        let api = Api::new(published, commands.clone(), lifecycle, token, seen);
        tokio::join!(
            reconciler.run(),
            self.serve(api),
            self.hold(commands),
            watch
        );
    }
}
