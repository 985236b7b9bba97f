//! The autoscaler: what a file says is what runs.

use std::time::Duration;

use super::{file_with, loaded};
use crate::config::{
    Autoscaler, ClientCert, Driver, Endpoint, EngineTls, ForecastMode, ScaleTarget, Secret,
    SignalKind, Steps, load,
};

/// The file of [`file_with`] with discovery, and these lines as its autoscaler.
fn file(autoscaler: &str) -> String {
    let file = file_with(
        "discovery: [{ type: docker }, { type: registry, max_backends: 8 }]\n    health: { active: {} }",
    );
    format!("{file}autoscaler:\n{autoscaler}")
}

fn autoscaler(text: &str) -> Autoscaler {
    loaded(&file(text)).autoscaler.unwrap()
}

/// The only target, `keys` beside what is needed.
fn target_with(keys: &str) -> ScaleTarget {
    let text = format!(
        "  targets:\n  - {{ upstream: web, max: 4, signals: [{{ type: requests, full: 100 }}], \
         driver: {{ type: docker, service: app }}, {keys} }}\n"
    );
    autoscaler(&text).targets.remove(0)
}

/// The keys that are refused with the only target like that.
fn refused(keys: &str) -> Vec<String> {
    let text = format!("  prometheus: {{ url: 'http://p' }}\n  targets:\n  - {{ {keys} }}\n");
    let errors = load(&file(&text), "f", &|_| None).unwrap_err();
    let problems = errors.problems().iter();
    problems.map(|problem| problem.key.clone()).collect()
}

fn driver(keys: &str) -> Driver {
    let text = format!(
        "  targets:\n  - {{ upstream: web, max: 4, signals: [{{ type: queue, full: 1 }}], driver: {{ {keys} }} }}\n"
    );
    autoscaler(&text).targets.remove(0).driver
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn it_is_off_and_when_it_is_on_it_only_tells() {
    assert!(loaded(&file_with("")).autoscaler.is_none());
    let text = file_with("") + "autoscaler: null\n";
    assert!(loaded(&text).autoscaler.is_none());
    let target = "{ upstream: web, max: 4, signals: [{ type: queue, full: 1 }], driver: { type: swarm, service: a } }";
    let on = autoscaler(&format!("  targets: [{target}]\n"));
    assert!(on.dry_run && on.prometheus.is_none());
    assert_eq!((on.interval, on.max_actions_per_hour), (seconds(15), 60));
    let acts = autoscaler(&format!("  dry_run: false\n  targets: [{target}]\n"));
    assert!(!acts.dry_run);
}

#[test]
fn a_target_has_defaults() {
    let target = target_with("");
    assert_eq!(
        (target.upstream.as_str(), target.min, target.max),
        ("web", 1, 4)
    );
    let up = Steps {
        window: Duration::ZERO,
        percent: 100,
        backends: 4,
        period: seconds(15),
    };
    let down = Steps {
        window: seconds(300),
        percent: 50,
        backends: 1,
        period: seconds(60),
    };
    assert_eq!((target.up, target.down), (up, down));
    let times = [target.cooldown, target.provisioning, target.drain_timeout];
    assert_eq!(times, [15, 30, 30].map(seconds));
    assert_eq!(target.tolerance.to_string(), "10%");
    let forecast = target.forecast.unwrap();
    assert_eq!(forecast.mode, ForecastMode::Auto);
    assert_eq!(forecast.max_error.to_string(), "15%");
    assert_eq!(forecast.season, seconds(86_400));
    assert!(target_with("forecast: null").forecast.is_none());
}

#[test]
fn signals_are_called_by_their_type_and_rest_in_the_middle_of_their_band() {
    let text = "  prometheus: { url: 'http://Prometheus:9090/' , token: hush-hush }
  targets:
  - upstream: web
    max: 4
    signals:
    - { type: cpu, up: 90%, down: 40% }
    - { type: cpu, name: own, query: a, full: null }
    - { type: query, name: orders, query: b, full: 0.5, target: 30% }
    - { type: in_flight, full: 50, target: 70% }
    - { type: p95, full: 250ms, down: 0% }
    driver: { type: docker, service: app }
";
    let autoscaler = autoscaler(text);
    let prometheus = autoscaler.prometheus.unwrap();
    assert_eq!(prometheus.url, "http://prometheus:9090");
    assert_eq!(prometheus.timeout, seconds(5));
    assert_eq!(prometheus.token, Some(Secret::new("hush-hush".to_owned())));
    let signals = &autoscaler.targets[0].signals;
    let names: Vec<&str> = signals.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["cpu", "own", "orders", "in_flight", "p95"]);
    let kinds: Vec<SignalKind> = signals.iter().map(|one| one.kind.clone()).collect();
    let query = |query: &str| query.to_owned();
    let expected = [
        SignalKind::Cpu { query: None },
        SignalKind::Cpu {
            query: Some(query("a")),
        },
        SignalKind::Query {
            query: query("b"),
            full: 0.5,
        },
        SignalKind::InFlight { full: 50.0 },
        SignalKind::P95 {
            full: Duration::from_millis(250),
        },
    ];
    assert_eq!(kinds, expected);
    let rounded = |ratio: f64| (ratio * 1000.0).round() / 1000.0;
    let bands: Vec<[f64; 3]> = signals
        .iter()
        .map(|one| [one.down, one.target, one.up].map(rounded))
        .collect();
    let expected = [
        [0.4, 0.65, 0.9],
        [0.3, 0.5, 0.7],
        [0.3, 0.3, 0.7],
        [0.3, 0.7, 0.7],
        [0.0, 0.35, 0.7],
    ];
    assert_eq!(bands, expected);
}

#[test]
fn a_query_ends_before_the_next_decision() {
    let text = "  interval: 2s
  prometheus: { url: 'https://p' }
  targets: [{ upstream: web, max: 4, signals: [{ type: cpu }], driver: { type: docker, service: app } }]
";
    assert_eq!(autoscaler(text).prometheus.unwrap().timeout, seconds(2));
}

#[test]
fn drivers_have_what_they_need_and_defaults() {
    let socket = Endpoint::Unix("/var/run/docker.sock".into());
    let docker = Driver::Docker {
        endpoint: socket.clone(),
        project: None,
        service: "app".to_owned(),
    };
    assert_eq!(driver("type: docker, service: app"), docker);
    let proxied = Driver::Docker {
        endpoint: Endpoint::Tcp("proxy:2375".to_owned()),
        project: Some("shop".to_owned()),
        service: "app".to_owned(),
    };
    let keys = "type: docker, service: app, project: shop, endpoint: 'tcp://proxy:2375', url: null";
    assert_eq!(driver(keys), proxied);
    let tls = EngineTls {
        sni: None,
        ca: Some("ca.pem".into()),
        client_cert: Some(ClientCert {
            cert: "a.pem".into(),
            key: "a.key".into(),
        }),
    };
    let safe = Driver::Docker {
        endpoint: Endpoint::Tls("engine:2376".to_owned(), tls),
        project: None,
        service: "app".to_owned(),
    };
    let keys = "type: docker, service: app, endpoint: 'tcp://engine:2376', \
         tls: { ca: ca.pem, client_cert: { cert: a.pem, key: a.key } }";
    assert_eq!(driver(keys), safe);
    let swarm = Driver::Swarm {
        endpoint: socket,
        service: "shop_app".to_owned(),
    };
    assert_eq!(driver("type: swarm, service: shop_app"), swarm);
    let webhook = Driver::Webhook {
        url: "https://h/scale?to=web".to_owned(),
        secret: Secret::new("0123456789abcdef".to_owned()),
        timeout: seconds(10),
    };
    let keys = "type: webhook, url: 'https://h/scale?to=web', secret: 0123456789abcdef";
    assert_eq!(driver(keys), webhook);
    let exec = Driver::Exec {
        program: "/opt/scale".into(),
        arguments: vec!["--to".to_owned()],
        timeout: seconds(60),
    };
    let keys = "type: exec, allow_exec: true, program: /opt/scale, arguments: [--to], timeout: 1m";
    assert_eq!(driver(keys), exec);
}

#[test]
fn the_discovery_keeps_as_many_as_there_may_be() {
    let rest = "signals: [{ type: cpu }], driver: { type: docker, service: app }";
    let most = autoscaler(&format!(
        "  prometheus: {{ url: 'http://p' }}\n  targets: [{{ upstream: web, min: 1008, max: 1008, {rest} }}]\n"
    ));
    assert_eq!((most.targets[0].min, most.targets[0].max), (1008, 1008));
    assert_eq!(
        refused(&format!("upstream: web, max: 1009, {rest}")),
        ["autoscaler.targets[0].max"]
    );
}

#[test]
fn targets_are_sorted_by_their_upstreams() {
    let text = "
listeners: [{ name: web, address: '0.0.0.0:5000' }]
routes: [{ name: all, upstream: b }]
upstreams: { a: { discovery: { type: registry } }, b: { discovery: { type: registry } } }
autoscaler:
  targets:
  - { upstream: b, max: 2, signals: [{ type: queue, full: 1 }], driver: { type: swarm, service: b } }
  - { upstream: a, max: 2, signals: [{ type: queue, full: 1 }], driver: { type: swarm, service: a } }
";
    let targets = loaded(text).autoscaler.unwrap().targets;
    let names: Vec<&str> = targets.iter().map(|one| one.upstream.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn its_secrets_are_not_printed() {
    let keys = "type: webhook, url: 'https://h', secret: 0123456789abcdef";
    assert!(!format!("{:?}", driver(keys)).contains("0123456789abcdef"));
}
