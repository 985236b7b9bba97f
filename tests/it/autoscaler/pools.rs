//! Several upstreams that one Evenkeel keeps at their size, each with an Engine of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::deadline::within;
use crate::support::engine::containers::Law;
use crate::support::{Backend, Client, Engine, Evenkeel, Prometheus, Reply, Said};

/// Samples that a query answers with; as many backends or fewer report.
const SAMPLES: u32 = 8;

/// One of the upstreams.
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) engine: Engine,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Hundredths of full backends.
    demand: Arc<AtomicU32>,
}

impl Pool {
    /// The least containers run. A law keeps watch from now on.
    pub(super) fn new(name: &str, (min, max): (u32, u32), port: u16) -> Self {
        let engine = Engine::on_tcp();
        let labels = [
            ("evenkeel.upstream", name),
            ("evenkeel.port", &port.to_string()),
        ];
        engine.with(|all| {
            all.up("app", "web", min, &labels);
            all.keep(Law {
                min: min as usize,
                max: max as usize,
            });
        });
        Self {
            name: name.to_owned(),
            engine,
            min,
            max,
            demand: Arc::default(),
        }
    }

    /// So many hundredths of full backends are needed from now on.
    pub(super) fn need(&self, hundredths: u32) {
        self.demand.store(hundredths, Ordering::SeqCst);
    }

    /// The ids of the containers, in the order in which they were made.
    pub(super) fn ids(&self) -> Vec<String> {
        let id = |one: &Value| one["Id"].as_str().unwrap_or_default().to_owned();
        self.engine.with(|all| all.ours().map(id).collect())
    }

    /// What broke the law.
    pub(super) fn broken(&self) -> Vec<String> {
        self.engine.with(|all| all.broken().to_vec())
    }

    /// Whether so many run and nothing else is there of them.
    pub(super) fn is(&self, size: u32) -> bool {
        self.engine
            .with(|all| all.running() == size as usize && all.ours().count() == size as usize)
    }

    /// What the containers are called and do.
    pub(super) fn there(&self) -> String {
        self.engine.with(|all| {
            let one = |one: &Value| format!("{} {}", one["Name"], one["State"]["Status"]);
            all.ours().map(one).collect::<Vec<_>>().join(", ")
        })
    }
}

/// Changes something about a target: `{"paused": true}`.
pub(super) fn patch(evenkeel: &Evenkeel, name: &str, body: &Value) {
    let admin = evenkeel.admin();
    let host = admin.to_string();
    let headers = [("Host", host.as_str())];
    let path = format!("/api/v1/autoscaler/{name}");
    let body = body.to_string();
    let answer = Client::connect(admin).request("PATCH", &path, &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Where the `nth` container of an Engine is reached.
pub(super) fn address(nth: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(127, 78, 0, nth), port).into()
}

/// For what an idle machine does within some intervals, or within the patience of half a minute.
pub(super) const LONG: Duration = Duration::from_mins(2);

/// Waits for long until `condition` holds.
#[track_caller]
pub(super) fn in_the_end(what: &str, mut condition: impl FnMut() -> bool) {
    let held = within(LONG, || condition().then_some(()));
    assert!(held.is_some(), "not within {LONG:?}: {what}");
}

/// What answers queries by what each of `pools` needs.
pub(super) fn prometheus(pools: &[&Pool]) -> impl Fn(&str) -> Said + Send + Sync + use<> {
    let demands: BTreeMap<String, Arc<AtomicU32>> = pools
        .iter()
        .map(|pool| (pool.name.clone(), Arc::clone(&pool.demand)))
        .collect();
    move |query| {
        let needed = demands[query].load(Ordering::SeqCst);
        let share = f64::from(needed) / 100.0 / f64::from(SAMPLES);
        Said::vector(&[share.to_string().as_str(); SAMPLES as usize])
    }
}

/// Something that listens at the address of every container.
pub(super) fn everywhere() -> Backend {
    Backend::start_at((Ipv4Addr::UNSPECIFIED, 0).into(), |_| Reply::ok("one"))
}

/// Whether a container listens, and no request that could be counted.
pub(super) const CHECKED: &str = "health: { active: { type: tcp, interval: 2s } }";

/// An Evenkeel that keeps `pools`; `more` are keys of each upstream.
pub(super) fn evenkeel(pools: &[&Pool], prometheus: &Prometheus, more: &str) -> Evenkeel {
    let mut upstreams = String::new();
    let mut targets = String::new();
    for pool in pools {
        let (name, endpoint) = (&pool.name, pool.engine.endpoint());
        let _ = write!(
            upstreams,
            "  {name}:\n    discovery: {{ type: docker, endpoint: \"{endpoint}\", max_backends: 16 }}\n    {more}\n"
        );
        let _ = write!(
            targets,
            "  - upstream: {name}\n    min: {}\n    max: {}\n    \
               signals: [{{ type: query, name: load, query: {name}, full: 1 }}]\n    \
               up: {{ window: 0s, period: 1s }}\n    \
               down: {{ window: 1s, percent: 100, period: 1s }}\n    \
               cooldown: 0s\n    provisioning: 1s\n    drain_timeout: 3s\n    forecast: null\n    \
               driver: {{ type: docker, endpoint: \"{endpoint}\", project: app, service: web }}\n",
            pool.min, pool.max
        );
    }
    Evenkeel::start(&format!(
        "server: {{ workers: 1 }}\n\
         listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: {} }}]\n\
         upstreams:\n{upstreams}\
         metrics: {{ address: \"@metrics@\" }}\n\
         admin: {{ address: \"@admin@\" }}\n\
         autoscaler:\n  interval: 1s\n  dry_run: false\n  max_actions_per_hour: 3600\n  \
           prometheus: {{ url: \"{}\", timeout: 900ms }}\n  targets:\n{targets}",
        pools[0].name,
        prometheus.url(),
    ))
}

/// What the API says of each target, by its name.
pub(super) fn told(evenkeel: &Evenkeel) -> BTreeMap<String, Value> {
    let admin = evenkeel.admin();
    let host = admin.to_string();
    let headers = [("Host", host.as_str())];
    let answer = Client::connect(admin).request("GET", "/api/v1/autoscaler", &headers, b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let targets = all["targets"].as_array().cloned().unwrap_or_default();
    let name = |one: &Value| one["upstream"].as_str().unwrap_or_default().to_owned();
    targets.into_iter().map(|one| (name(&one), one)).collect()
}
