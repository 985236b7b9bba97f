//! The same on a real Engine: containers of a compose project that come and go with real load.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use super::pools;
use crate::support::compose::Project;
use crate::support::deadline::{pause, within};
use crate::support::filter::Proxy;
use crate::support::{Evenkeel, Folder, Load};

const SERVICES: &str = "services:
  web:
    image: @image@
    command: [/evenkeel, backend, --listen, \"0.0.0.0:5000\"]
    labels: { evenkeel.upstream: main, evenkeel.port: \"5000\" }
    read_only: true
    cap_drop: [ALL]
    security_opt: [\"no-new-privileges:true\"]
    deploy: { resources: { limits: { cpus: \"0.5\", memory: 128M } } }
    stop_grace_period: 5s
";

/// Containers on a busy machine take their time.
const PATIENCE: Duration = Duration::from_secs(90);
const CLIENTS: u32 = 8;
/// One full backend's requests per second; at half of them it is where it should be. The band is
/// narrow, so that one size alone suits a load, however the size came about.
const FULL: u32 = 20;

fn evenkeel(project: &Project, filter: &Proxy) -> Evenkeel {
    let (endpoint, name) = (filter.address(), &project.name);
    Evenkeel::start(&format!(
        "server: {{ workers: 2 }}\n\
         listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: main }}]\n\
         upstreams:\n  main:\n    \
           discovery: {{ type: docker, endpoint: \"tcp://{endpoint}\", compose_service: web, compose_project: {name} }}\n    \
           health: {{ active: {{ path: /health, interval: 300ms }} }}\n    slow_start: 2s\n\
         metrics: {{ address: \"@metrics@\" }}\n\
         admin: {{ address: \"@admin@\" }}\n\
         autoscaler:\n  interval: 1s\n  dry_run: false\n  \
           targets:\n  - upstream: main\n    min: 1\n    max: 6\n    \
             signals: [{{ type: requests, full: {FULL}, up: 55%, down: 45% }}]\n    \
             up: {{ window: 0s, period: 1s }}\n    \
             down: {{ window: 3s, percent: 100, period: 1s }}\n    \
             cooldown: 0s\n    provisioning: 5s\n    drain_timeout: 10s\n    forecast: null\n    \
             driver: {{ type: docker, endpoint: \"tcp://{endpoint}\", project: {name}, service: web }}\n"
    ))
}

/// Waits until there are so many containers, and all serve.
#[track_caller]
fn wait_for_size(project: &Project, evenkeel: &Evenkeel, size: usize) {
    let labels = [("upstream", "main")];
    let ready = || evenkeel.metric("evenkeel_autoscaler_ready", &labels);
    let there = || project.size() == size && (ready() - size as f64).abs() < 0.5;
    let came = within(PATIENCE, || there().then_some(()));
    assert!(
        came.is_some(),
        "there are {} instead of {size}, {} ready\n{}",
        project.size(),
        ready(),
        evenkeel.log()
    );
}

#[test]
fn a_compose_service_follows_real_load_and_no_request_fails() {
    let Some(project) = Project::up("autoscaler", SERVICES) else {
        return;
    };
    let settings = [
        ("DOCKER_API_SCALING", "yes"),
        ("DOCKER_API_PROJECT", project.name.as_str()),
    ];
    let filter = Proxy::before(&Project::socket(), Folder::new(), &settings);
    let evenkeel = evenkeel(&project, &filter);
    let labels = [("upstream", "main")];
    evenkeel.wait_for_metric("evenkeel_autoscaler_ready", &labels, 1.0);
    // Of each client, in milliseconds.
    let between = AtomicU32::new(1000);
    let rate = |per_second: u32| between.store(CLIENTS * 1000 / per_second, Ordering::SeqCst);
    let ask = |load: &Load| {
        let mut client = evenkeel.connect();
        while load.goes_on() {
            let answer = client.get("/");
            assert_eq!(answer.status, 200, "{}", answer.head);
            load.served();
            pause(Duration::from_millis(between.load(Ordering::SeqCst).into()));
        }
    };
    Load::run(CLIENTS as usize, ask, |_| {
        for _ in 0..2 {
            // Between three and four of the ten that are wanted of each.
            rate(37);
            wait_for_size(&project, &evenkeel, 4);
            let all: Vec<String> = (1..=4).map(|number| project.name_of(number)).collect();
            assert_eq!(project.shown(), all, "Compose takes them for its own");
            rate(7);
            wait_for_size(&project, &evenkeel, 1);
        }
    });
    assert_eq!(project.shown(), [project.name_of(1)]);
    // It stands outside of the project, and would want its least back.
    pools::patch(&evenkeel, "main", &json!({ "paused": true }));
    project.compose("down --timeout 5");
    assert_eq!(project.left(), "", "nothing is left");
}
