//! Who imports whom: the layers between modules, the cycles inside one.

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::source::{File, Mention, Sources};

/// The layers, lowest first. A module imports from the rows above its own, never from its own.
pub(crate) const LAYERS: [&[&str]; 6] = [
    &["clock", "config", "request", "reject", "state"],
    &["listen", "route", "upstream", "observe"],
    &["snapshot"],
    &["proxy", "control"],
    &["server"],
    &["demo", "cli"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// Imports that do not point to a lower layer, and modules without a layer.
pub(crate) fn layers(sources: &Sources) -> Vec<Finding> {
    let inner = sources.production().filter(|file| !file.module.is_empty());
    inner.flat_map(|file| layers_of(sources, file)).collect()
}

fn layers_of(sources: &Sources, file: &File) -> Vec<Finding> {
    let own = file.top();
    let Some(own_layer) = layer(own) else {
        let what = format!("module `{own}` has no layer; give it one in LAYERS and in src/lib.rs");
        return vec![Finding::new(file, 1, what)];
    };
    let mut findings = Vec::new();
    for mention in file.mentions() {
        let absolute = absolute(file, &[], &mention.path);
        let Some(target) = absolute.as_ref().and_then(|path| path.first()) else {
            continue;
        };
        if target == own || !sources.has(target) {
            continue;
        }
        let what = match layer(target) {
            Some(theirs) if theirs < own_layer => continue,
            Some(theirs) if theirs == own_layer => format!(
                "`{own}` imports `{target}` sideways; pass the value in, or move what both need a layer down"
            ),
            _ => format!(
                "`{own}` imports `{target}` from a higher layer; turn the dependency around"
            ),
        };
        findings.push(Finding::new(file, mention.line, what));
    }
    findings
}

/// Import cycles between the files of one module.
pub(crate) fn cycles(sources: &Sources) -> Vec<Finding> {
    let graph = graph(sources);
    let mut findings = Vec::new();
    let mut reported = BTreeSet::new();
    for start in graph.keys() {
        if reported.contains(start) {
            continue;
        }
        if let Some(cycle) = shortest_cycle(&graph, *start) {
            reported.extend(cycle.iter().copied());
            let names: Vec<&str> = cycle
                .iter()
                .map(|index| sources.files[*index].path.as_str())
                .collect();
            let (file, next) = (&sources.files[*start], cycle.get(1).unwrap_or(start));
            let what = format!(
                "import cycle: {} -> {}; move what both need into a file of its own",
                names.join(" -> "),
                names[0]
            );
            findings.push(Finding::new(file, graph[start][next], what));
        }
    }
    findings
}

/// For each file, by position: the files of the same top-level module it imports, and the line.
type Graph = BTreeMap<usize, BTreeMap<usize, usize>>;

fn graph(sources: &Sources) -> Graph {
    let mut graph = Graph::new();
    for (index, file) in sources.files.iter().enumerate() {
        if file.is_test || file.module.is_empty() {
            continue;
        }
        let targets = graph.entry(index).or_default();
        for mention in dependencies(file) {
            let Some(target) = home(sources, &mention.path, 0) else {
                continue;
            };
            let same_module = sources.files[target].module.first() == file.module.first();
            if target != index && same_module {
                targets.entry(target).or_insert(mention.line);
            }
        }
    }
    graph
}

/// Absolute paths a file depends on. A re-export it makes no use of itself is a façade, no dependency.
fn dependencies(file: &File) -> Vec<Mention> {
    let inline = file.inline_paths();
    let used = |name: &str| inline.iter().any(|mention| mention.path[0] == name);
    let imported = file
        .uses
        .iter()
        .filter(|import| !import.reexport || used(&import.name))
        .filter_map(|import| {
            let path = absolute(file, &import.inside, &import.path)?;
            Some(Mention {
                path,
                line: import.line,
            })
        });
    let written = inline
        .iter()
        .filter(|mention| mention.path.len() > 1)
        .filter_map(|mention| {
            let path = absolute(file, &[], &mention.path)?;
            Some(Mention {
                path,
                line: mention.line,
            })
        });
    imported.chain(written).collect()
}

/// The path from the crate's root, or `None` when it leads elsewhere (another crate, a local name).
fn absolute(file: &File, inside: &[String], path: &[String]) -> Option<Vec<String>> {
    let own: Vec<String> = file.module.iter().chain(inside).cloned().collect();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (own, &path[1..]),
        "super" => {
            let ups = path
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let kept = own.len().checked_sub(ups)?;
            (own[..kept].to_vec(), &path[ups..])
        }
        first if file.child_names.contains(first) => (own, path),
        _ => return None,
    };
    Some(base.into_iter().chain(rest.iter().cloned()).collect())
}

/// The file that holds what an absolute path names, through re-exports.
fn home(sources: &Sources, path: &[String], depth: usize) -> Option<usize> {
    let (index, file) = sources
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.path != "main.rs" && path.starts_with(&file.module))
        .max_by_key(|(_, file)| file.module.len())?;
    let Some(name) = path.get(file.module.len()).filter(|_| depth < 8) else {
        return Some(index);
    };
    let through = file
        .uses
        .iter()
        .find(|import| import.name == *name && import.inside.is_empty());
    match through.and_then(|import| absolute(file, &[], &import.path)) {
        Some(mut further) => {
            further.extend(path[file.module.len() + 1..].iter().cloned());
            home(sources, &further, depth + 1)
        }
        None => Some(index),
    }
}

fn shortest_cycle(graph: &Graph, start: usize) -> Option<Vec<usize>> {
    let mut paths = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        let last = path.last().expect("a path holds its start");
        for next in graph.get(last).into_iter().flat_map(BTreeMap::keys) {
            if *next == start {
                return Some(path);
            }
            if seen.insert(*next) {
                paths.push_back(path.iter().copied().chain([*next]).collect());
            }
        }
    }
    None
}
