//! Real picks, kept while somebody looks.

use std::time::Duration;

use serde_json::Value;

use super::{get, patch};
use crate::support::deadline::{Stopwatch, eventually, pause, wait_until};
use crate::support::ports::Port;
use crate::support::{Backend, Evenkeel, Setup};

fn decisions(evenkeel: &Evenkeel, most: usize) -> Vec<Value> {
    let (status, body) = get(evenkeel.admin(), &format!("/api/v1/decisions?n={most}"));
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["armed_for"], 30.0);
    body["decisions"].as_array().expect("a list").clone()
}

/// The picks for requests to `path`, once there is one with an outcome; the newest first.
fn of_path(evenkeel: &Evenkeel, path: &str) -> Vec<Value> {
    eventually("the pick is kept", || {
        evenkeel.get(path);
        let mut all = decisions(evenkeel, 256);
        all.retain(|one| one["path"] == path);
        let newest_is_over = all.first().is_some_and(|one| !one["outcome"].is_null());
        newest_is_over.then_some(all)
    })
}

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter().filter_map(|one| one["id"].as_str()).collect()
}

#[test]
fn picks_are_kept_once_somebody_looks() {
    let backends = ["a", "b", "c"].map(Backend::named);
    let evenkeel = Setup::new(&[&backends[0], &backends[1], &backends[2]])
        .upstream("algorithm: round_robin")
        .admin("")
        .start();
    let [a, b, c] = [0, 1, 2].map(|index: usize| backends[index].address().to_string());
    patch(
        evenkeel.admin(),
        "main",
        backends[2].address(),
        r#"{"state": "maintenance"}"#,
    );
    for _ in 0..20 {
        assert_eq!(evenkeel.get("/before").status, 200);
    }
    assert!(decisions(&evenkeel, 256).is_empty(), "nobody had looked");
    let all = eventually("a pick is kept", || {
        assert_eq!(evenkeel.get("/seen?token=secret").status, 200);
        let all = decisions(&evenkeel, 256);
        let is_over = all.first().is_some_and(|one| !one["outcome"].is_null());
        is_over.then_some(all)
    });
    let one = &all[0];
    assert_eq!(one["path"], "/seen", "without the query");
    assert_eq!(
        (&one["route"], &one["upstream"]),
        (&"all".into(), &"main".into())
    );
    assert_eq!(
        (&one["method"], &one["attempt"]),
        (&"GET".into(), &1.into())
    );
    assert_eq!(one["algorithm"], "round_robin");
    assert_eq!(
        (&one["reason"], &one["measure"]),
        (&"algorithm".into(), &"turns".into())
    );
    assert_eq!(one["outcome"]["status"], 200);
    assert_eq!(ids(&one["candidates"]), [a.as_str(), b.as_str()]);
    assert_eq!(ids(&one["excluded"]), [c.as_str()]);
    assert_eq!(one["excluded"][0]["reason"], "maintenance");
    let backend = one["backend"].as_str().expect("one was picked");
    let candidates = one["candidates"].as_array().expect("a list");
    let score = |one: &Value| one["score"].as_f64().expect("both have turns");
    let next = candidates
        .iter()
        .min_by(|a, b| score(a).total_cmp(&score(b)));
    assert_eq!(
        next.expect("there are two")["id"],
        backend,
        "it was its turn"
    );
    let numbers: Vec<u64> = all.iter().filter_map(|one| one["id"].as_u64()).collect();
    assert!(
        numbers.is_sorted_by(|newer, older| newer > older),
        "{numbers:?}"
    );
}

#[test]
fn no_more_are_kept_than_anybody_could_read() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    assert!(decisions(&evenkeel, 1).is_empty());
    let watch = Stopwatch::start();
    let mut client = evenkeel.connect();
    let mut sent = 0;
    while watch.elapsed() < Duration::from_secs(1) {
        assert_eq!(client.get("/").status, 200);
        sent += 1;
    }
    let kept = decisions(&evenkeel, 256).len() as f64;
    let most = watch.elapsed().as_secs_f64() * 20.0 + 1.0;
    assert!(kept >= 5.0 && kept <= most, "{kept} of {sent}");
}

#[test]
fn a_retry_is_kept_with_the_try_before() {
    let nobody = Port::reserve();
    let backend = Backend::named("a");
    // One refused connection keeps everybody away for a second and more.
    let evenkeel = Setup::new(&[])
        .backend(nobody.address(), "weight: 1000")
        .backend(backend.address(), "weight: 1")
        .upstream("algorithm: random")
        .admin("")
        .start();
    decisions(&evenkeel, 1);
    let all = of_path(&evenkeel, "/retried");
    let pair = all.windows(2).find(|pair| pair[0]["attempt"] == 2);
    let [second, first] = pair.expect("the first connection is refused") else {
        panic!("a pair has two");
    };
    assert_eq!(first["backend"], nobody.address().to_string());
    assert_eq!(first["outcome"]["retry"], "connect");
    assert_eq!(first["outcome"]["status"], Value::Null);
    assert_eq!(second["backend"], backend.address().to_string());
    assert_eq!(second["excluded"][0]["reason"], "tried");
    assert_eq!(second["outcome"]["status"], 200);
}

#[test]
fn that_nobody_could_be_picked_is_kept() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    patch(
        evenkeel.admin(),
        "main",
        backend.address(),
        r#"{"state": "maintenance"}"#,
    );
    decisions(&evenkeel, 1);
    let one = eventually("the failed pick is kept", || {
        assert_eq!(evenkeel.get("/none").status, 503);
        decisions(&evenkeel, 1).pop()
    });
    assert_eq!(
        (&one["backend"], &one["outcome"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(one["reason"], "no_backend");
    assert_eq!(one["excluded"][0]["reason"], "maintenance");
}

#[test]
fn nothing_is_kept_when_nobody_has_looked_for_long() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    decisions(&evenkeel, 1);
    wait_until("one pick is kept", || {
        assert_eq!(evenkeel.get("/early").status, 200);
        !decisions(&evenkeel, 1).is_empty()
    });
    pause(Duration::from_millis(30_500));
    for _ in 0..10 {
        assert_eq!(evenkeel.get("/late").status, 200);
    }
    let all = decisions(&evenkeel, 256);
    assert!(!all.is_empty());
    assert!(all.iter().all(|one| one["path"] == "/early"), "{all:?}");
}
