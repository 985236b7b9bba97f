//! The blocks that are not commands: configurations and queries.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use evenkeel::config;
use serde_yaml::{Mapping, Value};

use crate::markdown::{Block, Document, all, root};

/// The name under which a block is a file for the document's commands.
pub(crate) fn file_name(block: &Block) -> Option<&str> {
    let name = block.text.lines().next()?.strip_prefix("# ")?;
    let is_file = name
        .strip_suffix(".yaml")
        .is_some_and(|stem| !stem.contains(' '));
    (block.language == "yaml" && is_file).then_some(name)
}

/// What lacks to a part of a configuration, so that it can be loaded: a listener, a route, and
/// every upstream that is named.
fn completed(mut part: Mapping) -> Value {
    let has = |part: &Mapping, key: &str| part.contains_key(key);
    let parsed = |text: &str| serde_yaml::from_str::<Value>(text).expect("this is YAML");
    if !has(&part, "listeners") {
        let listeners = parsed("[{ name: web, address: '127.0.0.1:5000' }]");
        part.insert("listeners".into(), listeners);
    }
    if !has(&part, "upstreams") {
        let upstream = parsed("{ web: { backends: [{ address: '127.0.0.1:5001' }] } }");
        part.insert("upstreams".into(), upstream);
    }
    if !has(&part, "routes") {
        let upstreams = part["upstreams"].as_mapping().expect("upstreams by name");
        let name = upstreams.keys().next().and_then(Value::as_str);
        let name = name.expect("an upstream");
        part.insert(
            "routes".into(),
            parsed(&format!("[{{ name: all, upstream: {name} }}]")),
        );
    }
    Value::Mapping(part)
}

/// Why a block is no configuration; `None` when it is one, or is meant not to be.
fn problem(document: &Document, block: &Block) -> Option<String> {
    let place = document.at(block.line);
    let value: Value = match serde_yaml::from_str(&block.text) {
        Ok(value) => value,
        Err(error) => return Some(format!("{place}: {error}")),
    };
    match value {
        // A list holds cases for `evenkeel test`, which a command of the document reads.
        Value::Sequence(_) => {
            let used =
                file_name(block).is_some_and(|name| document.text.contains(&format!(" {name}\n")));
            (!used).then(|| format!("{place}: no command reads these cases"))
        }
        Value::Mapping(part) => {
            // Shown for its mistakes, which a command of the document prints.
            if file_name(block) == Some("broken.yaml") {
                return None;
            }
            let whole = ["listeners", "routes", "upstreams"]
                .iter()
                .all(|&key| part.contains_key(key));
            let text = if whole {
                block.text.clone()
            } else {
                serde_yaml::to_string(&completed(part)).expect("it was YAML")
            };
            let loaded = config::load(&text, &place, &|_| None);
            loaded.err().map(|errors| errors.to_string())
        }
        _ => Some(format!("{place}: neither a configuration nor cases")),
    }
}

#[test]
fn every_configuration_loads() {
    let mut count = 0;
    let mut problems = Vec::new();
    for document in all() {
        for block in document.blocks_of("yaml") {
            count += 1;
            problems.extend(problem(&document, block));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 8, "only {count} blocks of YAML were found");
}

#[test]
fn the_readme_shows_the_minimal_file() {
    let minimal = std::fs::read_to_string(root().join("conf/minimal.yaml")).expect("it is there");
    let readme = Document::read("README.md".as_ref());
    assert!(readme.blocks_of("yaml").any(|block| block.text == minimal));
}

/// Asks the installed promtool, or the one that `.ci/install test` unpacked.
#[test]
fn every_query_is_promql() {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/promtool");
    let promtool = if unpacked.exists() {
        unpacked
    } else {
        "promtool".into()
    };
    let mut rules = String::from("groups:\n- name: documents\n  rules:\n");
    let mut count = 0;
    for document in all() {
        for block in document.blocks_of("promql") {
            count += 1;
            let query = block.text.replace('\n', "\n      ");
            let query = query.trim_end();
            write!(rules, "  - record: q{count}\n    expr: |\n      {query}\n")
                .expect("writing to a string succeeds");
        }
    }
    assert!(count >= 8, "only {count} queries were found");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("documents-rules-{}.yaml", std::process::id()));
    std::fs::write(&file, &rules).expect("the file can be written");
    let done = Command::new(promtool)
        .args(["check", "rules"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .expect("promtool is there: run `make test`, or `.ci/install test` once");
    std::fs::remove_file(&file).expect("it was just written");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{said}\n{rules}");
}
