//! The house's invariants, held by tests that read the sources.
//!
//! Each rule is a function from sources to findings. It is run twice: on the
//! package, where it must find nothing, and on a snippet that breaks it, where
//! it must say so; a rule that cannot fail would be decoration.

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/manifest.rs"]
mod manifest;
#[path = "architecture/rules.rs"]
mod rules;
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

/// Each rule sees the breach it is for, and only that.
mod rules_can_fail {
    use super::*;

    const REJECT: (&str, &str) = ("reject.rs", "pub enum Reject { A }");

    #[test]
    fn layers_see_sideways_upward_and_homeless_modules() {
        let sideways = [
            ("route/mod.rs", "use crate::upstream::Pick;"),
            ("upstream/mod.rs", "pub struct Pick;"),
        ];
        reports(imports::layers, &sideways, "src/route/mod.rs:1", "sideways");
        let inline = [
            ("config/mod.rs", "fn f() { g!(crate::reject::Reject::A); }"),
            REJECT,
        ];
        reports(imports::layers, &inline, "src/config/mod.rs:1", "sideways");
        let upward = [
            ("upstream/mod.rs", "mod pool;"),
            (
                "upstream/pool.rs",
                "\nfn f(_: &super::super::snapshot::Snapshot) {}",
            ),
            ("snapshot.rs", "pub struct Snapshot;"),
        ];
        reports(
            imports::layers,
            &upward,
            "src/upstream/pool.rs:2",
            "higher layer",
        );
        let homeless = [("attic.rs", "")];
        reports(imports::layers, &homeless, "src/attic.rs:1", "has no layer");
        let downward = [
            (
                "route/mod.rs",
                "use crate::reject::Reject;\n#[cfg(test)] mod tests { use crate::snapshot::S; }",
            ),
            ("snapshot.rs", "use crate::route; pub struct S;"),
            REJECT,
        ];
        accepts(imports::layers, &downward);
    }

    #[test]
    fn cycles_are_seen_also_through_reexports() {
        let direct = [
            ("route/mod.rs", "pub mod a; pub mod b;"),
            ("route/a.rs", "use super::b::B; pub struct A;"),
            ("route/b.rs", "pub struct B(super::a::A);"),
        ];
        reports(
            imports::cycles,
            &direct,
            "src/route/a.rs:1",
            "route/a.rs -> route/b.rs -> route/a.rs",
        );
        let facade = [
            ("route/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("route/a.rs", "use super::B; pub struct A(B);"),
            ("route/b.rs", "use crate::route::A; pub struct B(A);"),
        ];
        reports(imports::cycles, &facade, "src/route/a.rs:1", "route/b.rs");
        let parent = [
            ("route/mod.rs", "mod a; pub use a::A;\npub struct Route(A);"),
            ("route/a.rs", "use super::Route; pub struct A;"),
        ];
        reports(imports::cycles, &parent, "src/route/mod.rs:1", "route/a.rs");
        let clean = [
            ("route/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("route/a.rs", "pub struct A;"),
            ("route/b.rs", "use super::A; pub struct B(A);"),
        ];
        accepts(imports::cycles, &clean);
    }

    #[test]
    fn the_data_plane_rule_sees_strays_and_thick_phases() {
        let rule = rules::one_thin_data_plane;
        let stray = [("server.rs", "impl ProxyHttp for S {}")];
        reports(rule, &stray, "src/server.rs:1", "second");
        let thick = format!(
            "impl ProxyHttp for S {{ fn logging() {{{}}} }}",
            "\n    step();".repeat(11) + "\n"
        );
        reports(
            rule,
            &[("proxy/mod.rs", &thick)],
            "src/proxy/mod.rs:1",
            "`logging` has 11 lines",
        );
        reports(
            rule,
            &[("proxy/mod.rs", "struct S;")],
            "src",
            "no `impl ProxyHttp`",
        );
        accepts(
            rule,
            &[(
                "proxy/mod.rs",
                "impl pingora::ProxyHttp for S { fn logging() {} }",
            )],
        );
    }

    #[test]
    fn the_arcswap_rule_sees_strays_and_twins() {
        let rule = rules::one_arc_swap;
        let one = "use arc_swap::ArcSwap; pub struct P { now: ArcSwap<S> }";
        let stray = [
            ("snapshot.rs", one),
            ("control/mod.rs", "use arc_swap::Guard;"),
        ];
        reports(rule, &stray, "src/control/mod.rs:1", "outside snapshot.rs");
        let twins =
            "use arc_swap::ArcSwap;\nstruct P { a: ArcSwap<S>,\n b: Arc<ArcSwapOption<T>> }";
        reports(
            rule,
            &[("snapshot.rs", twins)],
            "src/snapshot.rs:3",
            "half of a reload",
        );
        reports(rule, &[("snapshot.rs", "")], "src", "through no ArcSwap");
        accepts(rule, &[("snapshot.rs", one)]);
    }

    #[test]
    fn purity_sees_waiting_locks_and_io() {
        let rule = rules::pure_modules_stay_pure;
        for (text, says) in [
            ("async fn f() {}", "`async`"),
            ("fn f() { m!(x.await) }", "`await`"),
            ("use std::sync::Mutex;\nfn f(_: &Mutex<u8>) {}", "`Mutex`"),
            ("fn f(_: std::sync::RwLock<u8>) {}", "`RwLock`"),
            ("use std::{fs, sync::Arc};", "`std::fs`"),
            (
                "use std::net::{IpAddr, TcpStream};",
                "`std::net::TcpStream`",
            ),
            ("fn f() { tokio::time::sleep(x); }", "`tokio::time::sleep`"),
            ("use tokio::net::TcpStream;", "`tokio::net::TcpStream`"),
        ] {
            let line = if text.contains('\n') { 2 } else { 1 };
            let place = format!("src/upstream/mod.rs:{line}");
            reports(rule, &[("upstream/mod.rs", text)], &place, says);
        }
        let clean = "use std::net::{IpAddr, SocketAddr};\nuse tokio::sync::Semaphore;\n// async\n\
                     #[cfg(test)]\nmod tests { use std::fs; }";
        accepts(
            rule,
            &[
                ("upstream/mod.rs", clean),
                ("proxy/mod.rs", "async fn f() {}"),
            ],
        );
    }

    #[test]
    fn the_pingora_rule_sees_imports_and_paths() {
        let rule = rules::pingora_stays_outside;
        let import = [("observe/mod.rs", "use pingora::prelude::*;")];
        reports(rule, &import, "src/observe/mod.rs:1", "`pingora`");
        let inline = [("upstream/mod.rs", "fn f(_: &pingora_ketama::Bucket) {}")];
        reports(rule, &inline, "src/upstream/mod.rs:1", "`pingora_ketama`");
        let allowed = [
            ("upstream/mod.rs", "mod balance;"),
            ("upstream/balance/mod.rs", "mod ring;"),
            ("upstream/balance/ring.rs", "use pingora_ketama::Bucket;"),
            ("listen/mod.rs", "use pingora_core::apps::ServerApp;"),
        ];
        accepts(rule, &allowed);
    }

    #[test]
    fn the_planes_rule_sees_both_directions() {
        let rule = rules::planes_are_strangers;
        let up = [
            ("proxy/mod.rs", "use crate::control::Watch;"),
            ("control/mod.rs", ""),
        ];
        reports(rule, &up, "src/proxy/mod.rs:1", "names `control`");
        let down = [
            ("control/mod.rs", "fn f() { super::proxy::go(); }"),
            ("proxy/mod.rs", ""),
        ];
        reports(rule, &down, "src/control/mod.rs:1", "names `proxy`");
        accepts(
            rule,
            &[(
                "proxy/mod.rs",
                "use http::header::CACHE_CONTROL as control;",
            )],
        );
    }

    #[test]
    fn sizes_see_long_files_functions_and_main() {
        let rule = rules::sizes;
        let long = "//\n".repeat(501);
        reports(
            rule,
            &[("server.rs", &long)],
            "src/server.rs:1",
            "501 lines",
        );
        let main = format!("fn main() {{}}\n{}", "//\n".repeat(130));
        let with_main = [("main.rs", main.as_str()), ("lib.rs", "")];
        reports(rule, &with_main, "src/main.rs:1", "131 lines");
        let function = format!("\nfn f() {{\n{}}}", "g();\n".repeat(69));
        reports(
            rule,
            &[("server.rs", &function)],
            "src/server.rs:2",
            "`f` has 71 lines",
        );
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(600));
        accepts(rule, &[("server.rs", &tests)]);
    }

    #[test]
    fn names_see_junk_drawers_and_orphans() {
        let rule = rules::names;
        reports(
            rule,
            &[("server.rs", "mod helpers {}")],
            "src/server.rs:1",
            "`helpers`",
        );
        let orphan = [("lib.rs", ""), ("attic.rs", "")];
        reports(rule, &orphan, "src", "src/attic.rs belongs to no module");
        accepts(rule, &[("server.rs", "mod drain {}")]);
    }

    #[test]
    fn missing_job_statements_are_seen() {
        let rule = rules::files_open_with_their_job;
        reports(
            rule,
            &[("server.rs", "struct S;")],
            "src/server.rs:1",
            "open with",
        );
        accepts(rule, &[("server.rs", "//! Serves.")]);
    }

    #[test]
    fn unwraps_are_seen_outside_tests() {
        let rule = rules::no_unwrap;
        reports(
            rule,
            &[("server.rs", "fn f() { m!(x\n.unwrap()) }")],
            "src/server.rs:2",
            "`.unwrap()`",
        );
        let clean =
            "fn f() { x.unwrap_or(1); }\n#[cfg(test)]\nmod tests { fn f() { x.unwrap(); } }";
        accepts(rule, &[("server.rs", clean)]);
    }

    #[test]
    fn clock_reads_are_seen() {
        let rule = rules::one_clock;
        for call in [
            "std::time::Instant::now",
            "tokio::time::Instant::now",
            "SystemTime::now",
        ] {
            let text = format!("fn f() {{ {call}(); }}");
            reports(
                rule,
                &[("server.rs", &text)],
                "src/server.rs:1",
                "clock::Moment",
            );
        }
        accepts(rule, &[("clock.rs", "fn f() { Instant::now(); }")]);
    }

    #[test]
    fn unfinished_work_is_seen() {
        for text in [
            concat!("// FIX", "ME later"),
            concat!("// TO", "DO later"),
            "fn f() { todo!() }",
            "fn f() { unimplemented!() }",
            "#[test]\n#[ignore] fn f() {}",
            "#[ignore = \"slow\"] fn f() {}",
        ] {
            let found = rules::nothing_unfinished(&[("a.rs".to_owned(), text.to_owned())]);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
        }
        let clean = (
            "a.rs".to_owned(),
            "/// Ignores what is left to do.\nfn f() {}".to_owned(),
        );
        expect_clean(&rules::nothing_unfinished(&[clean]));
    }

    #[test]
    fn a_manifest_without_its_lints_or_pins_is_seen() {
        let manifest = read("Cargo.toml");
        for lint in [
            "unsafe_code = \"forbid\"",
            "unwrap_used = \"deny\"",
            "missing_docs = \"warn\"",
        ] {
            let found = manifest::lints(&manifest.replacen(lint, "", 1));
            assert_eq!(found.len(), 1, "{lint}: {found:?}");
        }
        let found = manifest::pingora_is_pinned(&manifest.replacen("\"=0.9.1\"", "\"0.9\"", 1));
        assert_eq!(found.len(), 1, "{found:?}");
        let found = manifest::pingora_is_pinned("[dependencies]\nfoo = \"1\"");
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn a_map_that_lags_behind_is_seen() {
        let lib = read("src/lib.rs");
        let found = manifest::map_is_complete(&format!("{lib}\npub mod attic;\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        let without_a_row: Vec<&str> = lib.lines().filter(|line| !line.contains("| 3 |")).collect();
        let found = manifest::map_is_complete(&without_a_row.join("\n"));
        assert!(!found.is_empty(), "a missing row is seen");
    }
}
