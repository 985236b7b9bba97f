//! The conversion: what a file says is what runs.

use std::time::Duration;

use super::*;

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
    assert_eq!(web.algorithm, Choice::Fixed(Algorithm::WeightedRoundRobin));
    assert_eq!(web.hash_key, HashKey::Cookie("session".to_owned()));
    assert_eq!(canary.sticky.as_ref().unwrap().cookie, "EVENKEEL");
    assert!(canary.backends[0].backup && canary.tls.is_none());
    let tls = web.tls.as_ref().unwrap();
    assert!(tls.verify && tls.client_cert.is_some());
    assert_eq!(web.timeouts.connect, Duration::from_secs(5));
    assert_eq!(Some(web.panic_threshold), Percent::from_hundredths(50.0));
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
