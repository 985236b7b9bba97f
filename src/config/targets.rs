//! The text of a file of backends, in our own form or in that of Prometheus's `file_sd`.
//!
//! It is read like the configuration, along a schema, so that every error has
//! its place and all of them are told at once. JSON is read as the YAML that it
//! is. Variables are not substituted: such a file is written by programs.

use std::collections::BTreeMap;

use super::convert::context::Context;
use super::load::{MAX_FILE, START};
use super::path::Path;
use super::problem::{Errors, Problems};
use super::raw::{Entry, Item};
use super::run::Backend;
use super::{schema, shape, tree};

/// What begins so is about the target, not of it: Prometheus drops such labels, and of ours only
/// these three mean anything.
const META: &str = "__";
const WEIGHT: &str = "__weight__";
const ZONE: &str = "__zone__";
const BACKUP: &str = "__backup__";

/// The most of the values that an entry's labels say for all its targets.
const MAX_WEIGHT: u32 = 65_535;

/// The backends that `text`, the contents of `file`, lists.
///
/// # Errors
///
/// Everything that is wrong, at once. An empty file is an error and an empty list none: a file
/// that is being written must not take the backends away.
pub fn load_backends(text: &str, file: &str) -> Result<Vec<Backend>, Errors> {
    let mut problems = Problems::default();
    match read(text, &mut problems) {
        Some(backends) if problems.is_empty() => Ok(backends),
        _ => Err(problems.into_errors(file)),
    }
}

fn read(text: &str, problems: &mut Problems) -> Option<Vec<Backend>> {
    if text.len() > MAX_FILE {
        problems.add(START, "file", format!("larger than {MAX_FILE} bytes"));
        return None;
    }
    // JSON may be indented by tabs and YAML may not; in a JSON string, a tab is written `\t`.
    let spaced = text
        .trim_start()
        .starts_with('[')
        .then(|| text.replace('\t', " "));
    let Some(root) = tree::parse(spaced.as_deref().unwrap_or(text), problems) else {
        if problems.is_empty() {
            problems.add(START, "file", "empty; a list without backends is `[]`");
        }
        return None;
    };
    let value = shape::walk(&root, &schema::backends(), problems)?;
    let items: Vec<Item> = match serde_yaml::from_value(value) {
        Ok(items) => items,
        Err(error) => {
            problems.add(START, "file", error.to_string());
            return None;
        }
    };
    let mut context = Context::new(&root, problems, &|_, _| Ok(()));
    let mut backends = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Item::Address(address) => backends.push(plain(address.value)),
            Item::Entry(entry) => {
                expand(entry, &Path::ROOT.index(index), &mut context, &mut backends);
            }
        }
    }
    Some(backends)
}

fn plain(address: String) -> Backend {
    Backend {
        address,
        weight: 1,
        backup: false,
        zone: None,
        labels: BTreeMap::new(),
    }
}

/// Adds the backends of an entry. What it says itself counts before what its labels say.
fn expand(
    mut entry: Entry,
    path: &Path<'_>,
    context: &mut Context<'_>,
    backends: &mut Vec<Backend>,
) {
    let labels = path.key("labels");
    let weight = entry.labels.remove(WEIGHT).map(|text| {
        let weight = text.parse().ok();
        weight
            .filter(|weight| (1..=MAX_WEIGHT).contains(weight))
            .unwrap_or_else(|| {
                let message = format!("expected an integer from 1 to {MAX_WEIGHT} in quotes");
                context.add(&labels.key(WEIGHT), message);
                1
            })
    });
    let backup = entry.labels.remove(BACKUP).map(|text| {
        text.parse().unwrap_or_else(|_| {
            let message = "expected `true` or `false` in quotes";
            context.add(&labels.key(BACKUP), message);
            false
        })
    });
    let zone = entry.labels.remove(ZONE);
    entry.labels.retain(|label, _| !label.starts_with(META));
    let like = Backend {
        address: String::new(),
        weight: entry.weight.or(weight).unwrap_or(1),
        backup: entry.backup.or(backup).unwrap_or(false),
        zone: entry.zone.or(zone),
        labels: entry.labels,
    };
    let several = entry.targets.into_iter().flatten();
    let addresses = entry.address.into_iter().chain(several);
    backends.extend(addresses.map(|address| Backend {
        address: address.value,
        ..like.clone()
    }));
}

#[cfg(test)]
mod tests;
