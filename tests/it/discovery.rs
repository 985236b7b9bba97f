//! Backends that come and go by themselves: listed in files, named in DNS, running as containers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Client, Evenkeel, Load};

mod dns;
mod docker;
mod files;

/// A configuration whose one upstream `main` has these keys.
fn start(upstream: &str) -> Evenkeel {
    Evenkeel::start(&only("main", upstream))
}

fn only(name: &str, upstream: &str) -> String {
    format!(
        "server: {{ workers: 2 }}\n\
         listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: {name} }}]\n\
         upstreams:\n  {name}: {{ algorithm: weighted_round_robin, {upstream} }}\n\
         metrics: {{ address: \"@metrics@\" }}\n\
         admin: {{ address: \"@admin@\" }}\n"
    )
}

/// Backends that the sources have, as the metrics say.
fn wait_for(evenkeel: &Evenkeel, backends: u32) {
    evenkeel.wait_for_metric("evenkeel_discovery_backends", &[], f64::from(backends));
}

fn wait_for_up(evenkeel: &Evenkeel, up: bool) {
    evenkeel.wait_for_metric("evenkeel_discovery_up", &[], f64::from(u8::from(up)));
}

/// That the one source was down and came back is told, each once.
#[track_caller]
fn was_down_once(evenkeel: &Evenkeel) {
    let log = evenkeel.log();
    for told in ["is down", "is back"] {
        let told = format!("source of backends {told}");
        assert_eq!(log.matches(&told).count(), 1, "{told}: once");
    }
}

/// What the API says about the backends of `main`.
fn shown(evenkeel: &Evenkeel) -> Vec<Value> {
    let admin = evenkeel.admin();
    let host = admin.to_string();
    let headers = [("Host", host.as_str())];
    let path = "/api/v1/upstreams/main";
    let answer = Client::connect(admin).request("GET", path, &headers, b"");
    let upstream: Value = serde_json::from_str(&answer.text()).expect("JSON");
    upstream["backends"].as_array().expect("a list").clone()
}

/// How many of so many requests each backend answered. None may fail.
fn answers(evenkeel: &Evenkeel, count: usize) -> BTreeMap<String, usize> {
    let mut client = evenkeel.connect();
    let mut by_name = BTreeMap::new();
    for _ in 0..count {
        let answer = client.get("/");
        assert_eq!(answer.status, 200, "{}", answer.head);
        *by_name.entry(answer.text()).or_default() += 1;
    }
    by_name
}

fn names(answers: &BTreeMap<String, usize>) -> Vec<&str> {
    answers.keys().map(String::as_str).collect()
}

/// Asks on a few connections for as long as `during` takes. No request may fail.
fn under_load(evenkeel: &Evenkeel, during: impl FnOnce(&Load)) {
    Load::of_gets(evenkeel, 3, during);
}
