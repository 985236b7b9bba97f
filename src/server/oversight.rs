//! The service that looks after the backends.
//!
//! It goes on while the process drains: requests are still sent to backends then.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::sync::mpsc;

use super::once::TakeOnce;
use crate::control::steward;
use crate::control::timeline::Timeline;
use crate::observe::metrics::Metrics;
use crate::proxy::Transport;
use crate::snapshot::Published;
use crate::upstream::Event;

/// Watches the backends and records what happens to them.
pub(super) struct Oversight {
    published: Arc<Published<Transport>>,
    metrics: Arc<Metrics>,
    timeline: Arc<Timeline>,
    events: TakeOnce<mpsc::Receiver<Event>>,
}

impl Oversight {
    pub(super) fn new(
        published: &Arc<Published<Transport>>,
        metrics: &Arc<Metrics>,
        timeline: &Arc<Timeline>,
        events: mpsc::Receiver<Event>,
    ) -> Self {
        Self {
            published: Arc::clone(published),
            metrics: Arc::clone(metrics),
            timeline: Arc::clone(timeline),
            events: TakeOnce::new(Some(events)),
        }
    }
}

#[async_trait]
impl BackgroundService for Oversight {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let Some(events) = self.events.take() else {
            return;
        };
        let (metrics, timeline) = (Arc::clone(&self.metrics), Arc::clone(&self.timeline));
        let record = steward::record(events, metrics, timeline);
        let oversee = steward::oversee(Arc::clone(&self.published));
        tokio::join!(record, oversee);
    }
}
