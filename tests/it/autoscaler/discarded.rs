//! Backends that never come to serve: they are given their time, then thrown away.

use serde_json::{Value, json};

use super::pools::{self, Pool, address, in_the_end};
use crate::support::ports::Port;
use crate::support::{Backend, Client, Evenkeel, Prometheus};

/// A pool that wants as many as it may have, and the backends that listen.
fn pool(name: &str, max: u32, listening: &[u8]) -> (Pool, Vec<Backend>, Port) {
    let port = Port::reserve();
    let number = port.address().port();
    let pool = Pool::new(name, (1, max), number);
    pool.need(900);
    let at = |nth: &u8| Backend::named_at(address(*nth, number), "one");
    (pool, listening.iter().map(at).collect(), port)
}

/// The events of the kind `scaling` with this reason about an upstream.
fn events(evenkeel: &Evenkeel, upstream: &str, reason: &str) -> Vec<Value> {
    let admin = evenkeel.admin();
    let host = admin.to_string();
    let headers = [("Host", host.as_str()), ("Accept", "application/json")];
    let answer = Client::connect(admin).request("GET", "/api/v1/events", &headers, b"");
    let all: Vec<Value> = serde_json::from_str(&answer.text()).expect("a list");
    let is_it = |one: &Value| {
        one["kind"] == "scaling" && one["upstream"] == upstream && one["reason"] == reason
    };
    all.into_iter().filter(is_it).collect()
}

#[test]
fn what_never_serves_is_thrown_away_and_makes_room_for_another() {
    // The third container of each never answers a check.
    let (full, _full, _port) = pool("full", 3, &[1, 2, 4]);
    let (future, _future, _port) = pool("future", 3, &[1, 2, 4]);
    // By the platform's clock it is only about to be made.
    future.engine.with(|all| all.set_clock(100_000_000));
    let (paused, _paused, _port) = pool("paused", 3, &[1, 2, 4]);
    let (mostly, _mostly, _port) = pool("mostly", 4, &[1]);
    let pools = [&full, &future, &paused, &mostly];
    let answers = pools::prometheus(&pools);
    let prometheus = Prometheus::start(move |asked| answers(asked.value("query")));
    let health = "health: { active: { path: /, interval: 1s } }";
    let evenkeel = pools::evenkeel(&pools, &prometheus, health);
    in_the_end("all are as large as they may be", || {
        pools.iter().all(|pool| pool.is(pool.max))
    });
    pools::patch(&evenkeel, "paused", &json!({ "paused": true }));
    let before = pools.map(Pool::ids);
    in_the_end("another took its place", || {
        let told = pools::told(&evenkeel);
        ["full", "future"].iter().all(|name| {
            let pool = &told[*name]["pool"];
            pool["ready"] == 3 && pool["size"] == 3
        })
    });
    for (pool, before) in [(&full, &before[0]), (&future, &before[1])] {
        let now = pool.ids();
        assert_eq!(now[..2], before[..2], "{}", pool.there());
        assert!(!now.contains(&before[2]), "{}", pool.there());
        let events = events(&evenkeel, &pool.name, "discarded");
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(
            (&events[0]["from"], &events[0]["to"]),
            (&json!(3), &json!(2))
        );
        let labels = [("upstream", pool.name.as_str()), ("step", "serve")];
        let failures = evenkeel.metric("evenkeel_autoscaler_failures_total", &labels);
        assert!((failures - 1.0).abs() < 1e-9, "{failures}");
    }
    assert_eq!(paused.ids(), before[2], "what is paused does nothing");
    pools::patch(&evenkeel, "paused", &json!({ "paused": false }));
    in_the_end("its time is over", || !paused.ids().contains(&before[2][2]));
    // Where most fail, it is hardly each of them.
    let told = pools::told(&evenkeel);
    assert_eq!(told["mostly"]["pool"]["failing"], 3, "{told:?}");
    assert_eq!(mostly.ids(), before[3]);
    for pool in pools {
        assert_eq!(pool.broken(), Vec::<String>::new());
    }
}

#[test]
fn an_image_that_ends_at_once_stops_growth_and_that_is_told() {
    let listening = pools::everywhere();
    let pool = Pool::new("crashing", (1, 4), listening.address().port());
    pool.need(900);
    pool.engine.with(|all| all.exits_with(Some(1)));
    let pools = [&pool];
    let answers = pools::prometheus(&pools);
    let prometheus = Prometheus::start(move |asked| answers(asked.value("query")));
    let evenkeel = pools::evenkeel(&pools, &prometheus, pools::CHECKED);
    in_the_end("growth has stopped", || {
        !events(&evenkeel, "crashing", "crash_loop").is_empty()
    });
    let failed = events(&evenkeel, "crashing", "start_failed").len();
    assert!(failed >= 3, "{failed}");
    assert_eq!(pools::told(&evenkeel)["crashing"]["pool"]["ready"], 1);
    pool.engine
        .with(crate::support::engine::containers::Containers::heal);
    in_the_end("it grows again", || {
        let told = pools::told(&evenkeel);
        told["crashing"]["pool"]["ready"] == 4
    });
    assert_eq!(pool.broken(), Vec::<String>::new());
}
