//! The house's invariants, held by tests that read the sources.
//!
//! Each rule is a function from sources to findings. It is run twice: on the
//! package, where it must find nothing, and on a snippet that breaks it, where
//! it must say so; a rule that cannot fail would be decoration.

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/items.rs"]
mod items;
#[path = "architecture/manifest.rs"]
mod manifest;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/rules_can_fail.rs"]
mod rules_can_fail;
#[path = "architecture/source.rs"]
mod source;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use source::{File, Sources};

/// One breach of a rule: where, and what to do about it.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) what: String,
}

impl Finding {
    fn new(file: &File, line: usize, what: String) -> Self {
        Self {
            place: format!("src/{}:{line}", file.path),
            what,
        }
    }

    fn nowhere(what: &str) -> Self {
        Self {
            place: "src".to_owned(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

type Rule = fn(&Sources) -> Vec<Finding>;

/// Fails with every finding, one a line.
fn expect_clean(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "\n{}\n", lines.join("\n"));
}

fn holds(rule: Rule) {
    expect_clean(&rule(Sources::of_package()));
}

/// Fails unless the rule finds exactly one breach, at `place`, whose text holds `says`.
fn reports(rule: Rule, snippets: &[(&str, &str)], place: &str, says: &str) {
    let findings = rule(&Sources::of_snippets(snippets));
    let [finding] = findings.as_slice() else {
        panic!("expected one finding, got {findings:#?}");
    };
    assert_eq!(finding.place, place, "{finding}");
    assert!(finding.what.contains(says), "{finding}");
}

fn accepts(rule: Rule, snippets: &[(&str, &str)]) {
    expect_clean(&rule(&Sources::of_snippets(snippets)));
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file of the package: sources, tests, benches, patches.
fn every_rust_file() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches", "patch"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.expect("the package is readable").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("found below the root");
                files.push((
                    name.display().to_string(),
                    fs::read_to_string(&path).expect("sources are UTF-8"),
                ));
            }
        }
    }
    assert!(files.len() > 5, "the walk must find the package's files");
    files
}

/// What the package must satisfy.
mod house {
    use super::*;

    #[test]
    fn imports_point_to_a_lower_layer() {
        holds(imports::layers);
    }

    #[test]
    fn no_module_has_an_import_cycle_between_its_files() {
        holds(imports::cycles);
    }

    #[test]
    fn the_data_plane_is_one_proxyhttp_with_thin_phases() {
        holds(rules::one_thin_data_plane);
    }

    #[test]
    fn one_arcswap_publishes_the_snapshot() {
        holds(rules::one_arc_swap);
    }

    #[test]
    fn deciding_modules_neither_wait_nor_lock_nor_do_io() {
        holds(rules::pure_modules_stay_pure);
    }

    #[test]
    fn pingora_is_named_only_where_it_is_faced() {
        holds(rules::pingora_stays_outside);
    }

    #[test]
    fn proxy_and_control_never_name_each_other() {
        holds(rules::planes_are_strangers);
    }

    #[test]
    fn files_and_functions_are_small() {
        holds(rules::sizes);
    }

    #[test]
    fn modules_are_named_by_what_they_do_and_all_are_compiled() {
        holds(rules::names);
    }

    #[test]
    fn every_file_opens_with_its_job() {
        holds(rules::files_open_with_their_job);
    }

    #[test]
    fn nothing_unwraps_outside_tests() {
        holds(rules::no_unwrap);
    }

    #[test]
    fn one_module_reads_the_clock() {
        holds(rules::one_clock);
    }

    #[test]
    fn nothing_is_left_for_later() {
        expect_clean(&rules::nothing_unfinished(&every_rust_file()));
    }

    #[test]
    fn the_manifest_keeps_its_lints() {
        expect_clean(&manifest::lints(&read("Cargo.toml")));
    }

    #[test]
    fn pingora_is_pinned() {
        expect_clean(&manifest::pingora_is_pinned(&read("Cargo.toml")));
    }

    #[test]
    fn the_map_in_lib_names_every_module() {
        expect_clean(&manifest::map_is_complete(&read("src/lib.rs")));
    }
}
