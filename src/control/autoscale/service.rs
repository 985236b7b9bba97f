//! The service that keeps a keeper for every target of the configuration in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cap::Cap;
use super::keeper::{Keeper, Settings};
use super::surroundings::Surroundings;
use crate::clock;
use crate::config::Config;

/// After a keeper fell over.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps the upstreams at their sizes for as long as the process serves.
pub struct Autoscaler<T> {
    around: Arc<Surroundings<T>>,
    cap: Arc<Cap>,
}

/// The keepers by upstream. Dropped, they end.
#[derive(Default)]
struct Keepers {
    tasks: JoinSet<()>,
    settings: HashMap<String, watch::Sender<Settings>>,
}

impl<T: Send + Sync + 'static> Autoscaler<T> {
    /// Nothing is looked at before the service starts.
    #[must_use]
    pub fn new(around: Surroundings<T>) -> Self {
        Self {
            around: Arc::new(around),
            cap: Arc::default(),
        }
    }

    /// Begins with targets that are new, tells others what has changed, and ends with those that are
    /// gone: a keeper whose settings nobody can change any more ends.
    fn follow(&self, config: &Config, keepers: &mut Keepers) {
        let all = settings(config);
        let names = all.iter().map(|one| one.target.upstream.as_str());
        self.around.board.keep(names);
        let mut before = std::mem::take(&mut keepers.settings);
        for one in all {
            let name = one.target.upstream.clone();
            let known = before.remove(&name).filter(|sender| !sender.is_closed());
            let sender = if let Some(sender) = known {
                sender.send_if_modified(|known| {
                    let changes = *known != one;
                    *known = one;
                    changes
                });
                sender
            } else {
                let (sender, receiver) = watch::channel(one.clone());
                let keeper = Keeper::new(Arc::clone(&self.around), Arc::clone(&self.cap), one);
                keepers.tasks.spawn(keep(keeper, receiver));
                sender
            };
            keepers.settings.insert(name, sender);
        }
    }
}

fn settings(config: &Config) -> Vec<Settings> {
    let Some(autoscaler) = &config.autoscaler else {
        return Vec::new();
    };
    let settings = |target: &crate::config::ScaleTarget| Settings {
        interval: autoscaler.interval,
        dry_run: autoscaler.dry_run,
        max_actions_per_hour: autoscaler.max_actions_per_hour,
        prometheus: autoscaler.prometheus.clone(),
        target: target.clone(),
    };
    autoscaler.targets.iter().map(settings).collect()
}

/// Runs a keeper until its target is gone.
async fn keep<T: Send + Sync>(mut keeper: Keeper<T>, mut settings: watch::Receiver<Settings>) {
    loop {
        let interval = settings.borrow_and_update().interval;
        let end = clock::now().after(interval);
        keeper.step().await;
        tokio::select! {
            () = keeper.see_off_until(end) => {}
            changed = settings.changed() => if changed.is_err() {
                return keeper.call_back().await;
            }
        }
        let now = settings.borrow_and_update().clone();
        keeper.adapt(now);
    }
}

#[async_trait]
impl<T: Send + Sync + 'static> BackgroundService for Autoscaler<T> {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut changes = self.around.published.changes();
        let mut keepers = Keepers::default();
        let handed_over = self.around.lifecycle.handed_over();
        tokio::pin!(handed_over);
        loop {
            self.follow(self.around.published.load().config(), &mut keepers);
            tokio::select! {
                // The sender lives in what is published, which is borrowed for longer than this.
                _ = changes.changed() => {}
                // A keeper that fell over begins anew with the next change or the next look.
                Some(_) = keepers.tasks.join_next() => {
                    tokio::time::sleep(AGAIN).await;
                }
                // A process that drains changes no size, and one that has an heir leaves it to that.
                () = &mut handed_over => return,
                _ = shutdown.changed() => return,
            }
        }
    }
}
