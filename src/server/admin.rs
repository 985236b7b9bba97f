//! The service that keeps the set of backends, takes new configurations, and serves the API to both.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use super::bind;
use super::once::TakeOnce;
use crate::config;
use crate::control::admin::{self, Api, Seen};
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::{Commands, Reconciler};
use crate::control::reload::Reloader;
use crate::control::traffic;
use crate::observe::metrics::Metrics;
use crate::proxy::Transport;

/// Runs the reconciler and the reloader, and serves the admin API, for as long as the process lives.
pub(super) struct Admin {
    /// `None` where the API is off.
    endpoint: Option<config::Admin>,
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
    /// Taken by the one start.
    parts: TakeOnce<Parts>,
}

/// What the service runs.
pub(super) struct Parts {
    pub(super) reconciler: Reconciler<Transport>,
    pub(super) commands: Commands,
    pub(super) reloader: Reloader<Transport>,
    pub(super) seen: Seen,
}

impl Admin {
    pub(super) const fn new(
        endpoint: Option<config::Admin>,
        parts: Parts,
        lifecycle: Arc<Lifecycle>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            endpoint,
            lifecycle,
            metrics,
            parts: TakeOnce::new(Some(parts)),
        }
    }

    /// Answers for as long as the process lives, the drain included, unless another one has taken
    /// over: heartbeats must reach the process that will be there.
    async fn serve(&self, address: SocketAddr, api: Api<Transport>) {
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
        let Some(parts) = self.parts.take() else {
            return;
        };
        let Parts {
            mut reconciler,
            commands,
            reloader,
            seen,
        } = parts;
        let published = Arc::clone(reconciler.published());
        let lifecycle = Arc::clone(&self.lifecycle);
        // The autoscaler wants to know as well, where there is no API.
        let (sampled, metrics) = (Arc::clone(&published), Arc::clone(&self.metrics));
        let watch = traffic::watch(Arc::clone(&seen.traffic), sampled, metrics);
        let serve = async {
            if let Some(endpoint) = &self.endpoint {
                let token = endpoint.token.clone();
                let api = Api::new(published, commands.clone(), lifecycle, token, seen);
                self.serve(endpoint.address, api).await;
            }
        };
        let hold = self.hold(commands.clone());
        tokio::join!(reconciler.run(), reloader.run(), watch, serve, hold);
    }
}
