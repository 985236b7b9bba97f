//! A list of backends in a file, read whenever it changes.
//!
//! Where its directories cannot be watched, and on file systems that tell
//! nothing, it is read at an interval.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::config::{self, Backend, FileSource};
use crate::control::reconcile::Found;
use crate::control::watch::Watch;
use crate::upstream::host_name;

/// After a change the file is read once nothing more has happened for so long, but not later than
/// the next constant says: programs write in pieces.
const QUIET: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(500);

/// Reads one file.
pub(super) struct File {
    source: FileSource,
    watch: Option<Watch>,
}

impl File {
    pub(super) const fn new(source: FileSource) -> Self {
        Self {
            source,
            watch: None,
        }
    }

    pub(super) async fn look(&mut self) -> Result<Vec<Found>, String> {
        // Before the file is read: what happens in between is told then.
        self.watch = Watch::renewed(self.watch.take(), &self.source.path)
            .inspect_err(|error| tracing::debug!(%error, "not watched: read at an interval"))
            .ok();
        let path = self.source.path.clone();
        let read = spawn_blocking(move || read(&path)).await;
        let backends = read.map_err(|error| error.to_string())??;
        found(backends).await
    }

    pub(super) async fn pause(&mut self) {
        let Some(watch) = &mut self.watch else {
            return sleep(self.source.interval).await;
        };
        if timeout(self.source.interval, watch.changed()).await.is_ok() {
            let quiet = async { while timeout(QUIET, watch.changed()).await.is_ok() {} };
            // Busy for too long: what is there by now is read, and the rest after that.
            let _ = timeout(BUSY, quiet).await;
        }
    }
}

fn read(path: &PathBuf) -> Result<Vec<Backend>, String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?;
    // Opening a pipe would wait for somebody to write into it.
    if !metadata.is_file() {
        return Err(format!("{shown}: not a file"));
    }
    config::read_file(path)
        .and_then(|text| config::load_backends(&text, &shown.to_string()))
        .map_err(|errors| errors.to_string())
}

/// The backends by address. A name that cannot be looked up now leaves the set as it was.
async fn found(backends: Vec<Backend>) -> Result<Vec<Found>, String> {
    let mut found = Vec::with_capacity(backends.len());
    for backend in backends {
        let addresses = super::resolve::look_up(&backend.address)
            .await
            .map_err(|reason| format!("{} cannot be looked up: {reason}", backend.address))?;
        let host = host_name(&backend.address);
        found.extend(addresses.into_iter().map(|address| Found {
            address,
            name: host.clone(),
            weight: backend.weight,
            backup: backend.backup,
            zone: backend.zone.clone(),
            labels: backend.labels.clone(),
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
