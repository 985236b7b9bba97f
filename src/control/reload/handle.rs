//! What asks for another configuration, and what it can learn about the present one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use super::plan::{Change, Plan};

/// What is known about the configuration in force and the last try to replace it.
#[derive(Clone, Debug)]
pub struct Status {
    /// The text of the configuration in force, as it was given.
    pub text: Arc<str>,
    /// Unix time in seconds at which it was loaded.
    pub loaded_at: u64,
    /// Whether it came through the API; a change of the file replaces it.
    pub replaced: bool,
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// The last try to load another.
    pub last: Option<Attempt>,
    /// What of it needs a new process.
    pub needs_upgrade: Vec<Change>,
}

/// A try to load a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Unix time in seconds.
    pub at: u64,
    /// `file`, `signal` or `api`.
    pub trigger: &'static str,
    /// Everything that was wrong; empty where it was taken.
    pub errors: Vec<String>,
}

/// Why a configuration was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Everything that is wrong with it, each as `evenkeel check` prints it.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The process was started without a file.
    #[error("there is no configuration file")]
    NoFile,
    /// Nobody takes configurations any more.
    #[error("the process is ending")]
    Ended,
}

pub(super) type Answer = oneshot::Sender<Result<Plan, Rejected>>;

pub(super) enum Order {
    Reload(Answer),
    Plan(String, Answer),
    Replace(String, Answer),
}

/// What the handles and the task have in common.
#[derive(Debug)]
pub(super) struct Shared {
    status: Mutex<Arc<Status>>,
    /// A SIGHUP came.
    pub(super) hangup: Notify,
    /// The file changed.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn new(status: Status) -> Self {
        Self {
            status: Mutex::new(Arc::new(status)),
            hangup: Notify::new(),
            changed: Notify::new(),
        }
    }

    pub(super) fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Only the task changes it, so nothing comes between its look and this.
    pub(super) fn set_status(&self, status: Status) {
        let mut place = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(status);
    }
}

/// Asks for another configuration. Each method returns when what it asks for is in force.
#[derive(Clone, Debug)]
pub struct Reloads {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

impl Reloads {
    pub(super) const fn new(orders: mpsc::Sender<Order>, shared: Arc<Shared>) -> Self {
        Self { orders, shared }
    }

    /// Reads the file again and goes over to what it says now; what changed.
    pub async fn reload(&self) -> Result<Plan, Rejected> {
        self.ask(Order::Reload).await
    }

    /// What this configuration would change.
    pub async fn plan(&self, text: String) -> Result<Plan, Rejected> {
        self.ask(|answer| Order::Plan(text, answer)).await
    }

    /// Goes over to this configuration; what changed. The file stays as it is, and the next change
    /// of it, or the next reload, goes over to what it says.
    pub async fn replace(&self, text: String) -> Result<Plan, Rejected> {
        self.ask(|answer| Order::Replace(text, answer)).await
    }

    /// As [`Self::reload`], without waiting. What comes while one is under way is one more.
    pub fn hang_up(&self) {
        self.shared.hangup.notify_one();
    }

    /// What is known about the configuration in force.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.shared.status()
    }

    async fn ask(&self, order: impl FnOnce(Answer) -> Order) -> Result<Plan, Rejected> {
        let (answer, answered) = oneshot::channel();
        let sent = self.orders.send(order(answer)).await;
        sent.map_err(|_| Rejected::Ended)?;
        answered.await.map_err(|_| Rejected::Ended)?
    }
}
