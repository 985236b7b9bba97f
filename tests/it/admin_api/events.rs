//! The timeline, followed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{get, patch, send};
use crate::support::deadline::{Stopwatch, wait_until};
use crate::support::events::{Event, Events};
use crate::support::{Backend, Client, Demo, Evenkeel, Load, Setup};

fn state_of(admin: SocketAddr, id: SocketAddr) -> Value {
    super::backend(admin, id)["state"].clone()
}

/// One entry in the timeline.
fn weigh(admin: SocketAddr, id: impl std::fmt::Display, weight: u32) {
    let path = format!("/api/v1/upstreams/main/backends/{id}");
    patch(admin, &path, &json!({ "weight": weight }));
}

#[test]
fn a_stream_tells_of_a_killed_backend_within_two_seconds() {
    let mut demos = ["a", "b"].map(Demo::start);
    let evenkeel = Setup::new(&[])
        .backend(demos[0].address(), "")
        .backend(demos[1].address(), "")
        .upstream("health: { active: { type: http, path: /health, interval: 200ms } }")
        .admin("")
        .start();
    let admin = evenkeel.admin();
    for demo in &demos {
        wait_until("it is up", || state_of(admin, demo.address()) == "up");
    }
    let mut events = Events::open(admin, "", &[]);
    let id = demos[1].address();
    demos[1].kill();
    let watch = Stopwatch::start();
    let told = events.find("its end", |event| {
        event.kind == "backend" && event.data["backend"] == id.to_string()
    });
    assert!(watch.elapsed() < Duration::from_secs(2), "{told:?}");
    assert_eq!(
        (&told.data["from"], &told.data["to"]),
        (&json!("up"), &json!("down"))
    );
    assert_eq!(told.data["reason"], "connect_failed");
    let health = get(admin, "/api/v1/status")["health"].clone();
    let health = health.as_str().expect("a sentence");
    let begin = format!("1 of 2 backends serves main; {id} down for ");
    assert!(health.starts_with(&begin), "{health}");
    let check = super::backend(admin, id)["last_check"].clone();
    assert_eq!(
        (&check["ok"], &check["detail"]),
        (&json!(false), &json!("connection refused"))
    );
    demos[1].restart();
    events.find("its return", |event| {
        event.data["backend"] == id.to_string() && event.data["to"] == "up"
    });
    assert_eq!(
        get(admin, "/api/v1/status")["health"],
        "All 2 backends serve main"
    );
    assert_eq!(super::backend(admin, id)["last_check"]["ok"], true);
}

#[test]
fn a_stream_goes_on_where_the_one_before_it_ended() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    let admin = evenkeel.admin();
    let id = backend.address();
    let mut first = Events::open(admin, "", &[]);
    weigh(admin, id, 2);
    let seen = first.find("the change", |event| event.kind == "operator");
    drop(first);
    weigh(admin, id, 3);
    weigh(admin, id, 4);
    let last = seen.id.expect("it has one").to_string();
    let mut next = Events::open(admin, "", &[("Last-Event-ID", &last)]);
    weigh(admin, id, 5);
    for (is, was) in [(3, 2), (4, 3), (5, 4)] {
        let told = next.next();
        let what = format!("main: {id}: weight {was} -> {is}, by 127.0.0.1");
        assert_eq!(told.data["what"], what);
        assert_eq!(told.id, told.data["id"].as_u64());
    }
    let accept = [("Accept", "application/json")];
    let answer = send(admin, "GET", "/api/v1/events?n=2", &accept, &Value::Null);
    let entries = super::json(&answer);
    let whats: Vec<_> = entries.as_array().expect("a list").iter().collect();
    assert_eq!(whats.len(), 2);
    assert!(
        whats[1]["what"]
            .as_str()
            .expect("text")
            .contains("weight 4 -> 5")
    );
}

/// An upstream with one backend of a name as long as names can be.
fn long_named() -> (Evenkeel, String) {
    let evenkeel = Evenkeel::start(
        "listeners: [{ name: web, address: \"@web@\" }]\n\
         routes: [{ name: all, upstream: main }]\n\
         upstreams: { main: { discovery: { type: registry } } }\n\
         metrics: { address: \"@metrics@\" }\n\
         admin: { address: \"@admin@\" }\n",
    );
    let id = "a".repeat(261);
    let path = format!("/api/v1/upstreams/main/backends/{id}/heartbeat");
    let body = json!({ "ttl": "1h", "address": "127.0.0.1:9" });
    assert_eq!(send(evenkeel.admin(), "PUT", &path, &[], &body).status, 201);
    (evenkeel, id)
}

#[test]
fn readers_that_do_not_read_cost_no_memory_and_are_told_what_they_lost() {
    /// More than the sockets' buffers and the timeline hold.
    const CHANGES: usize = 8_000;
    const READERS: usize = 8;
    const THREADS: usize = 4;
    let (evenkeel, id) = long_named();
    let admin = evenkeel.admin();
    let memory = || evenkeel.metric("process_resident_memory_bytes", &[]);
    let change = |changes: usize| {
        Load::run(
            THREADS,
            |load: &Load| {
                let mut weight = 1;
                while load.goes_on() {
                    weight = weight % 9 + 1;
                    weigh(admin, &id, weight);
                    load.served();
                }
            },
            // In parts, each of which may take its time.
            |load| (0..changes / 500).for_each(|_| load.more(500)),
        );
    };
    // What the API itself comes to need.
    change(CHANGES / 8);
    let mut readers: Vec<Events> = (0..READERS).map(|_| Events::open_narrow(admin)).collect();
    let before = memory();
    change(CHANGES);
    let grown = memory() - before;
    assert!(grown < 12e6, "{grown} bytes more for {READERS} readers");
    let mut newest = 0;
    let notice = readers[0].find("how much is lost", |event: &Event| {
        newest = event.id.unwrap_or(newest);
        event.kind == "lost"
    });
    let lost = notice.data["lost"].as_u64().expect("a number");
    let next = readers[0].next();
    assert_eq!(next.id, Some(newest + lost + 1), "nothing else is missing");
    // Somebody who reads is not held up by those who do not.
    let mut reader = Events::open(admin, "", &[]);
    weigh(admin, &id, 10);
    assert_eq!(reader.next().kind, "operator");
    assert_eq!(
        Client::connect(admin)
            .request("GET", "/livez", &[], b"")
            .status,
        200
    );
}
