//! What `Cargo.toml` and the map in `src/lib.rs` promise.

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::imports::LAYERS;

/// Lints without which the house rules would be good intentions.
const LINTS: [(&str, &str, &str); 6] = [
    ("lints.rust", "unsafe_code", "forbid"),
    ("lints.rust", "missing_docs", "warn"),
    ("lints.rust", "unreachable_pub", "warn"),
    ("lints.clippy", "unwrap_used", "deny"),
    ("lints.clippy", "dbg_macro", "deny"),
    ("lints.clippy", "pedantic", "warn"),
];

const PINGORA: [&str; 4] = [
    "pingora",
    "pingora-core",
    "pingora-proxy",
    "pingora-load-balancing",
];
const PINGORA_VERSION: &str = "=0.9.1";

/// `(section, key)` of a TOML file to the value's text; enough for a manifest's one-line entries.
fn entries(manifest: &str) -> BTreeMap<(String, String), String> {
    let mut section = String::new();
    let mut entries = BTreeMap::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let at = (section.clone(), key.trim().to_owned());
            entries.insert(at, value.trim().to_owned());
        }
    }
    entries
}

/// The lints stand in the manifest at their levels.
pub(crate) fn lints(manifest: &str) -> Vec<Finding> {
    let entries = entries(manifest);
    let missing = LINTS.iter().filter(|(section, lint, level)| {
        let value = entries.get(&((*section).to_owned(), (*lint).to_owned()));
        !value.is_some_and(|value| value.contains(&format!("\"{level}\"")))
    });
    missing
        .map(|(section, lint, level)| Finding {
            place: "Cargo.toml".to_owned(),
            what: format!("[{section}] lacks {lint} = \"{level}\""),
        })
        .collect()
}

/// Pingora is pinned: a patch release has broken every connection before.
pub(crate) fn pingora_is_pinned(manifest: &str) -> Vec<Finding> {
    let entries = entries(manifest);
    let dependencies: BTreeMap<&str, &str> = entries
        .iter()
        .filter(|((section, _), _)| section.ends_with("dependencies"))
        .map(|((_, name), value)| (name.as_str(), value.as_str()))
        .collect();
    let quoted = format!("\"{PINGORA_VERSION}\"");
    let unpinned = dependencies
        .iter()
        .filter(|(name, value)| name.starts_with("pingora") && !value.contains(&quoted))
        .map(|(name, _)| format!("{name} is not pinned to {PINGORA_VERSION}"));
    let absent = PINGORA
        .iter()
        .filter(|name| !dependencies.contains_key(**name))
        .map(|name| format!("{name} is not a dependency"));
    let whats = unpinned.chain(absent);
    whats
        .map(|what| Finding {
            place: "Cargo.toml".to_owned(),
            what,
        })
        .collect()
}

/// The table in `lib.rs` shows the layers as they are, and links every module there is.
pub(crate) fn map_is_complete(lib: &str) -> Vec<Finding> {
    let mut whats = Vec::new();
    let rows: Vec<(usize, BTreeSet<&str>)> = lib.lines().filter_map(table_row).collect();
    for (index, modules) in LAYERS.iter().enumerate() {
        let expected: BTreeSet<&str> = modules.iter().copied().collect();
        let row = rows.iter().find(|(number, _)| *number == index + 1);
        if row.is_none_or(|(_, shown)| *shown != expected) {
            whats.push(format!(
                "the map's row {} must name {}",
                index + 1,
                modules.join(", ")
            ));
        }
    }
    let modules = lib.lines().filter_map(|line| {
        let (_, name) = line.split_once("mod ")?;
        (!line.starts_with("//")).then(|| name.trim_end_matches(';').trim())
    });
    for module in modules {
        if !lib.contains(&format!("[`{module}`]")) {
            whats.push(format!("the map must link [`{module}`]"));
        }
    }
    let place = "src/lib.rs".to_owned();
    whats
        .into_iter()
        .map(|what| Finding {
            place: place.clone(),
            what,
        })
        .collect()
}

fn table_row(line: &str) -> Option<(usize, BTreeSet<&str>)> {
    let cells = line.strip_prefix("//! |")?;
    let (number, modules) = cells.split_once('|')?;
    let names = modules
        .split(',')
        .map(|name| name.trim_matches([' ', '|', '[', ']', '`']));
    Some((number.trim().parse().ok()?, names.collect()))
}
