//! Notices that the configuration file has changed, however it was changed.
//!
//! Where the system cannot watch its directories (a network file system, no
//! watches left), looking at the file every second is what remains.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::control::watch::Watch;

/// How long a file must stay as it is to count as written.
const SETTLED: Duration = Duration::from_millis(50);

/// A file that never stays as it is counts as written after so many looks.
const MAX_LOOKS: usize = 40;

/// Between looks that nothing was a reason for.
const POLL: Duration = Duration::from_secs(5);

/// The same where the directories cannot be watched.
const POLL_BLIND: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// Where the path leads.
    real: PathBuf,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

impl Stamp {
    /// `None` where there is no file.
    fn of(path: &Path) -> Option<Self> {
        let real = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&real).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
            real,
        })
    }

    async fn look(path: &Path) -> Option<Self> {
        let path = path.to_owned();
        spawn_blocking(move || Self::of(&path)).await.ok()?
    }
}

/// Tells `changed` at the start, and whenever the file at `path` is another than it was, for as
/// long as it is polled.
pub(super) async fn follow(path: &Path, changed: &Notify) {
    let mut watch = None;
    let mut warned = false;
    let mut stamp = Stamp::look(path).await;
    changed.notify_one();
    loop {
        watch = match Watch::renewed(watch.take(), path) {
            Ok(watch) => Some(watch),
            Err(error) => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "the configuration file is looked at every second: it cannot be watched");
                }
                None
            }
        };
        let mut now = Stamp::look(path).await;
        if now != stamp {
            for _ in 0..MAX_LOOKS {
                sleep(SETTLED).await;
                let before = std::mem::replace(&mut now, Stamp::look(path).await);
                if now == before {
                    break;
                }
            }
            stamp = now;
            changed.notify_one();
        }
        match &mut watch {
            Some(watch) => drop(timeout(POLL, watch.changed()).await),
            None => sleep(POLL_BLIND).await,
        }
        // What comes in a burst is looked at once.
        sleep(SETTLED).await;
    }
}

#[cfg(test)]
mod tests;
