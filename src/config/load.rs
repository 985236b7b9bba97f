//! From the text of a file to the configuration as run.

use std::fs::File;
use std::io::Read as _;
use std::path::Path as FilePath;

use super::convert;
use super::convert::context::Context;
use super::convert::environment::Overrides;
use super::path::Path;
use super::problem::{Errors, Place, Problems};
use super::raw;
use super::run::Config;
use super::schema;
use super::shape;
use super::substitute::substitute;
use super::tree;

pub use super::convert::context::FileKind;

/// Bytes of the largest file.
pub(super) const MAX_FILE: usize = 1 << 20;
/// Where problems of the file as a whole are.
pub(super) const START: Place = Place::File { line: 1, column: 1 };

/// The configuration in `text`, the contents of `file`, with variables from `env`.
///
/// # Errors
///
/// Everything that is wrong, at once. Files that the configuration names are
/// not opened; see [`load_checking_files`].
pub fn load(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Errors> {
    load_checking_files(text, file, env, &|_, _| Ok(()))
}

/// Like [`load`], and asks `check` about every file that the configuration names.
///
/// # Errors
///
/// Everything that is wrong, at once, what `check` says included.
pub fn load_checking_files(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
    check: &dyn Fn(&FilePath, FileKind) -> Result<(), String>,
) -> Result<Config, Errors> {
    let mut problems = Problems::default();
    let config = read(text, env, check, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.into_errors(file)),
    }
}

/// The text of the configuration file at `path`; what is too large is not read to its end.
///
/// # Errors
///
/// One problem that says why it cannot be read.
pub fn read_file(path: &FilePath) -> Result<String, Errors> {
    let limit = MAX_FILE as u64 + 1;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    let text = match read {
        Ok(_) => String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    text.map_err(|message| {
        let mut problems = Problems::default();
        problems.add(START, "file", message);
        problems.into_errors(&path.display().to_string())
    })
}

fn read(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    check: &dyn Fn(&FilePath, FileKind) -> Result<(), String>,
    problems: &mut Problems,
) -> Option<Config> {
    if text.len() > MAX_FILE {
        let message = format!("larger than {MAX_FILE} bytes");
        problems.add(START, "file", message);
        return None;
    }
    let overrides = Overrides::read(env, problems);
    let Some(mut root) = tree::parse(text, problems) else {
        if problems.is_empty() {
            problems.add(
                START,
                "file",
                "empty; `listeners`, `routes` and `upstreams` are needed",
            );
        }
        return None;
    };
    substitute(&mut root, &Path::ROOT, env, problems);
    let value = shape::walk(&root, &schema::schema(), problems)?;
    let mut written: raw::Config = match serde_yaml::from_value(value) {
        Ok(written) => written,
        Err(error) => {
            problems.add(START, "file", error.to_string());
            return None;
        }
    };
    overrides.apply(&mut written, &root, problems);
    let mut context = Context::new(&root, problems, check);
    convert::config(written, &mut context)
}
