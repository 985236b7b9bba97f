//! Backends listed in a file, which others write.

use std::net::SocketAddr;

use serde_json::json;

use super::{answers, names, only, shown, start, under_load, wait_for, wait_for_up};
use crate::support::deadline::wait_until;
use crate::support::{Backend, Evenkeel, Folder, Gate, Reply};

fn list(backends: &[&Backend]) -> String {
    let lines = backends
        .iter()
        .map(|backend| format!("- {}\n", backend.address()));
    lines.collect()
}

/// The file is read when it changes: the interval is too long to help.
fn watching(folder: &Folder) -> Evenkeel {
    start(&listed(folder))
}

fn listed(folder: &Folder) -> String {
    let path = folder.path("backends.yaml");
    format!(
        "discovery: {{ type: file, path: \"{}\", interval: 1h }}",
        path.display()
    )
}

#[test]
fn a_file_changes_under_load_and_no_request_fails() {
    const FILE: &str = "backends.yaml";
    let [a, b, c] = ["a", "b", "c"].map(Backend::named);
    let folder = Folder::new();
    folder.write(FILE, &list(&[&a]));
    let evenkeel = watching(&folder);
    under_load(&evenkeel, |load| {
        folder.replace(FILE, &list(&[&a, &b]));
        wait_for(&evenkeel, 2);
        b.wait_for(50);
        folder.write(FILE, &list(&[&b]));
        wait_for(&evenkeel, 1);
        let (before, other) = (a.count(), b.count());
        b.wait_for(other + 100);
        assert!(a.count() <= before + 3, "those in flight at most");
        folder.write(FILE, "- 127.0.0.1\n- { address: nonsense, weigth: 3 }\n");
        wait_for_up(&evenkeel, false);
        load.more(100);
        folder.write(FILE, "");
        wait_until("the empty file is told", || {
            evenkeel.log().contains("file: empty")
        });
        load.more(100);
        wait_for(&evenkeel, 1);
        folder.replace(FILE, &list(&[&c]));
        wait_for_up(&evenkeel, true);
        c.wait_for(100);
    });
    assert_eq!(names(&answers(&evenkeel, 20)), ["c"]);
    let log = evenkeel.log();
    for told in [
        "backends.yaml:1:3: [0]: expected HOST:PORT",
        "backends.yaml:2:14: [1].address: expected HOST:PORT",
        "[1].weigth: unknown key; did you mean `weight`?",
        "source of backends is back",
    ] {
        assert!(log.contains(told), "not told: {told}");
    }
    assert_eq!(log.matches("file: empty").count(), 1, "each is told once");
}

#[test]
fn a_reload_that_moves_the_traffic_to_found_backends_fails_no_request() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let folder = Folder::new();
    folder.write("backends.yaml", &list(&[&b]));
    let configured = format!("backends: [{{ address: \"{}\" }}]", a.address());
    let (fixed, found) = (only("fixed", &configured), only("found", &listed(&folder)));
    let evenkeel = Evenkeel::start(&fixed);
    under_load(&evenkeel, |load| {
        for _ in 0..5 {
            load.more(100);
            evenkeel.reload(&found);
            load.more(100);
            evenkeel.reload(&fixed);
        }
    });
    assert!(b.count() > 0);
}

#[test]
fn prometheus_lists_have_weights_and_the_api_says_who_found_them() {
    let [a, b, standby] = ["a", "b", "standby"].map(Backend::named);
    let folder = Folder::new();
    let group = |backend: &Backend, labels: serde_json::Value| json!({ "targets": [backend.address().to_string()], "labels": labels });
    let groups = json!([
        group(
            &a,
            json!({ "__weight__": "3", "__zone__": "east", "job": "web" })
        ),
        group(&b, json!({})),
        group(&standby, json!({ "__backup__": "true" })),
    ]);
    folder.write("backends.yaml", &groups.to_string());
    let evenkeel = watching(&folder);
    let shares = answers(&evenkeel, 40);
    assert_eq!((shares["a"], shares["b"], shares.len()), (30, 10, 2));
    let shown = shown(&evenkeel);
    let of = |backend: &Backend| {
        let id = backend.address().to_string();
        shown
            .iter()
            .find(|one| one["id"] == id)
            .expect("it is shown")
    };
    assert_eq!(of(&a)["source"], "discovered");
    let path = folder.path("backends.yaml").display().to_string();
    assert_eq!(of(&a)["discovered_by"], format!("file:{path}"));
    assert_eq!(
        (&of(&a)["weight"], &of(&a)["zone"]),
        (&json!(3), &json!("east"))
    );
    assert_eq!(of(&standby)["backup"], true);
}

#[test]
fn requests_in_flight_to_a_backend_that_leaves_are_finished() {
    let gate = Gate::new();
    let slow = gate.clone();
    let a = Backend::start(move |_| Reply::ok("a").after(&slow));
    let b = Backend::named("b");
    let folder = Folder::new();
    folder.write("backends.yaml", &list(&[&a]));
    let evenkeel = watching(&folder);
    let mut waiting = evenkeel.connect();
    waiting.send_request("GET", "/", &[], b"");
    a.wait_for(1);
    folder.replace("backends.yaml", &list(&[&b]));
    let id = a.address().to_string();
    wait_until("it has left", || {
        shown(&evenkeel).iter().all(|one| one["id"] != id)
    });
    assert_eq!(names(&answers(&evenkeel, 10)), ["b"]);
    gate.open();
    assert_eq!(waiting.response().text(), "a");
}

#[test]
fn who_is_configured_counts_before_who_is_listed() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let folder = Folder::new();
    let entry =
        |at: SocketAddr, weight: u32| json!({ "address": at.to_string(), "weight": weight });
    let entries = json!([entry(a.address(), 7), entry(b.address(), 1)]);
    folder.write("list.json", &entries.to_string());
    let path = folder.path("list.json");
    let evenkeel = start(&format!(
        "backends: [{{ address: \"{}\", weight: 3 }}], discovery: [{{ type: registry }}, {{ type: file, path: \"{}\" }}]",
        a.address(),
        path.display()
    ));
    let shares = answers(&evenkeel, 40);
    assert_eq!((shares["a"], shares["b"]), (30, 10));
    folder.replace("list.json", "[]");
    wait_for(&evenkeel, 0);
    assert_eq!(names(&answers(&evenkeel, 10)), ["a"]);
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let a = Backend::named("a");
    let folder = Folder::new();
    let evenkeel = watching(&folder);
    wait_for_up(&evenkeel, false);
    assert_eq!(evenkeel.get("/").status, 503);
    folder.replace("backends.yaml", &list(&[&a]));
    wait_for_up(&evenkeel, true);
    assert_eq!(names(&answers(&evenkeel, 10)), ["a"]);
}
