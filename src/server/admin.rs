//! The service that keeps the set of backends, and the API to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use super::bind;
use crate::config;
use crate::control::admin::{self, Api};
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::{Commands, Reconciler};
use crate::proxy::Transport;

/// Runs the reconciler and serves the admin API for as long as the process lives.
pub(super) struct Admin {
    /// `None` serves no API.
    endpoint: Option<config::Admin>,
    lifecycle: Arc<Lifecycle>,
    /// Taken by the one start.
    parts: Mutex<Option<(Reconciler<Transport>, Commands)>>,
}

impl Admin {
    pub(super) const fn new(
        endpoint: Option<config::Admin>,
        reconciler: Reconciler<Transport>,
        commands: Commands,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            endpoint,
            lifecycle,
            parts: Mutex::new(Some((reconciler, commands))),
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
        let parts = self
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((mut reconciler, commands)) = parts else {
            return;
        };
        let published = Arc::clone(reconciler.published());
        let lifecycle = Arc::clone(&self.lifecycle);
        let Some(endpoint) = &self.endpoint else {
            return reconciler.run().await;
        };
        let api = Api::new(
            published,
            commands.clone(),
            lifecycle,
            endpoint.token.clone(),
        );
        let serve = self.serve(endpoint.address, api);
        tokio::join!(reconciler.run(), serve, self.hold(commands));
    }
}
