//! Every name in a document exists: files, anchors, metrics, keys, tests, options, reasons.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use evenkeel::config::Algorithm;
use evenkeel::control::admin::Code;
use evenkeel::control::autoscale::decide;
use evenkeel::reject::{Fault, Reject};
use evenkeel::state::{Reason, State};
use evenkeel::upstream::{Exclusion, Measure};
use regex::Regex;

use crate::compose;
use crate::markdown::{Document, all, root};

/// Fails with all problems at once.
#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn read(path: &str) -> Document {
    Document::read(Path::new(path))
}

/// The words in the first column of a document's tables.
fn first_column(document: &Document) -> impl Iterator<Item = &str> {
    let rows = document
        .prose
        .iter()
        .filter_map(|(_, line)| line.strip_prefix("| `"));
    rows.flat_map(|row| {
        let cell = row.split(" | ").next().unwrap_or_default();
        cell.split(", ").map(|word| word.trim_matches('`'))
    })
}

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    for document in all() {
        let directory = document.path.parent().expect("a file is in a directory");
        for (line, link) in document.links() {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if file.is_empty() {
                document.path.clone()
            } else {
                directory.join(file)
            };
            let place = document.at(line);
            if !root().join(&path).exists() {
                problems.push(format!("{place}: {link} does not exist"));
            } else if !anchor.is_empty()
                && !Document::read(&path)
                    .anchors()
                    .iter()
                    .any(|one| one == anchor)
            {
                problems.push(format!("{place}: {link}: there is no such heading"));
            }
        }
    }
    none(&problems);
}

fn metrics() -> BTreeSet<String> {
    let document = read("docs/metrics.md");
    let names = first_column(&document)
        .filter(|name| name.starts_with("evenkeel_") || name.starts_with("process_"));
    names.map(str::to_owned).collect()
}

#[test]
fn every_metric_is_documented() {
    let metrics = metrics();
    assert!(metrics.len() > 20, "{metrics:?}");
    let name = Regex::new(r"\b(?:evenkeel|process)_[a-z_]+[a-z]\b").expect("a regex");
    let mut problems = Vec::new();
    for document in all() {
        for (line, text) in (1..).zip(document.text.lines()) {
            for found in name.find_iter(text).map(|found| found.as_str()) {
                let base = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| found.strip_suffix(suffix))
                    .unwrap_or(found);
                if !metrics.contains(found) && !metrics.contains(base) {
                    problems.push(format!("{}: no metric {found}", document.at(line)));
                }
            }
        }
    }
    none(&problems);
}

/// Every key of the configuration with its whole path, such as `routes[].retry.on`.
fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut section = None;
    for (_, line) in &read("docs/configuration.md").prose {
        if let Some(heading) = line.strip_prefix("## ") {
            section = match heading.trim_matches('`') {
                "The file" => Some(String::new()),
                path if heading.starts_with('`') => Some(format!("{path}.")),
                _ => None,
            };
        } else if let (Some(section), Some(row)) = (&section, line.strip_prefix("| `")) {
            let key = row.split('`').next().unwrap_or_default();
            keys.insert(format!("{section}{key}"));
        }
    }
    keys
}

/// Whether a document may call a key so: its whole path, or the end of it.
fn names_a_key(keys: &BTreeSet<String>, name: &str) -> bool {
    keys.iter().any(|key| {
        key.strip_suffix(name)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether containers may have a label that is called so.
fn is_container_label(name: &str) -> bool {
    let sources = [
        "src/control/discovery/docker/container.rs",
        "src/config/convert/discovery.rs",
        "src/control/autoscale/driver/docker/labels.rs",
    ];
    let is_there = |path: &&str| {
        let text = std::fs::read_to_string(root().join(path)).expect("the source is there");
        text.contains(&format!("\"{name}"))
    };
    name.starts_with("evenkeel.") && sources.iter().any(is_there)
}

#[test]
fn every_configuration_key_exists() {
    let keys = keys();
    assert!(keys.contains("routes[].retry.on") && keys.contains("upstreams.NAME.timeouts.tunnel"));
    let path = Regex::new(r"^[a-z_]+(\[\])?(\.[A-Za-z_]+(\[\])?)+$").expect("a regex");
    let file = Regex::new(r"\.(md|yaml|rs|toml|json|example)$").expect("a regex");
    let mut count = 0;
    let mut problems = Vec::new();
    for document in all() {
        for (line, code) in document.inline_code() {
            let missing_yet = document.path.ends_with("configuration.md");
            if missing_yet || !path.is_match(&code) || file.is_match(&code) {
                continue;
            }
            count += 1;
            if !names_a_key(&keys, &code) && !is_container_label(&code) {
                problems.push(format!("{}: no key {code}", document.at(line)));
            }
        }
    }
    none(&problems);
    assert!(count > 20, "only {count} keys were found");
}

/// Words with an underscore are names of something: a key, an algorithm, a metric, a reason, a field.
#[test]
fn every_name_with_an_underscore_exists() {
    let mut known = metrics();
    let parts = keys();
    known.extend(
        parts
            .iter()
            .filter_map(|key| key.rsplit('.').next())
            .map(str::to_owned),
    );
    known.extend(Algorithm::ALL.iter().map(|one| one.name().to_owned()));
    known.extend(Reject::ALL.iter().map(|one| one.label().to_owned()));
    for path in [
        "docs/admin-api.md",
        "docs/load-testing.md",
        "docs/logs.md",
        "docs/metrics.md",
    ] {
        known.extend(first_column(&read(path)).map(str::to_owned));
    }
    known.insert("client_ip".to_owned());
    // What the autoscaler tells without having decided it.
    known.insert("start_failed".to_owned());
    known.extend(compose::names());
    // Of PromQL and of compose files.
    let foreign = ["last_over_time", "network_mode", "stop_grace_period"];
    known.extend(foreign.map(str::to_owned));
    known.extend(State::ALL.iter().map(|one| one.label().to_owned()));
    known.extend(Reason::ALL.iter().map(|one| one.label().to_owned()));
    known.extend(decide::Reason::ALL.iter().map(|one| one.label().to_owned()));
    let word = Regex::new(r"^[a-z]+(_[a-z]+)+$").expect("a regex");
    let mut problems = Vec::new();
    for document in all() {
        for (line, code) in document.inline_code() {
            let bare = code.split([':', ' ', '(']).next().unwrap_or_default();
            if word.is_match(bare) && !known.contains(bare) {
                problems.push(format!(
                    "{}: {bare} is not the name of anything",
                    document.at(line)
                ));
            }
        }
    }
    none(&problems);
}

#[test]
fn every_reason_is_explained() {
    let document = read("docs/resilience.md");
    let rows: Vec<&str> = document
        .prose
        .iter()
        .map(|(_, line)| line.as_str())
        .filter(|line| line.starts_with("| `") && line.split(" | ").count() == 4)
        .filter(|line| {
            Reject::ALL
                .iter()
                .any(|one| line.starts_with(&format!("| `{}`", one.label())))
        })
        .collect();
    for (row, reject) in rows.iter().zip(Reject::ALL) {
        let fault = match reject.fault() {
            Fault::Client => "client",
            Fault::Backend => "backend",
            Fault::Us => "Evenkeel",
        };
        let start = format!(
            "| `{}` | {} | {fault} | ",
            reject.label(),
            reject.status().as_u16()
        );
        assert!(row.starts_with(&start), "expected {start}\nfound    {row}");
    }
    assert_eq!(
        rows.len(),
        Reject::ALL.len(),
        "one row for each reason, in their order"
    );
    let waits: Vec<String> = Reject::ALL
        .iter()
        .filter(|one| one.retry_after().is_some())
        .map(|one| format!("`{}`", one.label()))
        .collect();
    let (last, others) = waits.split_last().expect("some do");
    let sentence = format!(
        "{} and {last} come with `Retry-After: 1`.",
        others.join(", ")
    );
    assert!(document.text.contains(&sentence), "expected: {sentence}");
}

#[test]
fn every_error_of_the_admin_api_is_explained() {
    let document = read("docs/admin-api.md");
    let lines = document.prose.iter().map(|(_, line)| line.as_str());
    let table = lines.skip_while(|line| *line != "| code | status | when |");
    let table = table.take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = table.filter(|line| line.starts_with("| `")).collect();
    for (row, code) in rows.iter().zip(Code::ALL) {
        let start = format!("| `{}` | {} | ", code.label(), code.status().as_u16());
        assert!(row.starts_with(&start), "expected {start}\nfound    {row}");
    }
    assert_eq!(rows.len(), Code::ALL.len());
}

/// What an explanation compares backends by, and what it says of those that are out.
#[test]
fn every_score_and_exclusion_is_explained() {
    let document = read("docs/admin-api.md");
    let rows: Vec<&str> = first_column(&document).collect();
    for words in [
        Measure::ALL.iter().map(|one| one.label()).collect(),
        Exclusion::ALL
            .iter()
            .map(|one| one.label())
            .collect::<Vec<_>>(),
    ] {
        let all = rows.windows(words.len()).any(|rows| rows == words);
        assert!(all, "one row for each, in their order: {words:?}");
    }
}

/// One row for each, in their order: the states, then the reasons.
#[test]
fn every_state_and_reason_of_a_backend_is_explained() {
    let document = read("docs/health.md");
    let states = State::ALL.iter().map(|one| one.label());
    let labels: Vec<&str> = states
        .chain(Reason::ALL.iter().map(|one| one.label()))
        .collect();
    let rows: Vec<&str> = first_column(&document).collect();
    assert_eq!(rows, labels);
}

#[test]
fn every_algorithm_has_its_use_and_its_formula() {
    let document = read("docs/balancing.md");
    for algorithm in Algorithm::ALL {
        let start = format!("| `{}`", algorithm.name());
        let rows = document
            .prose
            .iter()
            .filter(|(_, line)| line.starts_with(&start));
        assert_eq!(rows.count(), 2, "{}", algorithm.name());
    }
}

/// Whether `cargo test --TARGET NAME` runs something: a module's file, and the test in it.
fn is_a_test(target: &str, name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").unwrap_or(("", name));
    let module = module.replace("::", "/");
    let files = match target {
        "lib" => {
            // A module's tests are in its file or beside it.
            let outer = module.strip_suffix("/tests").unwrap_or(&module);
            let places = [outer.to_owned(), format!("{outer}/mod"), module.clone()];
            places.map(|place| format!("src/{place}.rs")).to_vec()
        }
        // Their names are short enough to stand without a module.
        "documents" => ["names", "sessions"]
            .map(|one| format!("tests/documents/{one}.rs"))
            .to_vec(),
        target if module.is_empty() => vec![format!("tests/{target}.rs")],
        target => vec![format!("tests/{target}/{module}.rs")],
    };
    let texts = files
        .iter()
        .flat_map(|file| std::fs::read_to_string(root().join(file)));
    let (plain, by_macro) = (format!("fn {function}("), format!("\n    {function} \""));
    texts
        .into_iter()
        .any(|text| function.is_empty() || text.contains(&plain) || text.contains(&by_macro))
}

#[test]
fn every_named_test_exists() {
    let named = Regex::new(r"^cargo test --(?:test )?(\w+) ([\w:]+)$").expect("a regex");
    let mut count = 0;
    let mut problems = Vec::new();
    for document in all() {
        for (line, code) in document.inline_code() {
            let Some(found) = named.captures(&code) else {
                if code.starts_with("cargo test") && code != "cargo test --test documents" {
                    problems.push(format!("{}: `{code}` is not understood", document.at(line)));
                }
                continue;
            };
            count += 1;
            if !is_a_test(&found[1], &found[2]) {
                problems.push(format!("{}: `{code}` runs nothing", document.at(line)));
            }
        }
    }
    none(&problems);
    assert!(count > 10, "only {count} commands were found");
}

/// `evenkeel SUBCOMMAND --option ...` in text or a unit file, and an option that stands alone.
#[test]
fn every_subcommand_and_option_exists() {
    let subcommands = subcommands();
    let mut problems = Vec::new();
    let mut count = 0;
    for document in all() {
        let units = document.blocks_of("ini").flat_map(|block| {
            let lines = block
                .text
                .lines()
                .filter_map(|line| line.split_once("/bin/"));
            lines.map(|(_, command)| (block.line, command.to_owned()))
        });
        for (line, code) in document.inline_code().into_iter().chain(units) {
            let mut words = code.split_whitespace();
            let known = match words.next() {
                Some("evenkeel") => {
                    let Some(name) = words.next() else { continue };
                    let found = subcommands.iter().find(|(known, _)| known == name);
                    let missing = words
                        .filter(|word| word.starts_with('-'))
                        .find(|option| found.is_some_and(|(_, help)| !help.contains(option)));
                    found.is_some() && missing.is_none()
                }
                Some(option) if option.starts_with('-') && option.len() > 1 => {
                    subcommands.iter().any(|(_, help)| help.contains(option))
                }
                _ => continue,
            };
            count += 1;
            if !known {
                problems.push(format!("{}: `{code}`", document.at(line)));
            }
        }
    }
    none(&problems);
    assert!(count > 20, "only {count} commands and options were found");
}

fn help(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(arguments)
        .arg("--help")
        .output()
        .expect("the binary runs");
    assert!(done.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Every subcommand and its help.
fn subcommands() -> Vec<(String, String)> {
    let help_of_all = help(&[]);
    let list = help_of_all
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next());
    list.expect("clap lists them")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != "help")
        .map(|name| (name.to_owned(), help(&[name])))
        .collect()
}

/// The table of the command line has a row for each subcommand.
#[test]
fn the_readme_names_every_subcommand() {
    let readme = read("README.md");
    for (name, _) in subcommands() {
        let row = format!("| `evenkeel {name}");
        assert!(readme.text.contains(&row), "{name}");
    }
}

#[test]
fn the_version_of_rust_is_the_manifests() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    let version = Regex::new(r#"rust-version = "([\d.]+)""#).expect("a regex");
    let version = &version.captures(&manifest).expect("it says so")[1];
    let named = Regex::new(r"Rust (\d[\d.]*\d)").expect("a regex");
    let mut problems = Vec::new();
    let mut count = 0;
    for document in all() {
        for (line, text) in &document.prose {
            for found in named.captures_iter(text) {
                count += 1;
                if &found[1] != version {
                    problems.push(format!(
                        "{}: Rust {} is needed",
                        document.at(*line),
                        version
                    ));
                }
            }
        }
    }
    none(&problems);
    assert!(count > 1, "nothing says which Rust is needed");
}
