//! Names: which there are, and which are there twice.

use std::collections::{BTreeMap, HashMap};

use super::context::Context;
use crate::config::path::Path;
use crate::config::problem::did_you_mean;

/// Positions by name.
pub(super) type Positions = BTreeMap<String, usize>;

/// Notes names that were there before, and says where.
pub(super) fn note_repeated<'a>(
    values: impl Iterator<Item = Option<String>>,
    list: &'a Path<'a>,
    (key, what): (&str, &str),
    context: &mut Context<'_>,
) {
    let mut first: HashMap<String, usize> = HashMap::new();
    for (index, value) in values.enumerate() {
        let Some(value) = value else { continue };
        if let Some(earlier) = first.get(&value) {
            let message = format!(
                "{what} `{value}` is already that of {}",
                list.index(*earlier)
            );
            context.add(&list.index(index).key(key), message);
        } else {
            first.insert(value, index);
        }
    }
}

/// The position of `name`, which the value at `path` refers to; notes where there is none.
pub(super) fn position(
    name: &str,
    positions: Option<&Positions>,
    what: &str,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<usize> {
    let positions = positions?;
    let found = positions.get(name).copied();
    if found.is_none() {
        let near = did_you_mean(name, positions.keys().map(String::as_str));
        context.add(path, format!("no {what} is called `{name}`{near}"));
    }
    found
}
