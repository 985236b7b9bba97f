//! Where log lines go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::LogPath;

/// An open destination.
#[derive(Debug)]
pub(super) struct Sink {
    target: Target,
    /// Whether the last write stopped in the middle of a line.
    torn: bool,
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    File(LogFile),
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode, by which it is known whether the path still leads here.
    identity: (u64, u64),
}

/// Lines that could not be written.
#[derive(Debug)]
pub(super) struct Loss {
    /// How many.
    pub(super) lines: u64,
    /// Why.
    pub(super) error: io::Error,
}

impl Sink {
    /// Opens the destination; a file is appended to and made where it is not there.
    pub(super) fn open(path: &LogPath) -> io::Result<Self> {
        let target = match path {
            LogPath::Stdout => Target::Stdout,
            LogPath::Stderr => Target::Stderr,
            LogPath::File(path) => Target::File(LogFile::open(path)?),
        };
        Ok(Self {
            target,
            torn: false,
        })
    }

    /// Writes whole lines. After a failure the rest of them is lost, and the
    /// next write begins on a line of its own.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let reopened = self.follow();
        if self.torn {
            self.torn = self.write_all(b"\n").1.is_err();
        }
        let (written, result) = self.write_all(lines);
        if written > 0 {
            self.torn = lines[written - 1] != b'\n';
        }
        let left = lines[written..].iter().filter(|byte| **byte == b'\n');
        let lines = left.count() as u64;
        result.and(reopened).map_err(|error| Loss { lines, error })
    }

    /// Reopens a file that was moved away, as log rotation does. A failure
    /// leaves the old file in use.
    fn follow(&mut self) -> io::Result<()> {
        let Target::File(log) = &mut self.target else {
            return Ok(());
        };
        let there = fs::metadata(&log.path).map(|metadata| identity(&metadata));
        if there.is_ok_and(|there| there == log.identity) {
            return Ok(());
        }
        *log = LogFile::open(&log.path)?;
        self.torn = false;
        Ok(())
    }

    /// How many bytes were written, and whether all.
    fn write_all(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.write_some(&bytes[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, self.flush())
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Stdout => io::stdout().write(bytes),
            Target::Stderr => io::stderr().write(bytes),
            Target::File(log) => log.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.target {
            Target::Stdout => io::stdout().flush(),
            Target::Stderr | Target::File(_) => Ok(()),
        }
    }
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            identity: identity(&file.metadata()?),
            file,
        })
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
