//! Notices that a file has changed, however it was changed.
//!
//! Editors write a new file and rename it over the old one, and Kubernetes
//! swaps a symbolic link in the path, so a watch on the file itself would be
//! left holding one that nobody writes to any more. So the directories are
//! watched, that of the path and that of the file it leads to, and whatever
//! happens there is only a reason to look at the file itself. Where the system
//! cannot watch (a network file system, no watches left), looking at it every
//! second is what remains.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

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
    let stirred = Arc::new(Notify::new());
    let mut eyes = Eyes::new(&stirred);
    let mut stamp = Stamp::look(path).await;
    changed.notify_one();
    loop {
        let poll = if eyes.turn_to(path) { POLL } else { POLL_BLIND };
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
        tokio::select! {
            () = stirred.notified() => {}
            () = sleep(poll) => {}
        }
        // What comes in a burst is looked at once.
        sleep(SETTLED).await;
    }
}

/// The system's notice of what happens in directories.
struct Eyes {
    /// `None` where the system has none to give.
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
}

impl Eyes {
    fn new(stirred: &Arc<Notify>) -> Self {
        let stirred = Arc::clone(stirred);
        let watcher = notify::recommended_watcher(move |_: notify::Result<notify::Event>| {
            stirred.notify_one();
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the configuration file is looked at every second: it cannot be watched");
        }
        Self {
            watcher: watcher.ok(),
            watched: Vec::new(),
        }
    }

    /// Watches the directories in which `path` can change; whether that is possible.
    fn turn_to(&mut self, path: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let wanted = directories(path);
        for old in self.watched.iter().filter(|old| !wanted.contains(old)) {
            // A directory that is gone took its watch along.
            let _ = watcher.unwatch(old);
        }
        self.watched.retain(|old| wanted.contains(old));
        for new in &wanted {
            if !self.watched.contains(new)
                && watcher.watch(new, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.push(new.clone());
            }
        }
        self.watched.len() == wanted.len()
    }
}

/// The directory of the path, and that of the file it leads to.
fn directories(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if parent != OsStr::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut directories = vec![parent(path)];
    if let Ok(real) = fs::canonicalize(path) {
        let real = parent(&real);
        if !directories.contains(&real) {
            directories.push(real);
        }
    }
    directories
}

#[cfg(test)]
mod tests;
