//! What the calls of the admin API work on.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::Secret;
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::Commands;
use crate::observe::Decisions;
use crate::snapshot::Published;

/// Calls that may wait for a backend's last request at a time.
const MAX_WAITING: usize = 64;

/// What the calls work on.
pub struct Api<T> {
    pub(super) published: Arc<Published<T>>,
    pub(super) commands: Commands,
    pub(super) lifecycle: Arc<Lifecycle>,
    /// Where the data plane keeps sampled picks.
    pub(super) decisions: Arc<Decisions>,
    pub(super) token: Option<Secret>,
    /// Places for calls that wait for a backend's last request.
    pub(super) waiting: Semaphore,
}

impl<T> Api<T> {
    /// An API that reads `published` and `decisions`, gives `commands`, and asks for `token` if
    /// there is one.
    #[must_use]
    pub const fn new(
        published: Arc<Published<T>>,
        commands: Commands,
        lifecycle: Arc<Lifecycle>,
        decisions: Arc<Decisions>,
        token: Option<Secret>,
    ) -> Self {
        Self {
            published,
            commands,
            lifecycle,
            decisions,
            token,
            waiting: Semaphore::const_new(MAX_WAITING),
        }
    }
}
