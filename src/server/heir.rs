//! What a process that takes over learns from the one before it.
//!
//! The other process closes its API with the hand-over, and that may come
//! seconds after the first question. So the question is repeated until then, and
//! the last answer counts: nothing that the operator says in between is lost.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::clock;
use crate::config::Admin;
use crate::control::admin::inherit;
use crate::control::reconcile::Inherited;

/// From one answer to the next question.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until it is told to stop.
pub(super) struct Heir {
    stop: oneshot::Sender<()>,
    asking: JoinHandle<Inherited>,
}

impl Heir {
    /// Asks the process that serves the API at `admin`. A failure is a warning: the process before
    /// this one may be gone, or have none.
    pub(super) fn begin(admin: Admin, runtime: Runtime) -> io::Result<Self> {
        let first = runtime.block_on(inherit::ask(&admin, clock::now()));
        let first = first.unwrap_or_else(|error| {
            let address = admin.address;
            tracing::warn!(%address, %error, "the running process does not tell its backends: registered ones are out until their next heartbeat, and the operator's changes are gone");
            Inherited::default()
        });
        let (stop, stopped) = oneshot::channel();
        let ask = move || repeat(&runtime, &admin, first, stopped);
        let asking = std::thread::Builder::new()
            .name("heir".to_owned())
            .spawn(ask)?;
        Ok(Self { stop, asking })
    }

    /// What it was told last.
    pub(super) fn end(self) -> Inherited {
        drop(self.stop);
        let told = self.asking.join().unwrap_or_default();
        let (registered, wishes) = (told.heartbeats.len(), told.wishes.len());
        tracing::info!(registered, wishes, "taken over from the running process");
        told
    }
}

fn repeat(
    runtime: &Runtime,
    admin: &Admin,
    mut latest: Inherited,
    mut stopped: oneshot::Receiver<()>,
) -> Inherited {
    runtime.block_on(async {
        loop {
            let asked = async {
                sleep(PAUSE).await;
                inherit::ask(admin, clock::now()).await
            };
            tokio::select! {
                _ = &mut stopped => return latest,
                asked = asked => if let Ok(told) = asked { latest = told },
            }
        }
    })
}
