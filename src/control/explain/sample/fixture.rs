//! A configuration with one route of each action, for the tests of the commands.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use crate::config::{
    Action, Algorithm, Backend, Choice, Config, HashKey, HeaderEdits, Health, HostPattern,
    Listener, Match, PathPattern, Percent, Protocol, Queue, RedirectTarget, Retry, RetryOn,
    Rewrite, Route, Server, Split, Timeouts, Upstream, ValuePattern,
};

/// Routes `beta` (95 to 5 between `api` and `canary`, prefix taken off), `api`,
/// `strip` (a regex rewrite), `old` (redirect) and `teapot` (fixed answer) on the
/// listeners `web` and `internal`.
pub(crate) fn config() -> Config {
    Config {
        server: Server {
            workers: NonZeroUsize::MIN,
            drain_timeout: Duration::from_secs(30),
            max_connections: 100,
            secret: None,
        },
        listeners: vec![listener("web", 5000), listener("internal", 5001)],
        routes: routes(),
        upstreams: vec![
            upstream("api", Algorithm::WeightedRoundRobin),
            upstream("canary", Algorithm::Maglev),
        ],
        metrics: None,
        access_log: None,
        admin: None,
        autoscaler: None,
    }
}

fn routes() -> Vec<Route> {
    let split = |upstream, weight| Split { upstream, weight };
    let mut beta = route(
        "beta",
        "/api",
        Action::Forward(vec![split(0, 95), split(1, 5)]),
    );
    beta.matches.headers = vec![(
        HeaderName::from_static("x-beta"),
        ValuePattern::Exact("1".to_owned()),
    )];
    beta.rewrite = Some(Rewrite::Prefix("/".to_owned()));
    let api = route(
        "api",
        "/api",
        Action::Forward(vec![split(0, 1), split(1, 0)]),
    );
    let mut strip = route("strip", "/strip", Action::Forward(vec![split(0, 1)]));
    strip.rewrite = Some(Rewrite::Regex {
        pattern: regex::Regex::new("^/strip|x").expect("the pattern is fixed"),
        replacement: String::new(),
    });
    let to = RedirectTarget {
        scheme: Some("https".to_owned()),
        host: None,
        path: Some("/new".to_owned()),
    };
    let status = StatusCode::PERMANENT_REDIRECT;
    let old = route("old", "/old", Action::Redirect { status, to });
    let status = StatusCode::IM_A_TEAPOT;
    let body = String::new();
    let mut teapot = route("teapot", "/tea", Action::Respond { status, body });
    teapot.matches.listeners = vec![1];
    vec![beta, api, strip, old, teapot]
}

fn route(name: &str, prefix: &str, action: Action) -> Route {
    Route {
        name: name.to_owned(),
        matches: Match {
            hosts: vec![HostPattern::Suffix(".example.com".to_owned())],
            path: Some(PathPattern::Prefix(prefix.to_owned())),
            ..Match::default()
        },
        action,
        rewrite: None,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        timeout: Duration::from_secs(30),
        retry: Retry {
            attempts: 2,
            on: RetryOn::default(),
            backoff: Duration::from_millis(25),
            budget: Percent::ALL,
            non_idempotent: false,
        },
        algorithm_override: false,
    }
}

fn listener(name: &str, port: u16) -> Listener {
    Listener {
        name: name.to_owned(),
        address: ([127, 0, 0, 1], port).into(),
        keepalive: Duration::from_secs(65),
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(30),
        max_header_bytes: 32 << 10,
        max_body: None,
        max_connections: 100,
        max_connections_per_ip: None,
        trusted_proxies: Vec::new(),
        h2c: true,
    }
}

fn upstream(name: &str, algorithm: Algorithm) -> Upstream {
    let backend = |port: u16, weight, backup| Backend {
        address: format!("10.0.0.1:{port}"),
        weight,
        backup,
        zone: backup.then(|| "b".to_owned()),
        labels: BTreeMap::new(),
    };
    Upstream {
        name: name.to_owned(),
        algorithm: Choice::Fixed(algorithm),
        hash_key: HashKey::Cookie("user".to_owned()),
        backends: vec![backend(80, 5, false), backend(8080, 1, true)],
        discovery: crate::config::Discovery::default(),
        sticky: None,
        max_in_flight_per_backend: 1024,
        queue: Queue {
            size: 0,
            timeout: Duration::from_secs(1),
        },
        timeouts: Timeouts {
            tunnel: Duration::from_hours(1),
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_mins(1),
        },
        max_idle_per_backend: 64,
        protocol: Protocol::Http1,
        tls: None,
        panic_threshold: Percent::NONE,
        slow_start: Duration::ZERO,
        health: Health::default(),
    }
}
