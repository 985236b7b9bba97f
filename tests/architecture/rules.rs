//! Rules about what a single file may contain, one function each.

use crate::Finding;
use crate::source::{File, Sources, find};

/// Modules that decide: no waiting, no I/O, no lock.
const PURE: [&str; 4] = ["route", "policy", "upstream", "snapshot"];

/// Modules that may name Pingora's crates.
const HOSTS: [&str; 4] = ["listen", "proxy", "server", "control"];

/// Files that may name one more crate of Pingora's, and which.
const HOST_EXCEPTIONS: [(&str, &str); 1] = [("upstream/balance/ring.rs", "pingora_ketama")];

/// Files that may read a clock, and why.
const CLOCK_READERS: [(&str, &str); 3] = [
    ("clock.rs", "the seam itself"),
    (
        "listen/downstream.rs",
        "tokio's timers are set in tokio's instants",
    ),
    (
        "observe/access_log/writer.rs",
        "log lines carry the time of day",
    ),
];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_MAIN_LINES: usize = 130;
const MAX_PHASE_LINES: usize = 10;

const FORBIDDEN_NAMES: [&str; 9] = [
    "utils", "util", "common", "helpers", "helper", "types", "manager", "misc", "tools",
];

fn each(sources: &Sources, check: impl Fn(&File, &mut dyn FnMut(usize, String))) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in sources.production() {
        check(file, &mut |line, what| {
            findings.push(Finding::new(file, line, what));
        });
    }
    findings
}

/// `impl ProxyHttp` stands in `proxy` and once, and its phases only delegate.
pub(crate) fn one_thin_data_plane(sources: &Sources) -> Vec<Finding> {
    let mut found = 0;
    let mut findings = Vec::new();
    for file in sources.production() {
        for line in file.find(&["ProxyHttp", "for"]) {
            found += 1;
            if file.top() != "proxy" || found > 1 {
                let what = "a second `impl ProxyHttp`; the data plane is one, in `proxy`";
                findings.push(Finding::new(file, line, what.to_owned()));
            }
        }
        let phases = file
            .functions
            .iter()
            .filter(|f| f.of_trait.as_deref() == Some("ProxyHttp"));
        for phase in phases.filter(|phase| phase.body_lines > MAX_PHASE_LINES) {
            let what = format!(
                "phase `{}` has {} lines, {MAX_PHASE_LINES} are allowed; delegate to a stage",
                phase.name, phase.body_lines
            );
            findings.push(Finding::new(file, phase.line, what));
        }
    }
    if sources.has("proxy") && found == 0 {
        findings.push(Finding::nowhere("module `proxy` holds no `impl ProxyHttp`"));
    }
    findings
}

/// Exactly one field or static is an `ArcSwap`, and only `snapshot` knows the type.
pub(crate) fn one_arc_swap(sources: &Sources) -> Vec<Finding> {
    let mut cells = 0;
    let mut findings = each(sources, |file, report| {
        for token in &file.tokens {
            if token.text.starts_with("ArcSwap") && file.top() != "snapshot" {
                report(
                    token.line,
                    "ArcSwap outside snapshot.rs; publish through it".to_owned(),
                );
            }
        }
        for import in &file.uses {
            if import.path[0] == "arc_swap" && file.top() != "snapshot" {
                report(
                    import.line,
                    "arc_swap outside snapshot.rs; publish through it".to_owned(),
                );
            }
        }
    });
    for file in sources.production() {
        for line in file.arc_swaps.iter().copied() {
            cells += 1;
            if cells > 1 {
                let what = "a second ArcSwap: a request could see half of a reload; put it into the snapshot";
                findings.push(Finding::new(file, line, what.to_owned()));
            }
        }
    }
    if sources.has("snapshot") && cells == 0 {
        findings.push(Finding::nowhere("snapshot.rs publishes through no ArcSwap"));
    }
    findings
}

/// The modules that decide neither wait, nor lock, nor do I/O.
pub(crate) fn pure_modules_stay_pure(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        if !PURE.contains(&file.top()) {
            return;
        }
        for token in &file.tokens {
            let cure = match token.text.as_str() {
                "async" | "await" => "return a fact and let `proxy` or `control` wait",
                "Mutex" | "RwLock" | "Condvar" | "ReentrantLock" => "use an atomic",
                _ => continue,
            };
            report(
                token.line,
                format!("`{}` in `{}`; {cure}", token.text, file.top()),
            );
        }
        for mention in file.mentions() {
            if does_io(&mention.path) {
                let path = mention.path.join("::");
                let what = format!(
                    "`{path}` in `{}`; do I/O in `control` or `proxy`",
                    file.top()
                );
                report(mention.line, what);
            }
        }
    })
}

fn does_io(path: &[String]) -> bool {
    const ADDRESSES: [&str; 7] = [
        "IpAddr",
        "Ipv4Addr",
        "Ipv6Addr",
        "SocketAddr",
        "SocketAddrV4",
        "SocketAddrV6",
        "AddrParseError",
    ];
    let segment = |index: usize| path.get(index).map(String::as_str);
    match (segment(0), segment(1)) {
        (Some("std"), Some("net")) => segment(2).is_some_and(|name| !ADDRESSES.contains(&name)),
        (Some("std"), Some("fs" | "process" | "thread")) => true,
        (Some("tokio"), Some(module)) => module != "sync",
        _ => false,
    }
}

/// Pingora's crates are named only by the modules that face it.
pub(crate) fn pingora_stays_outside(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        if HOSTS.contains(&file.top()) {
            return;
        }
        for mention in file.mentions() {
            let name = &mention.path[0];
            let is_pingora = name == "pingora" || name.starts_with("pingora_");
            if is_pingora && !HOST_EXCEPTIONS.contains(&(&file.path, name)) {
                let what = format!(
                    "`{name}` in `{}`; name Pingora only in {}",
                    file.top(),
                    HOSTS.join(", ")
                );
                report(mention.line, what);
            }
        }
    })
}

/// `proxy` and `control` meet in the snapshot, never by name.
pub(crate) fn planes_are_strangers(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        let other = match file.top() {
            "proxy" => "control",
            "control" => "proxy",
            _ => return,
        };
        for mention in file.mentions() {
            let above = mention
                .path
                .iter()
                .take_while(|s| *s == "super" || *s == "crate")
                .count();
            if above > 0
                && mention
                    .path
                    .get(above)
                    .is_some_and(|module| module == other)
            {
                let what = format!(
                    "`{}` names `{other}`; let them meet in `snapshot`",
                    file.top()
                );
                report(mention.line, what);
            }
        }
    })
}

/// Files, functions and `main.rs` stay small.
pub(crate) fn sizes(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        let lines = file.production_lines();
        let limit = if file.path == "main.rs" {
            MAX_MAIN_LINES
        } else {
            MAX_FILE_LINES
        };
        if lines > limit {
            report(
                1,
                format!("{lines} lines, {limit} are allowed; split it by responsibility"),
            );
        }
        for function in file
            .functions
            .iter()
            .filter(|f| f.lines > MAX_FUNCTION_LINES)
        {
            let what = format!(
                "`{}` has {} lines, {MAX_FUNCTION_LINES} are allowed; split it by step",
                function.name, function.lines
            );
            report(function.line, what);
        }
    })
}

/// No junk drawers, no files that are not compiled.
pub(crate) fn names(sources: &Sources) -> Vec<Finding> {
    let mut findings = each(sources, |file, report| {
        for child in file.child_names.iter().chain(file.module.last()) {
            if FORBIDDEN_NAMES.contains(&child.as_str()) {
                report(1, format!("module `{child}`; name it by what it does"));
            }
        }
    });
    for path in &sources.unreached {
        let what = format!("src/{path} belongs to no module; declare or delete it");
        findings.push(Finding::nowhere(&what));
    }
    findings
}

/// Every file opens with what it is for.
pub(crate) fn files_open_with_their_job(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        if !file.text.starts_with("//!") {
            report(1, "open with `//!`: its job and why this design".to_owned());
        }
    })
}

/// Input never panics.
pub(crate) fn no_unwrap(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        for method in ["unwrap", "unwrap_err", "unwrap_unchecked"] {
            for line in file.find(&[".", method, "("]) {
                let what = format!("`.{method}()`; return the error, or `expect` the invariant");
                report(line, what);
            }
        }
    })
}

/// Only the clock's own module reads the clock.
pub(crate) fn one_clock(sources: &Sources) -> Vec<Finding> {
    each(sources, |file, report| {
        if CLOCK_READERS.iter().any(|(path, _)| *path == file.path) {
            return;
        }
        for (ty, call) in [
            ("Instant", "now"),
            ("SystemTime", "now"),
            ("UNIX_EPOCH", "elapsed"),
            ("thread", "sleep"),
        ] {
            for separator in ["::", "."] {
                for line in file.find(&[ty, separator, call]) {
                    let what =
                        format!("`{ty}{separator}{call}`; take a `clock::Moment` as a parameter");
                    report(line, what);
                }
            }
        }
    })
}

/// Nothing is left for later. `files` may be sources, tests or benches: `(path, text)`.
pub(crate) fn nothing_unfinished(files: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        let mut report = |line: usize, what: &str| {
            let what = format!("{what}; finish it or open an issue");
            findings.push(Finding {
                place: format!("{path}:{line}"),
                what,
            });
        };
        for (index, line) in text.lines().enumerate() {
            for mark in [
                concat!("FIX", "ME"),
                concat!("TO", "DO"),
                concat!("XX", "X:"),
            ] {
                if line.contains(mark) {
                    report(index + 1, mark);
                }
            }
        }
        let tokens = crate::source::tokens(text);
        for name in ["todo", "unimplemented"] {
            for line in find(&tokens, &[name, "!"]) {
                report(line, &format!("`{name}!`"));
            }
        }
        for pattern in [
            &["#", "[", "ignore", "]"][..],
            &["#", "[", "ignore", "="][..],
        ] {
            for line in find(&tokens, pattern) {
                report(line, "`#[ignore]`");
            }
        }
    }
    findings
}
