//! Each rule sees the breach it is for, and only that.

use crate::{accepts, expect_clean, imports, manifest, read, reports, rules};

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
    let twins = "use arc_swap::ArcSwap;\nstruct P { a: ArcSwap<S>,\n b: Arc<ArcSwapOption<T>> }";
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
    let clean = "fn f() { x.unwrap_or(1); }\n#[cfg(test)]\nmod tests { fn f() { x.unwrap(); } }";
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
