//! What becomes of a request when every backend is at its in-flight limit: it waits, or is told so.

use crate::support::{Backend, Client, Evenkeel, Gate, Reply, Setup};

const UPSTREAM: &[(&str, &str)] = &[("upstream", "main")];

/// An Evenkeel whose one backend takes one request at a time, and is taken.
struct Full {
    /// The request that the backend holds until the gate opens.
    held: Client,
    evenkeel: Evenkeel,
    backend: Backend,
    gate: Gate,
}

impl Full {
    fn with(upstream: &[&str]) -> Self {
        let gate = Gate::new();
        let opened = gate.clone();
        let backend = Backend::start(move |_| Reply::ok("fine").after(&opened));
        let limited = Setup::new(&[&backend]).upstream("max_in_flight_per_backend: 1");
        let setup = upstream
            .iter()
            .fold(limited, |setup, key| setup.upstream(key));
        let evenkeel = setup.start();
        let held = ask(&evenkeel);
        backend.wait_for(1);
        Self {
            held,
            evenkeel,
            backend,
            gate,
        }
    }

    /// The backend answers from now on, first the request that it held.
    fn open(&mut self) {
        self.gate.open();
        assert_eq!(self.held.response().status, 200);
    }

    /// The next request is not served, for this reason.
    #[track_caller]
    fn turns_away(&self, reason: &str) {
        let response = self.evenkeel.get("/");
        assert_eq!((response.status, response.reason()), (503, Some(reason)));
        let head = &response.head;
        assert!(response.header("retry-after").is_some(), "{head}");
    }

    fn wait_for_waiting(&self, count: f64) {
        let waiting = "evenkeel_queue_waiting";
        self.evenkeel.wait_for_metric(waiting, UPSTREAM, count);
    }
}

/// A request whose response is not waited for.
fn ask(evenkeel: &Evenkeel) -> Client {
    let mut client = evenkeel.connect();
    client.send_request("GET", "/", &[], b"");
    client
}

#[test]
fn a_full_upstream_without_a_queue_answers_at_once() {
    let mut full = Full::with(&[]);
    full.turns_away("saturated");
    full.open();
    for _ in 0..50 {
        let status = full.evenkeel.get("/").status;
        assert_eq!(status, 200, "the place is free again");
    }
}

#[test]
fn a_queued_request_is_served_when_a_place_gets_free() {
    let mut full = Full::with(&["queue: { size: 1, timeout: 20s }"]);
    let mut queued = ask(&full.evenkeel);
    full.wait_for_waiting(1.0);
    full.turns_away("saturated");
    assert_eq!(full.backend.count(), 1);
    full.open();
    assert_eq!(queued.response().status, 200);
    full.wait_for_waiting(0.0);
}

#[test]
fn a_queued_request_waits_no_longer_than_its_timeout() {
    let mut full = Full::with(&["queue: { size: 5, timeout: 300ms }"]);
    full.turns_away("queue_timeout");
    full.open();
    assert_eq!(full.backend.count(), 1);
}

#[test]
fn a_client_that_leaves_the_queue_leaves_its_place() {
    let mut full = Full::with(&["queue: { size: 1, timeout: 2m }"]);
    let leaving = ask(&full.evenkeel);
    full.wait_for_waiting(1.0);
    drop(leaving);
    full.wait_for_waiting(0.0);
    full.open();
    assert_eq!(full.backend.count(), 1);
}

#[test]
fn an_aborted_request_frees_its_place() {
    let Full {
        backend: _backend,
        evenkeel,
        held,
        gate,
    } = Full::with(&[]);
    drop(held);
    evenkeel.wait_for_metric("evenkeel_backend_in_flight", UPSTREAM, 0.0);
    gate.open();
    assert_eq!(evenkeel.get("/").status, 200);
}
