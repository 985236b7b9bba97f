//! Files of one test.

use std::path::PathBuf;

use super::evenkeel::private_folder;

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(private_folder())
    }

    /// The path of a file in here.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in place.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the build folder is writable");
    }

    /// Replaces a file by another, so that nobody sees half of it.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let next = format!("{name}.next");
        self.write(&next, text);
        std::fs::rename(self.path(&next), self.path(name)).expect("it is the same folder");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
