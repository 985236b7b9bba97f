//! Upstreams that are kept at the size that their load needs, through the real binary.

mod real;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::deadline::wait_until;
use crate::support::ports::Port;
use crate::support::{Backend, Engine, Evenkeel, Load, Prometheus, Said};

mod discarded;
mod faults;
mod killed;
mod pools;
mod prometheus;
mod restarted;

/// Hundredths of full backends.
struct Demand(Arc<AtomicU32>);

impl Demand {
    fn is(&self, hundredths: u32) {
        self.0.store(hundredths, Ordering::SeqCst);
    }
}

/// An Engine, a Prometheus, backends for the containers to come, and an Evenkeel that scales.
struct Stack {
    engine: Engine,
    _prometheus: Prometheus,
    demand: Demand,
    backends: Vec<Backend>,
    evenkeel: Evenkeel,
}

const MOST: u8 = 4;

fn stack(more: &str) -> Stack {
    let port = Port::reserve().address().port();
    let at = |number| SocketAddr::from((Ipv4Addr::new(127, 78, 0, number), port));
    // Every container has an address of its own, also those of the second time.
    let backends = (1..=2 * MOST).map(|number| Backend::named_at(at(number), "one"));
    let backends: Vec<Backend> = backends.collect();
    let engine = Engine::on_tcp();
    let labels = [
        ("evenkeel.upstream", "main"),
        ("evenkeel.port", &port.to_string()),
    ];
    engine.with(|all| all.up("app", "web", 1, &labels));
    let hundredths = Arc::new(AtomicU32::new(50));
    let told = Arc::clone(&hundredths);
    let prometheus = Prometheus::start(move |_| {
        let share = f64::from(told.load(Ordering::SeqCst)) / 400.0;
        Said::vector(&[share.to_string().as_str(); 4])
    });
    let (endpoint, url) = (engine.endpoint(), prometheus.url());
    let evenkeel = Evenkeel::start(&format!(
        "server: {{ workers: 2 }}\n\
         listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: main }}]\n\
         upstreams:\n  main:\n    algorithm: round_robin\n    \
           discovery: {{ type: docker, endpoint: \"{endpoint}\", max_backends: 8 }}\n    \
           health: {{ active: {{ path: /, interval: 300ms }} }}\n\
         metrics: {{ address: \"@metrics@\" }}\n\
         admin: {{ address: \"@admin@\" }}\n\
         autoscaler:\n  interval: 1s\n  dry_run: false\n  \
           prometheus: {{ url: \"{url}\", timeout: 900ms }}\n  \
           {more}\n  \
           targets:\n  - upstream: main\n    min: 1\n    max: {MOST}\n    \
             signals: [{{ type: query, name: load, query: load, full: 1 }}]\n    \
             up: {{ window: 0s, period: 1s }}\n    \
             down: {{ window: 2s, percent: 100, period: 1s }}\n    \
             cooldown: 0s\n    provisioning: 1s\n    drain_timeout: 5s\n    forecast: null\n    \
             driver: {{ type: docker, endpoint: \"{endpoint}\", project: app, service: web }}\n"
    ));
    Stack {
        engine,
        _prometheus: prometheus,
        demand: Demand(hundredths),
        backends,
        evenkeel,
    }
}

impl Stack {
    fn running(&self) -> usize {
        self.engine.with(|all| {
            let all = all.all();
            all.iter()
                .filter(|one| one["State"]["Running"] == true)
                .count()
        })
    }

    /// What the API says about the one target; null before it was looked at.
    fn told(&self) -> Value {
        let mut all = pools::told(&self.evenkeel);
        all.remove("main").unwrap_or_default()
    }
}

#[test]
fn the_pool_follows_the_load_up_and_down_and_no_request_fails() {
    let stack = stack("max_actions_per_hour: 60");
    Load::of_gets(&stack.evenkeel, 3, |load| {
        for _ in 0..2 {
            stack.demand.is(200);
            wait_until("there are four", || stack.running() == 4);
            let before: Vec<usize> = stack.backends.iter().map(Backend::count).collect();
            wait_until("all four serve", || {
                let counts = stack.backends.iter().map(Backend::count);
                counts
                    .zip(&before)
                    .filter(|(now, before)| now >= &(*before + 20))
                    .count()
                    == 4
            });
            stack.demand.is(40);
            wait_until("there is one", || stack.running() == 1);
            load.more(100);
        }
    });
    wait_until("that is seen", || {
        let told = stack.told();
        told["pool"]["size"] == 1
            && told["leaving"] == json!([])
            && told["decision"]["direction"] == "hold"
    });
    let names = stack.engine.with(|all| all.all().len());
    assert_eq!(names, 1, "none is left over");
    let actions = |direction| {
        let labels = [("upstream", "main"), ("direction", direction)];
        stack
            .evenkeel
            .metric("evenkeel_autoscaler_actions_total", &labels)
    };
    assert!(actions("up") >= 2.0 && actions("down") >= 2.0);
}

#[test]
fn a_dry_run_and_a_pause_tell_and_do_nothing() {
    let stack = stack("max_actions_per_hour: 60");
    wait_until("it was looked at", || !stack.told()["pool"].is_null());
    pools::patch(&stack.evenkeel, "main", &json!({ "paused": true }));
    stack.demand.is(200);
    wait_until("more are wanted", || stack.told()["decision"]["size"] == 4);
    let told = stack.told();
    assert_eq!(told["held"], "paused", "{told}");
    assert_eq!(stack.running(), 1);
    pools::patch(&stack.evenkeel, "main", &json!({ "paused": false }));
    wait_until("they come", || stack.running() == 4);
}
