//! Names, secrets and files.

use std::path::PathBuf;

use super::form::{Format, nothing_more};
use crate::config::run::LogPath;
use crate::config::units::Secret;

/// Bytes of the longest name.
const MAX_NAME: usize = 64;

/// A name that can be a metrics label.
#[derive(Clone, Debug)]
pub(crate) struct Name;

impl Format for Name {
    type Value = String;
    const NAME: &'static str = "name";
    const EXPECTED: &'static str = "a name of 1 to 64 letters, digits, `-`, `_` and `.`";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_.-]{1,64}$");

    fn parse(text: &str) -> Result<String, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(allowed) {
            return nothing_more();
        }
        Ok(text.to_owned())
    }
}

/// A key that signs.
#[derive(Clone, Debug)]
pub(crate) struct SigningSecret;

impl Format for SigningSecret {
    type Value = Secret;
    const NAME: &'static str = "signing-secret";
    const EXPECTED: &'static str = "a secret of at least 16 bytes";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Secret, String> {
        if text.len() < 16 {
            return Err(format!("it has {}", text.len()));
        }
        Ok(Secret::new(text.to_owned()))
    }
}

/// A token that a client shows.
#[derive(Clone, Debug)]
pub(crate) struct BearerToken;

impl Format for BearerToken {
    type Value = Secret;
    const NAME: &'static str = "bearer-token";
    const EXPECTED: &'static str = "a token of visible ASCII characters without spaces";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Secret, String> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return nothing_more();
        }
        Ok(Secret::new(text.to_owned()))
    }
}

/// A file's path.
#[derive(Clone, Debug)]
pub(crate) struct FilePath;

impl Format for FilePath {
    type Value = PathBuf;
    const NAME: &'static str = "file-path";
    const EXPECTED: &'static str = "the path of a file";

    fn parse(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() || text.contains('\0') {
            return nothing_more();
        }
        Ok(PathBuf::from(text))
    }
}

/// Where log lines go.
#[derive(Clone, Debug)]
pub(crate) struct LogTarget;

impl Format for LogTarget {
    type Value = LogPath;
    const NAME: &'static str = "log-target";
    const EXPECTED: &'static str = "`stdout`, `stderr` or the path of a file";

    fn parse(text: &str) -> Result<LogPath, String> {
        match text {
            "stdout" => Ok(LogPath::Stdout),
            "stderr" => Ok(LogPath::Stderr),
            path => FilePath::parse(path).map(LogPath::File),
        }
    }
}
