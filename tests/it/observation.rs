//! What Evenkeel says about what it did: metrics and the access log.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Backend, Client, Evenkeel, Reply, Setup};

/// Debian's promtool: the installed one, or the one `.ci/install test` unpacked.
fn promtool() -> Command {
    let unpacked = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/promtool");
    Command::new(if unpacked.exists() {
        unpacked
    } else {
        "promtool".into()
    })
}

/// Fails unless promtool finds nothing to say about the exposition.
#[track_caller]
fn promtool_approves(exposition: &str) {
    let mut child = promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: run `make test`, or `.ci/install test` once");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(exposition.as_bytes())
        .expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "promtool: {said}"
    );
}

fn counted() -> (Backend, Evenkeel) {
    let backend = Backend::start(|request| match request.target() {
        "/missing" => Reply::status(404, &[], "no"),
        "/broken" => Reply::status(500, &[], "no"),
        _ => Reply::ok("fine"),
    });
    let evenkeel = Setup::new(&[&backend]).start();
    (backend, evenkeel)
}

#[test]
fn promtool_has_nothing_to_say() {
    let (_backend, evenkeel) = counted();
    promtool_approves(&evenkeel.metrics().text);
    let mut client = evenkeel.connect();
    for target in ["/", "/missing", "/broken"] {
        client.get(target);
    }
    evenkeel.connect().send("GET / HTTP/1.1\r\n\r\n");
    promtool_approves(&evenkeel.metrics().text);
}

#[test]
fn requests_are_counted_by_what_they_were() {
    let (backend, evenkeel) = counted();
    let mut client = evenkeel.connect();
    for _ in 0..7 {
        client.get("/");
    }
    for _ in 0..3 {
        client.get("/missing");
    }
    client.request("POST", "/", &[], b"12345");
    let total = |labels: &[(&str, &str)], value| {
        evenkeel.wait_for_metric("evenkeel_requests_total", labels, value);
    };
    let ours = [("listener", "web"), ("route", "all"), ("upstream", "main")];
    total(&ours, 11.0);
    total(&[("method", "GET"), ("code", "200")], 7.0);
    total(&[("method", "GET"), ("code", "404")], 3.0);
    total(&[("method", "POST"), ("code", "200")], 1.0);
    let address = backend.address().to_string();
    let own = [("upstream", "main"), ("backend", address.as_str())];
    evenkeel.wait_for_metric("evenkeel_backend_requests_total", &own, 11.0);
    evenkeel.wait_for_metric("evenkeel_backend_response_seconds_count", &own, 11.0);
    evenkeel.wait_for_metric(
        "evenkeel_request_duration_seconds_count",
        &[("code_class", "2xx")],
        8.0,
    );
    evenkeel.wait_for_metric("evenkeel_bytes_total", &[("direction", "in")], 5.0);
    let out = 8.0 * 4.0 + 3.0 * 2.0;
    evenkeel.wait_for_metric("evenkeel_bytes_total", &[("direction", "out")], out);
    let new = evenkeel.metric("evenkeel_pool_reuse_total", &[("reused", "false")]);
    let reused = evenkeel.metric("evenkeel_pool_reuse_total", &[("reused", "true")]);
    assert!(
        (new + reused - 11.0).abs() < 1e-9 && reused >= 5.0,
        "{new} new, {reused} reused"
    );
}

#[test]
fn connections_and_requests_in_flight_are_shown() {
    let backend = Backend::start(|_| Reply::hang());
    let evenkeel = Setup::new(&[&backend]).start();
    let active = [("listener", "web")];
    let flying = [("upstream", "main")];
    evenkeel.wait_for_metric("evenkeel_active_connections", &active, 0.0);
    let mut clients: Vec<Client> = (0..3).map(|_| evenkeel.connect()).collect();
    for client in &mut clients {
        client.send_request("GET", "/", &[], b"");
    }
    evenkeel.wait_for_metric("evenkeel_active_connections", &active, 3.0);
    evenkeel.wait_for_metric("evenkeel_backend_in_flight", &flying, 3.0);
    clients.clear();
    evenkeel.wait_for_metric("evenkeel_active_connections", &active, 0.0);
    evenkeel.wait_for_metric("evenkeel_backend_in_flight", &flying, 0.0);
}

#[test]
fn rejections_are_counted_by_reason() {
    let (_backend, evenkeel) = counted();
    evenkeel.connect().request("TRACE", "/", &[], b"");
    for _ in 0..2 {
        let mut client = evenkeel.connect();
        client.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(client.response().status, 400);
    }
    evenkeel.wait_for_metric(
        "evenkeel_rejects_total",
        &[("reason", "method_not_allowed")],
        1.0,
    );
    evenkeel.wait_for_metric("evenkeel_rejects_total", &[("reason", "bad_host")], 2.0);
}

#[test]
fn hostile_names_make_no_series_of_their_own() {
    let (_backend, evenkeel) = counted();
    let mut client = evenkeel.connect();
    client.get("/");
    evenkeel.wait_for_metric("evenkeel_requests_total", &[], 1.0);
    let before = evenkeel.metrics().text.lines().count();
    for number in 0..50 {
        let host = format!("host-{number}.example");
        client.request(
            &format!("METHOD{number}"),
            &format!("/path/{number}"),
            &[("Host", &host)],
            b"",
        );
    }
    evenkeel.wait_for_metric("evenkeel_requests_total", &[("method", "OTHER")], 50.0);
    let after = evenkeel.metrics().text.lines().count();
    assert!(after <= before + 3, "{before} lines became {after}");
}

#[test]
fn the_metrics_endpoint_asks_for_its_token() {
    let backend = Backend::named("a");
    let yaml = Setup::new(&[&backend])
        .yaml()
        .replace("\"@metrics@\" }", "\"@metrics@\", token: open-sesame }");
    let evenkeel = Evenkeel::start(&yaml);
    let ask = |headers: &[(&str, &str)]| {
        Client::connect(evenkeel.address("metrics"))
            .request("GET", "/metrics", headers, b"")
            .status
    };
    assert_eq!(ask(&[]), 401);
    assert_eq!(ask(&[("Authorization", "Bearer wrong")]), 401);
    assert_eq!(ask(&[("Authorization", "Bearer open-sesame")]), 200);
}

#[test]
fn each_request_is_a_line_in_the_access_log() {
    let (backend, evenkeel) = counted();
    let mut client = evenkeel.connect();
    let headers = [("X-Request-Id", "id-1"), ("Host", "shop.example")];
    client.request("POST", "/a/b?secret=1", &headers, b"12345");
    client.send("GET / HTTP/1.1\r\n\r\n");
    let lines = evenkeel.access_log(2);
    let first = &lines[0];
    let text = |key: &str| {
        first[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} in {first}"))
            .to_owned()
    };
    assert_eq!(text("method"), "POST");
    assert_eq!(text("path"), "/a/b");
    assert_eq!(text("host"), "shop.example");
    assert_eq!(text("route"), "all");
    assert_eq!(text("upstream"), "main");
    assert_eq!(text("backend"), backend.address().to_string());
    assert_eq!(text("request_id"), "id-1");
    assert_eq!(text("client"), "127.0.0.1");
    assert_eq!(first["status"], 200);
    assert_eq!(first["attempts"], 1);
    assert_eq!(first["bytes_in"], 5);
    assert_eq!(first["bytes_out"], 4);
    assert_eq!(lines[1]["status"], 400);
    assert_eq!(lines[1]["reason"], "bad_host");
    assert!(
        lines
            .iter()
            .all(|line| !line.to_string().contains("secret")),
        "{lines:?}"
    );
}

#[test]
fn control_characters_cannot_forge_a_log_line() {
    let (_backend, evenkeel) = counted();
    let agent = "x\" 200 {\"status\":200}";
    evenkeel
        .connect()
        .request("GET", "/%0a%22forged", &[("User-Agent", agent)], b"");
    evenkeel.get("/last");
    let lines = evenkeel.access_log(2);
    assert_eq!(lines.len(), 2, "{lines:?}");
}
