use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::clock::Moment;
use crate::config::Algorithm;
use crate::reject::Reject;

use super::*;
use crate::observe::outcome::{Attempt, Connection, Handles, Outcome, Pick, Times};
use crate::observe::recorder::Recorder;
use crate::state::{Reason, State};

fn finish(recorder: &Recorder, outcome: &Outcome<'_>, handles: &Handles<'_>) {
    let (draw, describe) = (|| unreachable!(), || unreachable!());
    recorder.request(outcome, handles, draw, describe);
}

const PICK: Pick = Pick {
    algorithm: Algorithm::LeastConnections,
    reason: "algorithm",
};

fn attempt() -> Attempt {
    Attempt {
        pick: PICK,
        connection: Connection::New(Duration::from_micros(300)),
        answer: Answer::Status(StatusCode::OK),
        first_byte: Some(Duration::from_millis(4)),
        retry: None,
    }
}

fn outcome() -> Outcome<'static> {
    Outcome {
        listener: 0,
        method: &Method::GET,
        status: StatusCode::OK,
        reject: None,
        pick: Some(PICK),
        attempts: 1,
        retried: &[],
        bytes_in: 7,
        bytes_out: 11,
        started: Moment::ZERO,
        times: Times {
            total: Duration::from_micros(4_400),
            first_byte: Some(Duration::from_millis(4)),
            connect: Some(Duration::from_micros(300)),
            waited: Duration::from_micros(4_300),
            queue: None,
        },
    }
}

fn live(emit: &mut dyn FnMut(Live<'_>)) {
    emit(Live::Listener {
        listener: "web",
        active_connections: 3,
    });
    emit(Live::Upstream {
        upstream: "api",
        algorithm: Algorithm::Maglev,
        waiting: 2,
        in_flight_limit: 100,
    });
    emit(Live::Backend {
        upstream: "api",
        backend: "10.0.0.1:80",
        in_flight: 5,
        connections: 6,
        weight: 2.5,
        share: 0.0,
        state: State::Down,
        reason: Reason::CheckFailed,
    });
    emit(Live::Certificate {
        certificate: "upstreams.api.tls.client_cert",
        expires: 1_800_000_000,
    });
    emit(Live::Journal { lost: 1 });
    emit(Live::Log { dropped: 4 });
}

/// An instance in which every family has a series.
fn busy() -> (Metrics, impl Sized) {
    let metrics = Metrics::new();
    let route = metrics.route(&["web", "admin \"quoted\"\n"], "main", "api");
    let (upstream, backend) = (
        metrics.upstream("api"),
        metrics.backend("api", "10.0.0.1:80"),
    );
    let recorder = Recorder::new(None);
    let failed = Attempt {
        connection: Connection::Failed,
        answer: Answer::Failed,
        first_byte: None,
        retry: Some("connect"),
        ..attempt()
    };
    recorder.attempt(&failed, &upstream, &backend);
    backend.ejected(Reason::Latency);
    backend.observed(Reason::Latency);
    upstream.switched(Algorithm::LeastConnections);
    recorder.attempt(&attempt(), &upstream, &backend);
    backend.check("passed", Duration::from_millis(3));
    let mut outcome = outcome();
    let handles = Handles {
        route: &route,
        upstream: Some(&upstream),
        backend: Some(&backend),
    };
    finish(&recorder, &outcome, &handles);
    outcome.listener = 1;
    outcome.times.queue = Some(Duration::from_millis(20));
    outcome.reject = Some(Reject::BackendReset);
    outcome.status = Reject::BackendReset.status();
    finish(&recorder, &outcome, &handles);
    let source = metrics.source("api", "dns:app.internal:80");
    source.found(3, 1_700_000_000);
    let autoscaler = metrics.autoscaler("api");
    autoscaler.decided(ScaleReading {
        min: 1,
        max: 4,
        held: false,
        paused: false,
        size: 2,
        ready: 2,
        desired: 3,
        needed: Some(2.4),
        forecast: Some(2.6),
        forecast_error: Some(0.1),
        unix_seconds: 1_700_000_000.0,
    });
    autoscaler.told("up", "load");
    autoscaler.acted("up");
    autoscaler.failed("create");
    metrics.config_loaded(1_700_000_000.5);
    metrics.set_live(Box::new(live));
    (metrics, (route, upstream, backend, source, autoscaler))
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line {line}\n{text}");
}

#[test]
fn a_request_is_counted_where_it_belongs() {
    let (metrics, _held) = busy();
    let text = metrics.render();
    for line in [
        r#"evenkeel_requests_total{listener="web",route="main",upstream="api",method="GET",code="200"} 1"#,
        r#"evenkeel_requests_total{listener="admin \"quoted\"\n",route="main",upstream="api",method="GET",code="502"} 1"#,
        r#"evenkeel_request_duration_seconds_bucket{route="main",upstream="api",code_class="2xx",le="0.0025"} 0"#,
        r#"evenkeel_request_duration_seconds_bucket{route="main",upstream="api",code_class="2xx",le="0.005"} 1"#,
        r#"evenkeel_request_duration_seconds_bucket{route="main",upstream="api",code_class="2xx",le="+Inf"} 1"#,
        r#"evenkeel_request_duration_seconds_sum{route="main",upstream="api",code_class="2xx"} 0.0044"#,
        r#"evenkeel_proxy_overhead_seconds_bucket{route="main",le="0.00005"} 0"#,
        r#"evenkeel_proxy_overhead_seconds_bucket{route="main",le="0.0001"} 2"#,
        r#"evenkeel_rejects_total{route="main",reason="backend_reset"} 1"#,
        r#"evenkeel_backend_requests_total{upstream="api",backend="10.0.0.1:80",code_class="2xx"} 1"#,
        r#"evenkeel_backend_requests_total{upstream="api",backend="10.0.0.1:80",code_class="failed"} 1"#,
        r#"evenkeel_backend_picks_total{upstream="api",backend="10.0.0.1:80",reason="algorithm"} 2"#,
        r#"evenkeel_backend_response_seconds_count{upstream="api",backend="10.0.0.1:80"} 1"#,
        r#"evenkeel_backend_connect_seconds_count{upstream="api",backend="10.0.0.1:80"} 1"#,
        r#"evenkeel_health_checks_total{upstream="api",backend="10.0.0.1:80",result="passed"} 1"#,
        r#"evenkeel_health_check_duration_seconds_sum{upstream="api",backend="10.0.0.1:80"} 0.003"#,
        r#"evenkeel_retries_total{upstream="api",reason="connect"} 1"#,
        r#"evenkeel_retry_budget_exhausted_total{upstream="api"} 0"#,
        r#"evenkeel_pool_reuse_total{upstream="api",reused="false"} 1"#,
        r#"evenkeel_pool_reuse_total{upstream="api",reused="true"} 0"#,
        r#"evenkeel_queue_wait_seconds_count{upstream="api"} 1"#,
        r#"evenkeel_algorithm_requests_total{upstream="api",algorithm="least_connections"} 2"#,
        r#"evenkeel_algorithm_response_seconds_count{upstream="api",algorithm="least_connections"} 1"#,
        r#"evenkeel_bytes_total{listener="web",direction="in"} 7"#,
        r#"evenkeel_bytes_total{listener="web",direction="out"} 11"#,
        "evenkeel_access_log_dropped_total 0",
    ] {
        has(&text, line);
    }
}

#[test]
fn values_of_the_moment_come_from_their_owners() {
    let (metrics, _held) = busy();
    let text = metrics.render();
    for line in [
        r#"evenkeel_active_connections{listener="web"} 3"#,
        r#"evenkeel_queue_waiting{upstream="api"} 2"#,
        r#"evenkeel_algorithm_active{upstream="api",algorithm="maglev"} 1"#,
        r#"evenkeel_algorithm_active{upstream="api",algorithm="round_robin"} 0"#,
        r#"evenkeel_backend_in_flight{upstream="api",backend="10.0.0.1:80"} 5"#,
        r#"evenkeel_backend_connections{upstream="api",backend="10.0.0.1:80"} 6"#,
        r#"evenkeel_backend_weight{upstream="api",backend="10.0.0.1:80"} 2.5"#,
        r#"evenkeel_backend_up{upstream="api",backend="10.0.0.1:80"} 0"#,
        r#"evenkeel_backend_state{upstream="api",backend="10.0.0.1:80",state="down"} 1"#,
        r#"evenkeel_backend_state{upstream="api",backend="10.0.0.1:80",state="up"} 0"#,
        "evenkeel_log_dropped_total 4",
        "evenkeel_config_last_reload_success 1",
        "evenkeel_config_last_reload_timestamp_seconds 1700000000.5",
    ] {
        has(&text, line);
    }
    metrics.config_refused();
    let text = metrics.render();
    has(&text, "evenkeel_config_last_reload_success 0");
    has(
        &text,
        "evenkeel_config_last_reload_timestamp_seconds 1700000000.5",
    );
}

#[test]
fn every_family_of_the_table_is_exposed() {
    let (metrics, _held) = busy();
    let text = metrics.render();
    for family in Family::ALL {
        has(
            &text,
            &format!("# HELP {} {}", family.name(), family.help()),
        );
    }
}

#[test]
fn nothing_is_exposed_that_never_happened() {
    let metrics = Metrics::new();
    let _held = (
        metrics.route(&["web"], "main", "api"),
        metrics.upstream("api"),
        metrics.backend("api", "10.0.0.1:80"),
    );
    let text = metrics.render();
    let labelled: Vec<_> = text.lines().filter(|line| line.contains('{')).collect();
    assert_eq!(
        labelled,
        [
            concat!(
                r#"evenkeel_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
            r#"evenkeel_bytes_total{listener="web",direction="in"} 0"#,
            r#"evenkeel_bytes_total{listener="web",direction="out"} 0"#,
            r#"evenkeel_config_reloads_total{result="applied"} 0"#,
            r#"evenkeel_config_reloads_total{result="refused"} 0"#,
            r#"evenkeel_pool_reuse_total{upstream="api",reused="false"} 0"#,
            r#"evenkeel_pool_reuse_total{upstream="api",reused="true"} 0"#,
            r#"evenkeel_retry_budget_exhausted_total{upstream="api"} 0"#,
        ]
    );
}

#[test]
fn a_removed_backend_takes_its_series_with_it() {
    let (metrics, held) = busy();
    let other = metrics.backend("api", "10.0.0.2:80");
    metrics.set_live(Box::new(|_| {}));
    other.answer(Answer::Cancelled);
    assert!(metrics.render().contains("10.0.0.1:80"));
    drop(held);
    let text = metrics.render();
    assert!(!text.contains("10.0.0.1:80"), "{text}");
    assert!(!text.contains("route=\"main\""), "{text}");
    has(
        &text,
        r#"evenkeel_backend_requests_total{upstream="api",backend="10.0.0.2:80",code_class="cancelled"} 1"#,
    );
}

#[test]
fn a_rebuild_keeps_the_counts_even_when_listeners_move() {
    let (metrics, held) = busy();
    let route = metrics.route(&["new", "web"], "main", "api");
    let backend = metrics.backend("api", "10.0.0.1:80");
    drop(held);
    route.count(1, &Method::GET, StatusCode::OK);
    backend.answer(Answer::Status(StatusCode::OK));
    let text = metrics.render();
    for line in [
        r#"evenkeel_requests_total{listener="web",route="main",upstream="api",method="GET",code="200"} 2"#,
        r#"evenkeel_request_duration_seconds_count{route="main",upstream="api",code_class="2xx"} 1"#,
        r#"evenkeel_backend_requests_total{upstream="api",backend="10.0.0.1:80",code_class="2xx"} 2"#,
    ] {
        has(&text, line);
    }
}

#[test]
fn names_that_run_together_stay_apart() {
    let metrics = Metrics::new();
    let first = metrics.backend("web", "10.0.0.1:80");
    let second = metrics.backend("web1", "0.0.0.1:80");
    first.answer(Answer::Failed);
    second.answer(Answer::Failed);
    second.answer(Answer::Failed);
    let text = metrics.render();
    has(
        &text,
        r#"evenkeel_backend_requests_total{upstream="web",backend="10.0.0.1:80",code_class="failed"} 1"#,
    );
    has(
        &text,
        r#"evenkeel_backend_requests_total{upstream="web1",backend="0.0.0.1:80",code_class="failed"} 2"#,
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_is_described() {
    let text = Metrics::new().render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 1e6);
    assert!(value("process_virtual_memory_bytes ") > value("process_resident_memory_bytes "));
    assert!(value("process_open_fds ") >= 3.0);
    assert!(value("process_max_fds ") >= value("process_open_fds "));
    assert!(value("process_threads ") >= 1.0);
    assert!(value("process_cpu_seconds_total ") >= 0.0);
    let start = value("process_start_time_seconds ");
    let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    assert!((start - now).abs() < 600.0, "started at {start}, now {now}");
}

/// Needs `promtool`, which comes with Prometheus.
#[test]
fn promtool_finds_nothing_to_complain_about() {
    let (metrics, _held) = busy();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.unwrap_or_else(|error| {
        panic!("cannot run promtool ({error}); install it: apt-get install prometheus")
    });
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(metrics.render().as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
    assert_eq!(String::from_utf8_lossy(&said), "");
}

#[test]
fn counts_from_many_threads_add_up() {
    let metrics = Metrics::new();
    let recorder = Recorder::new(None);
    let route = metrics.route(&["web"], "main", "api");
    let handles = Handles {
        route: &route,
        upstream: None,
        backend: None,
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    finish(&recorder, &outcome(), &handles);
                }
            });
        }
    });
    let text = metrics.render();
    has(
        &text,
        r#"evenkeel_requests_total{listener="web",route="main",upstream="api",method="GET",code="200"} 20000"#,
    );
    has(
        &text,
        r#"evenkeel_request_duration_seconds_sum{route="main",upstream="api",code_class="2xx"} 88"#,
    );
}
