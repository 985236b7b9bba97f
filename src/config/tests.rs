//! The conversion: what a file says is what runs.

use std::time::Duration;

use super::*;

mod autoscaler;

const FILE: &str = r#"
server: { workers: 3, secret: "0123456789abcdef" }
listeners:
  - name: web
    address: 0.0.0.0:5000
    max_body: unlimited
    max_connections_per_ip: 7
    trusted_proxies: [10.0.0.0/8, "::1"]
  - { name: other, address: "0.0.0.0:5001", protocol: http, proxy_protocol: false, tls: null }
routes:
  - name: beta
    match:
      listener: [other]
      host: [API.example.com, "*.Example.org"]
      path: { prefix: /api }
      methods: [GET]
      headers: { X-Beta: "1", X-Version: { regex: "^2" }, X-Debug: { present: false } }
      content_type: Application/JSON
    split: [{ upstream: web, weight: 95 }, { upstream: canary, weight: 5 }]
    rewrite: { prefix: / }
    request_headers: { set: { Host: a.example.org }, remove: [Cookie] }
    retry: { attempts: 0, on: [connect, 503, 429, 503] }
    mirror: null
  - { name: old, redirect: { status: 301, scheme: https } }
  - { name: ping, respond: { status: 200, body: pong } }
upstreams:
  web:
    hash_key: { cookie: session }
    backends: [{ address: "a:80", weight: 3, labels: { zone: b } }]
    slow_start: 0s
    tls: { enabled: true, client_cert: { cert: a.pem, key: a.key } }
  canary:
    algorithm: maglev
    backends: [{ address: "b:80", backup: true }]
    sticky: {}
    tls: { enabled: false, sni: ignored.example.org }
metrics: null
access_log: { path: /var/log/a.log, sample: 1% }
autoscaler: null
fleet: { redis: null }
"#;

fn loaded(text: &str) -> Config {
    match load(text, "f", &|_| None) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

#[test]
fn process_and_listeners() {
    let config = loaded(FILE);
    assert_eq!(config.server.workers.get(), 3);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(30));
    assert!(config.server.secret.is_some());
    let web = &config.listeners[0];
    assert_eq!((web.max_body, web.max_connections_per_ip), (None, Some(7)));
    assert_eq!(web.trusted_proxies.len(), 2);
    assert_eq!((web.max_header_bytes, web.h2c), (32_768, true));
    assert!(config.metrics.is_none());
    let log = config.access_log.unwrap();
    assert_eq!(log.path, LogPath::File("/var/log/a.log".into()));
    assert_eq!(
        (log.format, Some(log.sample)),
        (LogFormat::Json, Percent::from_hundredths(1.0))
    );
}

#[test]
fn routes_refer_by_position() {
    let config = loaded(FILE);
    let names: Vec<&str> = config
        .upstreams
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["canary", "web"]);
    let beta = &config.routes[0];
    assert_eq!(beta.matches.listeners, [1]);
    let hosts = [
        HostPattern::Exact("api.example.com".to_owned()),
        HostPattern::Suffix(".example.org".to_owned()),
    ];
    assert_eq!(beta.matches.hosts, hosts);
    assert_eq!(beta.matches.headers.len(), 3);
    assert_eq!(
        beta.matches.content_type.as_deref(),
        Some("application/json")
    );
    let Action::Forward(shares) = &beta.action else {
        panic!("beta forwards");
    };
    let share = |upstream, weight| Split { upstream, weight };
    assert_eq!(*shares, [share(1, 95), share(0, 5)]);
    assert!(matches!(&beta.rewrite, Some(Rewrite::Prefix(prefix)) if prefix == "/"));
    assert_eq!(beta.retry.on.statuses, [429_u16, 503]);
    assert!(beta.retry.on.connect && !beta.retry.on.reset && !beta.retry.on.timeout);
    assert_eq!(beta.request_headers.set[0].0, http::header::HOST);
}

#[test]
fn routes_that_answer() {
    let config = loaded(FILE);
    assert!(matches!(
        &config.routes[1].action,
        Action::Redirect { status, to } if status.as_u16() == 301 && to.scheme.as_deref() == Some("https") && to.host.is_none()
    ));
    assert!(matches!(&config.routes[2].action, Action::Respond { body, .. } if body == "pong"));
}

#[test]
fn upstreams_and_their_defaults() {
    let config = loaded(FILE);
    let [canary, web] = config.upstreams.as_slice() else {
        panic!("there are two");
    };
    assert_eq!(canary.algorithm, Choice::Fixed(Algorithm::Maglev));
    assert_eq!(web.algorithm, Choice::Adaptive);
    assert_eq!(web.hash_key, HashKey::Cookie("session".to_owned()));
    assert_eq!(canary.sticky.as_ref().unwrap().cookie, "EVENKEEL");
    assert!(canary.backends[0].backup && canary.tls.is_none());
    let tls = web.tls.as_ref().unwrap();
    assert!(tls.verify && tls.client_cert.is_some());
    assert_eq!(web.timeouts.connect, Duration::from_secs(5));
    assert_eq!(Some(web.panic_threshold), Percent::from_hundredths(50.0));
}

/// The upstream `web` of a file in which these keys stand.
fn upstream_with(keys: &str) -> Upstream {
    let mut config = loaded(&file_with(keys));
    config.upstreams.remove(0)
}

fn file_with(keys: &str) -> String {
    format!(
        "
listeners: [{{ name: web, address: '0.0.0.0:5000' }}]
routes: [{{ name: all, upstream: web }}]
upstreams:
  web:
    backends: [{{ address: 'a:80' }}]
    {keys}
"
    )
}

#[test]
fn health_left_out_is_the_default_of_the_types_that_run() {
    let web = upstream_with("");
    assert_eq!(
        format!("{:?}", web.health),
        format!("{:?}", Health::default())
    );
    assert_eq!(web.slow_start, Duration::ZERO);
    assert!(!web.discovery.is_some());
}

#[test]
fn health_turned_off_is_off() {
    let web = upstream_with("health: { passive: null, outlier: { mode: off } }");
    assert!(web.health.passive.is_none() && web.health.outlier.is_none());
    assert!(
        upstream_with("health: { outlier: null }")
            .health
            .outlier
            .is_none()
    );
}

#[test]
fn checks_have_defaults_that_agree() {
    let seconds = Duration::from_secs;
    let check = |keys: &str| {
        let web = upstream_with(&format!("health: {{ active: {{ {keys} }} }}"));
        web.health.active.unwrap()
    };
    let plain = check("");
    assert_eq!((plain.interval, plain.timeout), (seconds(5), seconds(2)));
    assert_eq!((plain.rise, plain.fall, plain.concurrency), (2, 3, 64));
    assert_eq!(Some(plain.jitter), Percent::from_hundredths(10.0));
    let Probe::Http(probe) = plain.probe else {
        panic!("checks are HTTP by default");
    };
    assert_eq!(
        (probe.path.as_str(), probe.expect.as_slice()),
        ("/health", &[200..=399][..])
    );
    // The default of the one gives way to the other as written.
    assert_eq!(check("interval: 1s").timeout, seconds(1));
    assert_eq!(
        upstream_with("health: { ejection: { base: 10m } }")
            .health
            .ejection
            .max,
        seconds(600)
    );
    let tcp = check("type: tcp, port: 81, host: null");
    assert!(matches!(tcp.probe, Probe::Tcp) && tcp.port == Some(81));
    let grpc = check("type: grpc, service: shop.Cart");
    assert!(matches!(grpc.probe, Probe::Grpc { service } if service == "shop.Cart"));
}

#[test]
fn statuses_that_pass_are_one_a_range_or_a_list() {
    for (written, expect) in [
        ("200", vec![200..=200]),
        ("'204'", vec![204..=204]),
        ("200-299", vec![200..=299]),
        (
            "[200, '301', 400-404]",
            vec![200..=200, 301..=301, 400..=404],
        ),
    ] {
        let keys = format!("health: {{ active: {{ expect: {written} }} }}");
        let probe = upstream_with(&keys).health.active.unwrap().probe;
        assert!(
            matches!(probe, Probe::Http(probe) if probe.expect == expect),
            "{written}"
        );
    }
}

#[test]
fn slower_than_the_others_takes_fractions_and_whole_numbers() {
    let web = upstream_with("health: { outlier: { mode: observe, deviations: 3, ratio: 1.25 } }");
    let outlier = web.health.outlier.unwrap();
    assert!(!outlier.enforce);
    assert_eq!((outlier.deviations, outlier.ratio), (3.0, 1.25));
}

#[test]
fn the_environment_sets_the_interval_where_there_are_checks() {
    let file = file_with("health: { active: { interval: 10s, timeout: 3s } }");
    let set = |milliseconds: &str| {
        let env = |name: &str| (name == "HEALTH_CHECK_INTERVAL").then(|| milliseconds.to_owned());
        let check = load(&file, "f", &env).unwrap().upstreams.remove(0);
        let check = check.health.active.unwrap();
        (check.interval.as_millis(), check.timeout.as_millis())
    };
    assert_eq!(set("500"), (500, 500));
    assert_eq!(set("60000"), (60_000, 3000));
    assert_eq!(set(""), (10_000, 3000));
    let env = |name: &str| (name == "HEALTH_CHECK_INTERVAL").then(|| "500".to_owned());
    let without = load(&file_with(""), "f", &env).unwrap();
    assert!(without.upstreams[0].health.active.is_none());
}

#[test]
fn backends_may_be_left_to_discovery() {
    let file = file_with("discovery: { type: registry }")
        .replace("    backends: [{ address: 'a:80' }]\n", "");
    let config = loaded(&file);
    assert!(config.upstreams[0].backends.is_empty());
    let discovery = &config.upstreams[0].discovery;
    assert_eq!(
        (discovery.registry, discovery.max_backends()),
        (Some(256), 256)
    );
    assert!(discovery.sources.is_empty());
}

#[test]
fn sources_are_known_by_what_they_look_at() {
    let sources = |text: &str| {
        let file = file_with(&format!("discovery: {text}"));
        loaded(&file).upstreams[0].discovery.sources.clone()
    };
    let all = sources(
        "[{ type: dns, name: App.Internal, port: 80 }, { type: dns, name: _http._tcp.app, srv: true, max_backends: 5 }, \
         { type: file, path: list.yaml, interval: 1m }, { type: docker }, \
         { type: docker, compose_service: app, compose_project: shop, port: 81, endpoint: 'tcp://engine:2375' }, \
         { type: docker, label: tier=web, network: back }]",
    );
    let ids: Vec<&str> = all.iter().map(|source| source.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "dns:app.internal:80",
            "dns:_http._tcp.app",
            "file:list.yaml",
            "docker:evenkeel.upstream=web",
            "docker:engine:2375/shop/app:81",
            "docker:tier=web",
        ]
    );
    let most: Vec<usize> = all.iter().map(|source| source.max_backends).collect();
    assert_eq!(most, [1000, 5, 1000, 1000, 1000, 1000]);
    let SourceKind::Docker(docker) = &all[4].kind else {
        panic!("it is Docker");
    };
    assert_eq!(docker.endpoint, Endpoint::Tcp("engine:2375".to_owned()));
    let labels = [
        "com.docker.compose.project=shop",
        "com.docker.compose.service=app",
    ];
    assert_eq!(
        (docker.port, &docker.labels[..]),
        (Some(81), &labels.map(str::to_owned)[..])
    );
    let SourceKind::Docker(docker) = &all[3].kind else {
        panic!("it is Docker");
    };
    assert_eq!(
        docker.endpoint,
        Endpoint::Unix("/var/run/docker.sock".into())
    );
    assert_eq!(docker.labels, ["evenkeel.upstream=web"]);
    let one = sources("{ type: file, path: list.yaml }");
    assert_eq!(one.len(), 1);
}

#[test]
fn the_admin_api_is_on_and_for_this_machine_unless_it_has_a_token() {
    let with = |keys: &str| loaded(&format!("{}{keys}\n", file_with(""))).admin;
    let admin = with("").unwrap();
    assert_eq!(admin.address.to_string(), "127.0.0.1:9901");
    assert!(admin.token.is_none());
    assert!(with("admin: null").is_none());
    let open = with("admin: { address: '0.0.0.0:9901', token: secret }").unwrap();
    assert!(open.token.is_some());
    assert!(with("admin: { address: '[::1]:1' }").is_some());
}

#[test]
fn variables_fill_in_numbers_and_turn_keys_off() {
    let text = "
listeners: [{ name: web, address: \"0.0.0.0:${PORT_OF_WEB:-5000}\", max_connections: \"${MAX}\" }]
routes: [{ name: all, upstream: web }]
upstreams: { web: { backends: [{ address: 'a:80', zone: \"${MAX}\" }] } }
metrics: { token: \"${TOKEN:-}\" }
";
    let env = |name: &str| (name == "MAX").then(|| "77".to_owned());
    let config = load(text, "f", &env).unwrap();
    assert_eq!(config.listeners[0].max_connections, 77);
    assert_eq!(config.upstreams[0].backends[0].zone.as_deref(), Some("77"));
    assert!(config.metrics.unwrap().token.is_none());
}

#[test]
fn backends_may_be_left_to_the_environment() {
    let text = "
listeners: [{ name: web, address: '0.0.0.0:5000' }]
routes: [{ name: all, upstream: web }]
upstreams: { aaa: { backends: [{ address: 'a:80' }] }, web: { backends: [] }, default: {} }
";
    let env = |name: &str| (name == "BACKEND_SERVERS").then(|| "b:80".to_owned());
    let errors = load(text, "f", &env).unwrap_err();
    assert_eq!(errors.problems().len(), 1);
    assert_eq!(errors.problems()[0].key, "upstreams.web.backends");
    let sound = text.replace(
        "web: { backends: [] }",
        "web: { backends: [{ address: 'c:80' }] }",
    );
    let config = load(&sound, "f", &env).unwrap();
    assert_eq!(config.upstreams[1].backends[0].address, "b:80");
}

#[test]
fn ten_thousand_routes_load() {
    use std::fmt::Write as _;
    let mut text = "listeners: [{ name: web, address: '0.0.0.0:5000' }]\nupstreams: { web: { backends: [{ address: 'a:80' }] } }\nroutes:\n".to_owned();
    for route in 0..10_000 {
        writeln!(
            text,
            "- {{ name: r{route}, match: {{ path: {{ exact: /r/{route} }} }}, upstream: web }}"
        )
        .unwrap();
    }
    assert_eq!(loaded(&text).routes.len(), 10_000);
}

#[test]
fn secrets_are_not_printed() {
    let config = loaded(FILE);
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let errors = load(&"#".repeat((1 << 20) + 1), "f", &|_| None).unwrap_err();
    assert_eq!(errors.to_string(), "f:1:1: file: larger than 1048576 bytes");
}
