//! The service that looks after the backends.
//!
//! It goes on while the process drains: requests are still sent to backends then.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::sync::mpsc;

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
    events: Mutex<Option<mpsc::Receiver<Event>>>,
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
            events: Mutex::new(Some(events)),
        }
    }

    fn take_events(&self) -> Option<mpsc::Receiver<Event>> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.take()
    }
}

#[async_trait]
impl BackgroundService for Oversight {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let Some(events) = self.take_events() else {
            return;
        };
        let (metrics, timeline) = (Arc::clone(&self.metrics), Arc::clone(&self.timeline));
        let record = steward::record(events, metrics, timeline);
        let oversee = steward::oversee(Arc::clone(&self.published));
        tokio::join!(record, oversee);
    }
}
