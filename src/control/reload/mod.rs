//! Goes over to another configuration while the process runs.
//!
//! A file that changed, SIGHUP and the API all end here, in one task that takes
//! one configuration after the other: parse, plan, look up what it names, build,
//! publish. Up to the last step nothing has changed, so whatever is wrong with
//! a configuration, all of it is refused and the one before it stays. The last
//! step cannot fail.
//!
//! What a running process cannot do is worked out by `fit`: the rest is done,
//! and that is told.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use handle::{Attempt, Rejected, Reloads, Status};
pub use plan::{Change, Plan, compare};

use super::reconcile::{Loads, Origin};
use crate::clock::{self, Moment};
use crate::config::{self, Config};
use crate::observe::metrics::Metrics;
use handle::{Order, Shared};
use plan::Planned;
use programs::Programs;

mod fit;
mod handle;
mod outline;
mod plan;
mod programs;
pub mod read;
mod value;
mod watch;

/// Orders that wait at a time; whoever has more waits.
const QUEUE: usize = 16;

/// What a configuration is called that is in no file.
const UNNAMED: &str = "config";

/// Looks up and reads what a configuration names; or says everything that is wrong with that.
pub type Loader<T> = Box<dyn Fn(Arc<Config>) -> Loading<T> + Send + Sync>;

/// What a [`Loader`] returns.
pub type Loading<T> = Pin<Box<dyn Future<Output = Result<Origin<T>, Vec<String>>> + Send>>;

/// Takes over what of a configuration is not in the snapshot. It cannot fail.
pub type Adapter = Box<dyn Fn(&Config) + Send + Sync>;

/// Is told what each try came to: the trigger (`file`, `signal` or `api`), and a summary or what
/// was wrong.
pub type Witness = Box<dyn Fn(&'static str, Result<&str, &[String]>) + Send + Sync>;

/// Where the configuration that a process starts with came from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file; `None` where there is none to go back to.
    pub path: Option<PathBuf>,
    /// Its contents.
    pub text: String,
}

/// What the task works with.
pub struct Means<T> {
    /// Where configurations go.
    pub loads: Loads<T>,
    /// Looks up and reads what they name.
    pub loader: Loader<T>,
    /// Takes over what is not in the snapshot.
    pub adapter: Adapter,
    /// Is told what each try came to.
    pub witness: Witness,
    /// Where tries are counted.
    pub metrics: Arc<Metrics>,
}

/// Takes one configuration after the other.
pub struct Reloader<T> {
    means: Means<T>,
    /// What the process was started with.
    started: Arc<Config>,
    running: Arc<Config>,
    orders: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
    /// What the file said when it was last read.
    read: String,
    /// What may be run: what the file said when it was last taken.
    programs: Programs,
}

impl<T> Reloader<T> {
    /// Begins with what the process was started with, from `source`.
    #[must_use]
    pub fn new(means: Means<T>, started: &Arc<Config>, source: Source) -> (Self, Reloads) {
        let (sender, orders) = mpsc::channel(QUEUE);
        let status = Status {
            text: source.text.as_str().into(),
            loaded_at: clock::unix_seconds(),
            replaced: false,
            path: source.path,
            last: None,
            needs_upgrade: Vec::new(),
        };
        let shared = Arc::new(Shared::new(status));
        let reloads = Reloads::new(sender, Arc::clone(&shared));
        let reloader = Self {
            means,
            started: Arc::clone(started),
            running: Arc::clone(started),
            orders,
            shared,
            read: source.text,
            programs: Programs::of(started),
        };
        (reloader, reloads)
    }

    /// Does what it is asked, and follows the file, until nobody can ask any more.
    pub async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let path = self.shared.status().path.clone();
        let follow = async {
            match &path {
                Some(path) => watch::follow(path, &shared.changed).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = follow => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                () = shared.hangup.notified() => drop(self.reload("signal").await),
                () = shared.changed.notified() => self.follow().await,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        // Whoever asked may be gone.
        match order {
            Order::Reload(answer) => drop(answer.send(self.reload("api").await)),
            Order::Replace(text, answer) => {
                let taken = self.take(text, "api", true, clock::now()).await;
                drop(answer.send(taken.map_err(Rejected::Invalid)));
            }
            Order::Plan(text, answer) => {
                let planned = self.plan(text, UNNAMED.to_owned(), true).await;
                let plan = planned.map(|planned| planned.plan);
                drop(answer.send(plan.map_err(Rejected::Invalid)));
            }
        }
    }

    /// The file changed, or somebody only touched it.
    async fn follow(&mut self) {
        let began = clock::now();
        let text = match self.read_file().await {
            Ok(text) if text == self.read => return,
            Ok(text) => text,
            Err(rejected) => return self.refuse("file", &rejected),
        };
        drop(self.take(text, "file", false, began).await);
    }

    async fn reload(&mut self, trigger: &'static str) -> Result<Plan, Rejected> {
        let began = clock::now();
        match self.read_file().await {
            Ok(text) => {
                let taken = self.take(text, trigger, false, began).await;
                taken.map_err(Rejected::Invalid)
            }
            Err(rejected) => {
                // Without a file nothing is wrong with one.
                match rejected {
                    Rejected::Invalid(_) => self.refuse(trigger, &rejected),
                    Rejected::NoFile | Rejected::Ended => {
                        tracing::warn!(trigger, "nothing is loaded: {rejected}");
                    }
                }
                Err(rejected)
            }
        }
    }

    async fn read_file(&self) -> Result<String, Rejected> {
        let path = self.shared.status().path.clone().ok_or(Rejected::NoFile)?;
        let read = blocking(move || config::read_file(&path)).await?;
        read.map_err(|errors| Rejected::Invalid(lines(&errors)))
    }

    /// Goes over to the configuration in `text`, or says why not.
    async fn take(
        &mut self,
        text: String,
        trigger: &'static str,
        replaced: bool,
        began: Moment,
    ) -> Result<Plan, Vec<String>> {
        if !replaced {
            self.read.clone_from(&text);
        }
        let name = match &self.shared.status().path {
            Some(path) if !replaced => path.display().to_string(),
            _ => UNNAMED.to_owned(),
        };
        let plan = match self.load(text.clone(), name, replaced).await {
            Ok(plan) => plan,
            Err(errors) => {
                self.refuse(trigger, &Rejected::Invalid(errors.clone()));
                return Err(errors);
            }
        };
        let at = clock::unix_seconds();
        self.means.metrics.config_reloaded(at as f64);
        let summary = plan.summary();
        let took_ms = clock::now().since(began).as_secs_f64() * 1e3;
        tracing::info!(trigger, took_ms, "configuration loaded: {summary}");
        for change in &plan.needs_upgrade {
            tracing::warn!("needs a new process (evenkeel run --upgrade): {change}");
        }
        self.shared.set_status(Status {
            text: text.into(),
            loaded_at: at,
            replaced,
            path: self.shared.status().path.clone(),
            last: Some(attempt(at, trigger, Vec::new())),
            needs_upgrade: plan.needs_upgrade.clone(),
        });
        (self.means.witness)(trigger, Ok(&summary));
        Ok(plan)
    }

    async fn load(
        &mut self,
        text: String,
        name: String,
        foreign: bool,
    ) -> Result<Plan, Vec<String>> {
        let Planned { plan, config } = self.plan(text, name, foreign).await?;
        let config = Arc::new(config);
        let origin = (self.means.loader)(Arc::clone(&config)).await?;
        let loaded = self.means.loads.load(origin).await;
        loaded.map_err(|refusal| vec![refusal.to_string()])?;
        (self.means.adapter)(&config);
        if !foreign {
            self.programs = Programs::of(&config);
        }
        self.running = config;
        Ok(plan)
    }

    /// What the configuration in `text` means. A `foreign` one is not the file's.
    async fn plan(
        &self,
        text: String,
        name: String,
        foreign: bool,
    ) -> Result<Planned, Vec<String>> {
        let has_file = self.shared.status().path.is_some();
        let (started, running) = (Arc::clone(&self.started), Arc::clone(&self.running));
        let planned = blocking(move || {
            // A configuration without a file is complete in itself.
            let env = |variable: &str| {
                let value = has_file.then(|| std::env::var(variable));
                value.and_then(Result::ok)
            };
            let wanted = read::parse(&text, &name, &env).map_err(|errors| lines(&errors))?;
            Ok(plan::plan(&started, &running, &wanted))
        });
        let planned = planned
            .await
            .unwrap_or_else(|_| Err(vec!["the process is ending".to_owned()]))?;
        if foreign {
            self.programs.allow(&planned.config)?;
        }
        Ok(planned)
    }

    fn refuse(&self, trigger: &'static str, rejected: &Rejected) {
        let errors = match rejected {
            Rejected::Invalid(errors) => errors.clone(),
            Rejected::NoFile | Rejected::Ended => vec![rejected.to_string()],
        };
        self.means.metrics.config_refused();
        let problems = errors.len();
        tracing::error!(
            trigger,
            problems,
            "configuration refused: the one before it stays"
        );
        for error in &errors {
            tracing::error!("{error}");
        }
        let at = clock::unix_seconds();
        self.shared.set_status(Status {
            last: Some(attempt(at, trigger, errors.clone())),
            ..(*self.shared.status()).clone()
        });
        (self.means.witness)(trigger, Err(&errors));
    }
}

const fn attempt(at: u64, trigger: &'static str, errors: Vec<String>) -> Attempt {
    Attempt {
        at,
        trigger,
        errors,
    }
}

fn lines(errors: &config::Errors) -> Vec<String> {
    errors.to_string().lines().map(str::to_owned).collect()
}

/// Runs what reads files, or takes its time, where it holds up nobody.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Rejected> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Rejected::Ended)
}

#[cfg(test)]
mod tests;
