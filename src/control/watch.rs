//! Telling that something has changed around a file.
//!
//! Editors write a new file and rename it over the old one, and Kubernetes
//! swaps a symbolic link in the path, so a watch on the file itself would be
//! left holding one that nobody writes to any more. So the directories are
//! watched, that of the path and that of the file it leads to, and whatever
//! happens there is only a reason to look at the file itself.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Directories by path, each with its device and number there.
type Directories = BTreeMap<PathBuf, (u64, u64)>;

/// The directories of a file are watched for as long as this lives.
pub(super) struct Watch {
    directories: Directories,
    changed: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// `before`, where it still watches the right directories, or a new one; an error where they
    /// cannot be watched.
    pub(super) fn renewed(before: Option<Self>, path: &Path) -> notify::Result<Self> {
        let directories = directories(path);
        if directories.is_empty() {
            return Err(notify::Error::path_not_found().add_path(path.to_owned()));
        }
        match before {
            Some(watch) if watch.directories == directories => Ok(watch),
            _ => Self::new(directories),
        }
    }

    fn new(directories: Directories) -> notify::Result<Self> {
        let (sender, changed) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                // One that waits already says it all.
                let _ = sender.try_send(());
            }
        })?;
        for directory in directories.keys() {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            directories,
            changed,
            _watcher: watcher,
        })
    }

    /// Ready when something has happened since the last time.
    pub(super) async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            // Nobody is left to tell.
            std::future::pending::<()>().await;
        }
    }
}

/// Reading is none, ours least of all.
const fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => {
            matches!(access, AccessKind::Close(AccessMode::Write))
        }
        _ => true,
    }
}

/// The directory of `path`, and that of the file it leads to.
fn directories(path: &Path) -> Directories {
    let target = std::fs::canonicalize(path).ok();
    let files = [Some(path.to_owned()), target];
    let directories = files.into_iter().flatten().filter_map(|file| {
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let metadata = std::fs::metadata(&directory).ok()?;
        Some((directory, (metadata.dev(), metadata.ino())))
    });
    directories.collect()
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn reading_is_no_change() {
        let access = |kind| is_change(EventKind::Access(kind));
        assert!(!access(AccessKind::Open(AccessMode::Any)));
        assert!(!access(AccessKind::Close(AccessMode::Read)));
        assert!(access(AccessKind::Close(AccessMode::Write)));
        assert!(is_change(EventKind::Modify(ModifyKind::Any)));
        assert!(is_change(EventKind::Create(CreateKind::File)));
    }
}
