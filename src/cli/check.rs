//! `evenkeel check FILE`: every error of a configuration, or what it amounts to.

use std::fmt;
use std::io::Write;
use std::path::Path;

use crate::config::{self, Config, Errors};
use crate::control::reload::read;

/// Checks the configuration in `file` with the variables of `env`.
///
/// A sound one gives one line on `out` and 0. Otherwise every problem stands on
/// a line of `err`, and the result is 1. The certificates and keys that the
/// configuration names are read too.
pub fn check(
    file: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let printed = match load(file, env) {
        Ok(config) => writeln!(out, "{}: {}", file.display(), Summary(&config)).map(|()| 0),
        Err(errors) => writeln!(err, "{errors}").map(|()| 1),
    };
    printed.unwrap_or(1)
}

/// Reads the configuration in `file`, and the certificates and keys it names.
pub fn load(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Errors> {
    load_with_text(file, env).map(|(config, _)| config)
}

/// The same, and the text of the file.
pub(super) fn load_with_text(
    file: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, String), Errors> {
    let text = config::read_file(file)?;
    let config = read::parse(&text, &file.display().to_string(), env)?;
    Ok((config, text))
}

/// What a configuration amounts to, in one line.
struct Summary<'c>(&'c Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        let backends: usize = config.upstreams.iter().map(|one| one.backends.len()).sum();
        let parts = [
            (config.listeners.len(), "listener"),
            (config.routes.len(), "route"),
            (config.upstreams.len(), "upstream"),
            (backends, "backend"),
        ];
        for (index, (count, what)) in parts.into_iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{comma}{count} {what}{plural}")?;
        }
        let found = config
            .upstreams
            .iter()
            .filter(|one| one.discovery.is_some());
        match found.count() {
            0 => {}
            1 => write!(f, "; 1 upstream finds more")?,
            found => write!(f, "; {found} upstreams find more")?,
        }
        let Some(autoscaler) = &config.autoscaler else {
            return Ok(());
        };
        let scaled = autoscaler.targets.len();
        let verb = if scaled == 1 { "is" } else { "are" };
        let how = if autoscaler.dry_run { " (dry run)" } else { "" };
        write!(f, "; {scaled} {verb} scaled{how}")
    }
}
