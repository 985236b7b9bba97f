//! Active checks: who is asked, what follows from the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::support::deadline::wait_until;
use crate::support::{Backend, Evenkeel, Gate, Reply, Setup};

const CHECKS: &str = "evenkeel_health_checks_total";

/// Evenkeel in front of these backends, with these keys of `health.active`, and no traffic to a
/// backend that is not well, however few are.
fn checking(backends: &[&Backend], keys: &str) -> Evenkeel {
    Setup::new(backends)
        .upstream("panic_threshold: 0%")
        .upstream(&format!(
            "health: {{ active: {{ interval: 100ms, fall: 2, rise: 2, {keys} }} }}"
        ))
        .start()
}

fn up(evenkeel: &Evenkeel, backend: &Backend, value: f64) {
    let address = backend.address().to_string();
    evenkeel.wait_for_metric("evenkeel_backend_up", &[("backend", &address)], value);
}

fn checks(evenkeel: &Evenkeel, backend: &Backend, result: &str) -> f64 {
    let address = backend.address().to_string();
    evenkeel.metric(CHECKS, &[("backend", &address), ("result", result)])
}

/// A backend whose `/health` answers with the status of the moment.
fn moody(name: &'static str) -> (Backend, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let mood = Arc::clone(&status);
    let backend = Backend::start(move |request| match request.target() {
        "/health" => Reply::status(mood.load(Ordering::SeqCst), &[], ""),
        _ => Reply::ok(name),
    });
    (backend, status)
}

#[test]
fn a_backend_that_fails_its_checks_gets_nothing_until_it_passes_them_again() {
    let ((sick, mood), (well, _)) = (moody("sick"), moody("well"));
    let evenkeel = checking(&[&sick, &well], "path: /health");
    up(&evenkeel, &sick, 1.0);
    up(&evenkeel, &well, 1.0);
    mood.store(500, Ordering::SeqCst);
    up(&evenkeel, &sick, 0.0);
    assert!(checks(&evenkeel, &sick, "failed") >= 2.0);
    for _ in 0..10 {
        let response = evenkeel.get("/");
        assert_eq!((response.status, response.text().as_str()), (200, "well"));
    }
    mood.store(200, Ordering::SeqCst);
    up(&evenkeel, &sick, 1.0);
    wait_until("the backend gets requests again", || {
        evenkeel.get("/").text() == "sick"
    });
}

#[test]
fn nothing_goes_to_a_backend_before_its_first_check_has_passed() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |request| match request.target() {
        "/health" => Reply::ok("fine").after(&held),
        _ => Reply::ok("page"),
    });
    let evenkeel = checking(&[&backend], "path: /health, timeout: 100ms");
    assert_eq!(evenkeel.get("/").status, 503);
    gate.open();
    wait_until("it answers", || evenkeel.get("/").status == 200);
}

#[test]
fn a_check_that_stalls_is_a_failure_and_delays_nobody() {
    let stalled = Backend::start(|request| match request.target() {
        "/health" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").then_send("a"),
        _ => Reply::ok("stalled"),
    });
    let (well, _) = moody("well");
    let evenkeel = checking(&[&stalled, &well], "path: /health, timeout: 100ms");
    up(&evenkeel, &well, 1.0);
    wait_until("checks of both have ended", || {
        checks(&evenkeel, &stalled, "timeout") >= 3.0 && checks(&evenkeel, &well, "passed") >= 5.0
    });
    up(&evenkeel, &stalled, 0.0);
    assert!((checks(&evenkeel, &stalled, "passed")).abs() < 0.5);
    assert_eq!(evenkeel.get("/").text(), "well");
}

#[test]
fn a_port_that_refuses_is_out_with_the_first_check() {
    let (dying, _) = moody("dying");
    let (well, _) = moody("well");
    let evenkeel = checking(&[&dying, &well], "type: tcp");
    up(&evenkeel, &dying, 1.0);
    dying.stop();
    up(&evenkeel, &dying, 0.0);
    assert!(checks(&evenkeel, &dying, "refused") >= 1.0);
    assert_eq!(evenkeel.get("/").text(), "well");
}

#[test]
fn the_answer_of_another_port_counts() {
    let (page, _) = moody("page");
    let (health, mood) = moody("health");
    let port = health.address().port();
    let evenkeel = checking(&[&page], &format!("path: /health, port: {port}"));
    up(&evenkeel, &page, 1.0);
    assert_eq!(evenkeel.get("/").text(), "page");
    assert!(page.requests().iter().all(|one| one.target() == "/"));
    mood.store(503, Ordering::SeqCst);
    up(&evenkeel, &page, 0.0);
    assert_eq!(evenkeel.get("/").status, 503);
}
