//! What a configuration would change: added, changed, removed, or only in a new process.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fit::{fit, http2};
use super::outline::{Item, outline};
use super::value::{Keys, Value, count, duration, option, size};
use crate::config::{Backend, Config};

/// What one configuration means for a process that runs another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What changes while the process runs.
    pub changes: Vec<Change>,
    /// What a new process is needed for (`evenkeel run --upgrade`), and stays as it is until then.
    pub needs_upgrade: Vec<Change>,
    /// Whether both are empty.
    pub no_change: bool,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What happens to what: `backend added`.
    pub what: String,
    /// To which: `upstreams.web.backends[10.0.0.4:80]`, and for a change its key.
    pub path: String,
    /// A change's old and new value, `5 -> 9`; else what it amounts to. No secrets.
    pub detail: String,
}

/// A plan, and the configuration that goes with it.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// What will run: all of what was wanted that needs no new process.
    pub(super) config: Config,
}

/// Compares two configurations, the first of which a process was started with.
#[must_use]
pub fn compare(running: &Config, wanted: &Config) -> Plan {
    plan(running, running, wanted).plan
}

/// What `wanted` means for a process that was started with `started` and runs `running` by now.
pub(super) fn plan(started: &Config, running: &Config, wanted: &Config) -> Planned {
    let config = fit(running, wanted);
    let mut changes = differences(running, &config);
    for (old, new, name) in upstreams_of_both(running, &config) {
        backends(name, old, new, &config, &mut changes);
    }
    let mut needs_upgrade = differences(&config, wanted);
    needs_upgrade.extend(shared(started, wanted));
    let no_change = changes.is_empty() && needs_upgrade.is_empty();
    Planned {
        plan: Plan {
            changes,
            needs_upgrade,
            no_change,
        },
        config,
    }
}

/// What HTTP/2 connections go on without, where there are any.
fn shared(started: &Config, wanted: &Config) -> impl Iterator<Item = Change> {
    let (keepalive, header) = http2(started);
    let (new_keepalive, new_header) = http2(wanted);
    let sizes = [header, new_header].map(|bytes| size(bytes as u64));
    let [header, new_header] = sizes;
    let keys = [
        ("keepalive", duration(keepalive), duration(new_keepalive)),
        ("max_header_bytes", header, new_header),
    ];
    let is_spoken = wanted.listeners.iter().any(|listener| listener.h2c);
    let keys = keys.into_iter();
    let keys = keys.filter(move |(_, old, new)| is_spoken && old != new);
    keys.map(|(key, old, new)| Change {
        what: "listeners changed".to_owned(),
        path: format!("listeners.*.{key}"),
        detail: format!("of HTTP/2: {}", from_to(&old, &new)),
    })
}

/// What differs, the backends of upstreams in both left out.
fn differences(old: &Config, new: &Config) -> Vec<Change> {
    let (before, after) = (outline(old), outline(new));
    let known: HashMap<&str, &Item> = before.iter().map(|item| (&*item.path, item)).collect();
    let there: HashMap<&str, &Item> = after.iter().map(|item| (&*item.path, item)).collect();
    let mut changes = Vec::new();
    for item in &after {
        match known.get(&*item.path) {
            Some(before) => keys(item, &before.keys, &mut changes),
            None => changes.push(whole(item, "added", &item.summary)),
        }
    }
    let gone = before
        .iter()
        .filter(|item| !there.contains_key(&*item.path));
    changes.extend(gone.map(|item| match item.kind {
        "upstream" => whole(item, "removed", &leaves(new)),
        _ => whole(item, "removed", &item.summary),
    }));
    let order = |one: &'_ Config, other: &HashMap<&str, &Item>| -> Vec<String> {
        let paths = one
            .routes
            .iter()
            .map(|route| format!("routes.{}", route.name));
        paths.filter(|path| other.contains_key(&**path)).collect()
    };
    if order(old, &there) != order(new, &known) {
        changes.push(Change {
            what: "routes reordered".to_owned(),
            path: "routes".to_owned(),
            detail: "of routes that are equally specific, the first one wins".to_owned(),
        });
    }
    changes
}

fn whole(item: &Item, what: &str, detail: &str) -> Change {
    Change {
        what: format!("{} {what}", item.kind),
        path: item.path.clone(),
        detail: detail.to_owned(),
    }
}

/// The keys of one thing that differ.
fn keys(item: &Item, before: &Keys, changes: &mut Vec<Change>) {
    let (old, new) = (by_name(before), by_name(&item.keys));
    let names = item.keys.0.iter().map(|(name, _)| name.as_str());
    let gone = before.0.iter().map(|(name, _)| name.as_str());
    let gone = gone.filter(|name| !new.contains_key(name));
    let mut told = BTreeMap::new();
    for name in names.chain(gone) {
        let (old, new) = (old.get(name), new.get(name));
        if old != new && told.insert(name, ()).is_none() {
            changes.push(Change {
                what: format!("{} changed", item.kind),
                path: format!("{}.{name}", item.path),
                detail: from_to(&shown(old), &shown(new)),
            });
        }
    }
}

fn by_name(keys: &Keys) -> HashMap<&str, Vec<&Value>> {
    let mut by_name: HashMap<&str, Vec<&Value>> = HashMap::new();
    for (name, value) in &keys.0 {
        by_name.entry(name).or_default().push(value);
    }
    by_name
}

fn shown(values: Option<&Vec<&Value>>) -> String {
    let Some(values) = values else {
        return "null".to_owned();
    };
    let texts: Vec<&str> = values.iter().map(|value| &*value.text).collect();
    texts.join(", ")
}

fn from_to(old: &str, new: &str) -> String {
    if old == new {
        format!("{old} -> another")
    } else {
        format!("{old} -> {new}")
    }
}

/// The backends before and after of every upstream that is in both, and its name.
fn upstreams_of_both<'c>(
    old: &'c Config,
    new: &'c Config,
) -> impl Iterator<Item = (&'c [Backend], &'c [Backend], &'c str)> {
    let before: HashMap<&str, &[Backend]> = old
        .upstreams
        .iter()
        .map(|one| (&*one.name, &*one.backends))
        .collect();
    let after = new.upstreams.iter();
    after.filter_map(move |one| Some((*before.get(&*one.name)?, &*one.backends, &*one.name)))
}

fn backends(
    upstream: &str,
    old: &[Backend],
    new: &[Backend],
    config: &Config,
    changes: &mut Vec<Change>,
) {
    if old == new {
        return;
    }
    let path = |backend: &Backend| format!("upstreams.{upstream}.backends[{}]", backend.address);
    let mut known: HashMap<&str, &Backend> = old.iter().map(|one| (&*one.address, one)).collect();
    for backend in new {
        match known.remove(&*backend.address) {
            Some(before) if before == backend => {}
            Some(before) => {
                let item = Item {
                    kind: "backend",
                    path: path(backend),
                    summary: String::new(),
                    keys: traits(backend),
                };
                keys(&item, &traits(before), changes);
            }
            None => changes.push(Change {
                what: "backend added".to_owned(),
                path: path(backend),
                detail: format!("weight {}", backend.weight),
            }),
        }
    }
    let gone = old.iter().filter(|one| known.contains_key(&*one.address));
    changes.extend(gone.map(|backend| Change {
        what: "backend removed".to_owned(),
        path: path(backend),
        detail: leaves(config),
    }));
}

fn traits(backend: &Backend) -> Keys {
    let Backend {
        address: _,
        weight,
        backup,
        zone,
        labels,
    } = backend;
    let mut keys = Keys::default();
    keys.say("weight", weight);
    keys.say("backup", backup);
    keys.say("zone", option(zone.as_ref()));
    keys.list(
        "labels",
        labels
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    keys
}

/// What becomes of what is under way.
fn leaves(config: &Config) -> String {
    let limit = duration(config.server.drain_timeout);
    format!("drained: requests finish, WebSockets within {limit}")
}

impl Plan {
    /// In a line, for the log: `2 backends changed, 1 route added`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(&change.what).or_default() += 1;
        }
        if counts.is_empty() {
            return "nothing changed".to_owned();
        }
        let told = counts
            .into_iter()
            .map(|(what, number)| match what.split_once(' ') {
                Some((thing, verb)) if !thing.ends_with('s') => {
                    format!("{} {verb}", count(number, thing))
                }
                _ => what.to_owned(),
            });
        told.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, path, detail } = self;
        write!(f, "{what}: {path}")?;
        if detail.is_empty() {
            return Ok(());
        }
        write!(f, ": {detail}")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.no_change {
            return writeln!(f, "no change");
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        if !self.needs_upgrade.is_empty() {
            writeln!(f, "needs a new process (evenkeel run --upgrade):")?;
            for change in &self.needs_upgrade {
                writeln!(f, "  {change}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
