//! The service that keeps a task for every source of the configuration in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::task::{AbortHandle, JoinSet};

use super::finder::Finder;
use super::report::{Reporter, Told};
use crate::config::{Config, Source};
use crate::control::reconcile::Commands;
use crate::control::timeline::Timeline;
use crate::observe::metrics::Metrics;
use crate::snapshot::Published;

/// After a task fell over.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at the sources of every upstream for as long as the process lives, the drain included:
/// requests go to backends until its end.
pub struct Sources<T> {
    published: Arc<Published<T>>,
    commands: Commands,
    metrics: Arc<Metrics>,
    timeline: Arc<Timeline>,
}

impl<T> Sources<T> {
    /// Looks at what the published configuration names, and gives what it finds to `commands`.
    #[must_use]
    pub const fn new(
        published: Arc<Published<T>>,
        commands: Commands,
        metrics: Arc<Metrics>,
        timeline: Arc<Timeline>,
    ) -> Self {
        Self {
            published,
            commands,
            metrics,
            timeline,
        }
    }

    /// Begins with sources that are new or have changed, and ends with those that are gone.
    fn follow(&self, config: &Config, watches: &mut Watches) {
        let mut before = std::mem::take(&mut watches.by_source);
        for upstream in &config.upstreams {
            for source in &upstream.discovery.sources {
                let key = (upstream.name.clone(), source.id.clone());
                let kept = before.remove(&key);
                let kept =
                    kept.filter(|watch| watch.source == *source && !watch.task.is_finished());
                let watch = kept.unwrap_or_else(|| Watch {
                    source: source.clone(),
                    task: watches
                        .tasks
                        .spawn(watch(source.clone(), self.reporter(&key))),
                });
                watches.by_source.insert(key, watch);
            }
        }
    }

    fn reporter(&self, (upstream, source): &(String, String)) -> Reporter {
        Reporter {
            upstream: upstream.clone(),
            source: source.clone(),
            commands: self.commands.clone(),
            metrics: self.metrics.source(upstream, source),
            timeline: Arc::clone(&self.timeline),
            told: Told::default(),
        }
    }
}

/// The tasks, by upstream and source. Dropped, they end.
#[derive(Default)]
struct Watches {
    tasks: JoinSet<()>,
    by_source: HashMap<(String, String), Watch>,
}

struct Watch {
    source: Source,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks at a source again and again.
async fn watch(source: Source, mut reporter: Reporter) {
    let mut finder = Finder::new(&source.kind);
    loop {
        let seen = finder.look().await;
        reporter.tell(seen).await;
        finder.pause().await;
    }
}

#[async_trait]
impl<T: Send + Sync + 'static> BackgroundService for Sources<T> {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let mut changes = self.published.changes();
        let mut watches = Watches::default();
        loop {
            self.follow(self.published.load().config(), &mut watches);
            tokio::select! {
                // The sender lives in what is published, which is borrowed for longer than this.
                _ = changes.changed() => {}
                // One that fell over begins anew, a little later.
                Some(ended) = watches.tasks.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }
    }
}
