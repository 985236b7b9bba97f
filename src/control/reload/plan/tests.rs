use super::*;

const FILE: &str = "
server: { workers: 2, drain_timeout: 9s }
listeners:
  - { name: web, address: '127.0.0.1:5000', h2c: false }
  - { name: inner, address: '127.0.0.1:5001', h2c: false }
routes:
  - { name: api, match: { path: { prefix: /api }, headers: { X-Token: abc } }, upstream: app }
  - { name: all, upstream: app }
upstreams:
  app:
    backends: [{ address: '192.0.2.1:80' }, { address: '192.0.2.2:80', weight: 3 }]
  other:
    backends: [{ address: '192.0.2.3:80' }]
metrics: { address: '127.0.0.1:8000' }
admin: { address: '127.0.0.1:9901', token: hush-hush }
access_log: { sample: 50% }
";

fn config(text: &str) -> Config {
    crate::config::load(text, "test", &|_| None).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The plan for [`FILE`] with these replacements.
fn planned(replacements: &[(&str, &str)]) -> Planned {
    let text = replacements
        .iter()
        .fold(FILE.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "{old}");
            text.replace(old, new)
        });
    let running = config(FILE);
    plan(&running, &running, &config(&text))
}

fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(Change::to_string).collect()
}

fn changes(replacements: &[(&str, &str)]) -> Vec<String> {
    let plan = planned(replacements).plan;
    assert_eq!(lines(&plan.needs_upgrade), [""; 0]);
    lines(&plan.changes)
}

fn upgrades(replacements: &[(&str, &str)]) -> Vec<String> {
    let plan = planned(replacements).plan;
    assert_eq!(lines(&plan.changes), [""; 0]);
    lines(&plan.needs_upgrade)
}

#[test]
fn the_same_is_no_change() {
    let plan = planned(&[]).plan;
    assert!(plan.no_change);
    assert_eq!(plan.to_string(), "no change\n");
    assert_eq!(plan.summary(), "nothing changed");
}

#[test]
fn backends_come_go_and_change() {
    let told = changes(&[(
        "{ address: '192.0.2.1:80' }, { address: '192.0.2.2:80', weight: 3 }",
        "{ address: '192.0.2.2:80', weight: 9, zone: b }, { address: '192.0.2.9:80', weight: 2 }",
    )]);
    let expected = [
        "backend changed: upstreams.app.backends[192.0.2.2:80].weight: 3 -> 9",
        "backend changed: upstreams.app.backends[192.0.2.2:80].zone: null -> b",
        "backend added: upstreams.app.backends[192.0.2.9:80]: weight 2",
        "backend removed: upstreams.app.backends[192.0.2.1:80]: drained: requests finish, WebSockets within 9s",
    ];
    assert_eq!(told, expected);
}

#[test]
fn upstreams_and_routes_come_go_and_change() {
    let told = changes(&[
        ("  other:\n", "  more:\n    slow_start: 5s\n"),
        (
            "{ name: all, upstream: app }",
            "{ name: all, upstream: more, timeout: 90s }",
        ),
        (
            "  app:\n",
            "  app:\n    algorithm: maglev\n    timeouts: { read: 1m }\n",
        ),
    ]);
    let expected = [
        "route changed: routes.all.action: to app -> to more",
        "route changed: routes.all.timeout: 30s -> 90s",
        "upstream changed: upstreams.app.algorithm: adaptive -> maglev",
        "upstream changed: upstreams.app.timeouts.read: 30s -> 1m",
        "upstream added: upstreams.more: 1 backend",
        "upstream removed: upstreams.other: drained: requests finish, WebSockets within 9s",
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_order_of_routes_counts() {
    let api = "  - { name: api, match: { path: { prefix: /api }, headers: { X-Token: abc } }, upstream: app }\n";
    let all = "  - { name: all, upstream: app }\n";
    let text = format!("{api}{all}");
    let told = changes(&[(&text, &format!("{all}{api}"))]);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("routes reordered: routes"), "{told:?}");
    let between = "  - { name: new, respond: { status: 200 } }\n";
    let told = changes(&[(&text, &format!("{api}{between}{all}"))]);
    assert_eq!(told, ["route added: routes.new: responds 200"]);
}

#[test]
fn secrets_are_not_shown() {
    let told = changes(&[("X-Token: abc", "X-Token: abd")]);
    let expected = ["route changed: routes.api.match.headers.x-token: (hidden) -> another"];
    assert_eq!(told, expected);
    let told = upgrades(&[("hush-hush", "hush-bush")]);
    assert_eq!(told, ["admin changed: admin.token: (secret) -> another"]);
}

#[test]
fn what_is_set_up_once_needs_a_new_process() {
    let told = upgrades(&[
        ("workers: 2", "workers: 3"),
        ("127.0.0.1:5001", "127.0.0.1:5002"),
        ("127.0.0.1:8000", "127.0.0.1:8001"),
        ("sample: 50%", "sample: 50%, path: stderr"),
    ]);
    let expected = [
        "server changed: server.workers: 2 -> 3",
        "listener changed: listeners.inner.address: 127.0.0.1:5001 -> 127.0.0.1:5002",
        "metrics changed: metrics.address: 127.0.0.1:8000 -> 127.0.0.1:8001",
        "access log changed: access_log.path: stdout -> stderr",
    ];
    assert_eq!(told, expected);
    let off = upgrades(&[("metrics: { address: '127.0.0.1:8000' }", "metrics: null")]);
    assert_eq!(off, ["metrics removed: metrics: 127.0.0.1:8000"]);
}

#[test]
fn what_is_left_applies_at_once() {
    let told = changes(&[
        ("drain_timeout: 9s", "drain_timeout: 1h"),
        (
            "'127.0.0.1:5001'",
            "'127.0.0.1:5001', keepalive: 1s, max_body: unlimited",
        ),
        ("sample: 50%", "sample: 1%, format: text"),
    ]);
    let expected = [
        "server changed: server.drain_timeout: 9s -> 1h",
        "listener changed: listeners.inner.keepalive: 65s -> 1s",
        "listener changed: listeners.inner.max_body: 10MiB -> unlimited",
        "access log changed: access_log.format: json -> text",
        "access log changed: access_log.sample: 50% -> 1%",
    ];
    assert_eq!(told, expected);
}

#[test]
fn http2_keeps_what_the_process_was_started_with() {
    let text = FILE.replace("h2c: false", "h2c: true");
    let started = config(&text);
    let short = config(&text.replace("h2c: true", "h2c: true, keepalive: 5s"));
    let first = plan(&started, &started, &short);
    let needs = ["listeners changed: listeners.*.keepalive: of HTTP/2: 65s -> 5s"];
    assert_eq!(lines(&first.plan.needs_upgrade), needs);
    assert_eq!(first.plan.changes.len(), 2);
    let again = plan(&started, &first.config, &short);
    assert_eq!(lines(&again.plan.needs_upgrade), needs, "it still does");
    assert_eq!(again.plan.changes, []);
}

#[test]
fn listeners_keep_their_places_whatever_the_order_in_the_file() {
    let web = "  - { name: web, address: '127.0.0.1:5000', h2c: false }\n";
    let inner = "  - { name: inner, address: '127.0.0.1:5001', h2c: false }\n";
    let new = "  - { name: new, address: '127.0.0.1:5009', h2c: false }\n";
    let both = format!("{web}{inner}");
    let route = "{ name: all, upstream: app }";
    let bound = |to: &str| format!("{{ name: all, match: {{ listener: [{to}] }}, upstream: app }}");
    let positions = |planned: &Planned| {
        let listeners = planned.config.listeners.iter();
        let names: Vec<String> = listeners.map(|one| one.name.clone()).collect();
        assert_eq!(names, ["web", "inner"]);
        planned.config.routes[1].matches.listeners.clone()
    };
    let swapped = format!("{inner}{web}");
    assert!(planned(&[(&both, &swapped)]).plan.no_change);
    let to_inner = planned(&[(&both, &swapped), (route, &bound("inner"))]);
    assert_eq!(positions(&to_inner), [1]);
    let to_new = planned(&[(&both, &format!("{new}{inner}")), (route, &bound("new"))]);
    assert_eq!(
        positions(&to_new),
        [usize::MAX],
        "never, rather than everywhere"
    );
    let expected = [
        "listener added: listeners.new: 127.0.0.1:5009",
        "route changed: routes.all.match.listener: [(not running)] -> [new]",
        "listener removed: listeners.web: 127.0.0.1:5000",
    ];
    assert_eq!(lines(&to_new.plan.needs_upgrade), expected);
}

#[test]
fn a_summary_counts() {
    let plan = planned(&[
        ("weight: 3", "weight: 4"),
        ("'192.0.2.1:80' }", "'192.0.2.1:80', weight: 2 }"),
        ("  other:\n", "  more:\n"),
    ])
    .plan;
    let told = "2 backends changed, 1 upstream added, 1 upstream removed";
    assert_eq!(plan.summary(), told);
}

#[test]
fn the_autoscaler_comes_goes_and_changes() {
    let text = FILE.replace(
        "  other:\n",
        "  other:\n    discovery: { type: registry }\n",
    ) + "
autoscaler:
  prometheus: { url: 'http://p:9090', token: first-token }
  targets:
  - upstream: other
    max: 4
    signals: [{ type: cpu }, { type: p95, full: 1s, target: 40% }]
    driver: { type: webhook, url: 'https://h/scale?key=abc', secret: 0123456789abcdef }
";
    let running = config(&text);
    let told = |replacements: &[(&str, &str)]| {
        let wanted = replacements.iter().fold(text.clone(), |text, (old, new)| {
            assert!(text.contains(old), "{old}");
            text.replace(old, new)
        });
        let planned = plan(&running, &running, &config(&wanted));
        assert_eq!(lines(&planned.plan.needs_upgrade), [""; 0]);
        lines(&planned.plan.changes)
    };
    let expected = [
        "autoscaler changed: autoscaler.dry_run: true -> false",
        "autoscaler changed: autoscaler.prometheus.token: (secret) -> another",
        "target changed: autoscaler.targets.other.max: 4 -> 8",
        "target changed: autoscaler.targets.other.signals.p95: \
         p95, full 1s, up 70%, down 30%, target 40% -> p95, full 1s, up 70%, down 30%, target 50%",
        "target changed: autoscaler.targets.other.down: \
         50% or 1 backend per 1m, window 5m -> 50% or 2 backends per 1m, window 5m",
        "target changed: autoscaler.targets.other.forecast: \
         auto, max_error 15%, season 1d -> null",
        "target changed: autoscaler.targets.other.driver.url: https://h/scale -> another",
        "target changed: autoscaler.targets.other.driver.secret: (secret) -> another",
    ];
    let changes = told(&[
        ("autoscaler:\n", "autoscaler:\n  dry_run: false\n"),
        ("first-token", "other-token"),
        ("max: 4", "max: 8"),
        (", target: 40%", ""),
        (
            "driver:",
            "down: { backends: 2 }\n    forecast: null\n    driver:",
        ),
        ("key=abc", "key=abd"),
        ("0123456789abcdef", "0123456789abcdeF"),
    ]);
    assert_eq!(changes, expected);
    let off = plan(
        &running,
        &running,
        &config(text.split("autoscaler:").next().unwrap()),
    )
    .plan;
    let expected = [
        "autoscaler removed: autoscaler: 1 target, dry run",
        "target removed: autoscaler.targets.other: 1 to 4 backends by webhook",
    ];
    assert_eq!(lines(&off.changes), expected);
}
