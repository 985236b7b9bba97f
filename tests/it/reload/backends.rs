//! Backends over a reload: what is under way goes on, whoever comes and goes.

use std::time::Duration;

use super::{echo, echoes, websocket};
use crate::support::deadline::{Stopwatch, wait_until};
use crate::support::{Backend, Client, Evenkeel, Gate, Reply, Setup};

fn held(name: &'static str, gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::start(move |request| match request.target() {
        "/slow" => Reply::ok(name).after(&gate),
        _ => Reply::ok(name),
    })
}

fn in_flight(evenkeel: &Evenkeel, backend: &Backend) -> f64 {
    let label = backend.address().to_string();
    evenkeel.metric("evenkeel_backend_in_flight", &[("backend", &label)])
}

/// The series of any metric that name the backend.
fn series(evenkeel: &Evenkeel, backend: &Backend) -> usize {
    let label = format!("backend=\"{}\"", backend.address());
    let text = evenkeel.metrics().text;
    text.lines().filter(|line| line.contains(&label)).count()
}

#[test]
fn requests_in_flight_are_counted_on_over_a_reload() {
    let gate = Gate::new();
    let (a, b) = (held("a", &gate), held("b", &gate));
    let weighted = |weights: [u32; 2], more: &str| {
        Setup::new(&[])
            .backend(a.address(), &format!("weight: {}", weights[0]))
            .backend(b.address(), &format!("weight: {}", weights[1]))
            .upstream("algorithm: weighted_round_robin")
            .upstream(more)
            .yaml()
    };
    let evenkeel = Evenkeel::start(&weighted([1, 1], "slow_start: 0s"));
    let mut clients: Vec<Client> = (0..50).map(|_| evenkeel.connect()).collect();
    for client in &mut clients {
        client.send_request("GET", "/slow", &[], b"");
    }
    let both = |count| in_flight(&evenkeel, &a) == count && in_flight(&evenkeel, &b) == count;
    wait_until("all are in flight", || both(25.0));
    evenkeel.reload(&weighted([1, 4], "timeouts: { read: 20s }"));
    assert!(both(25.0), "a reload forgets nothing");
    for _ in 0..50 {
        assert_eq!(evenkeel.get("/").status, 200);
    }
    assert_eq!(
        (a.count(), b.count()),
        (25 + 10, 25 + 40),
        "by the new weights"
    );
    assert!(both(25.0));
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    wait_until("nothing is in flight", || both(0.0));
    let counted = |backend: &Backend| {
        let label = backend.address().to_string();
        let labels = [("backend", label.as_str()), ("code_class", "2xx")];
        evenkeel.metric("evenkeel_backend_requests_total", &labels)
    };
    assert_eq!((counted(&a), counted(&b)), (35.0, 65.0));
    assert_eq!(
        evenkeel.metric("evenkeel_requests_total", &[("code", "200")]),
        100.0
    );
}

#[test]
fn a_removed_backend_finishes_what_it_has_and_gets_nothing_more() {
    let gate = Gate::new();
    let (a, b) = (held("a", &gate), held("b", &gate));
    let evenkeel = Setup::new(&[&a]).start();
    let mut slow = evenkeel.connect();
    slow.send_request("GET", "/slow", &[], b"");
    a.wait_for(1);
    evenkeel.reload(&Setup::new(&[&b]).yaml());
    for _ in 0..10 {
        assert_eq!(evenkeel.get("/").text(), "b");
    }
    gate.open();
    assert_eq!(slow.response().text(), "a");
    assert_eq!(a.count(), 1);
    wait_until("its series are gone", || series(&evenkeel, &a) == 0);
    assert!(series(&evenkeel, &b) > 0);
    assert_eq!(slow.get("/").text(), "b", "the connection goes on");
}

#[test]
fn a_websocket_to_a_removed_backend_has_the_time_of_a_drain() {
    let (leaving, staying) = (echo(), echo());
    let with = |backends: &[&Backend]| Setup::new(backends).server("drain_timeout: 2s").yaml();
    let evenkeel = Evenkeel::start(&with(&[&leaving]));
    let mut cut = websocket(&evenkeel);
    echoes(&mut cut);
    evenkeel.reload(&with(&[&leaving, &staying]));
    let before = Stopwatch::start();
    evenkeel.reload(&with(&[&staying]));
    let mut kept = websocket(&evenkeel);
    while before.elapsed() < Duration::from_millis(1_500) {
        echoes(&mut cut);
    }
    cut.expect_closed();
    let after = before.elapsed();
    assert!(after >= Duration::from_secs(2), "cut after {after:?}");
    assert!(after < Duration::from_secs(7), "cut after {after:?}");
    wait_until("its series are gone", || series(&evenkeel, &leaving) == 0);
    echoes(&mut kept);
}

#[test]
fn what_a_reload_leaves_alone_does_not_notice() {
    let (backend, other) = (echo(), Backend::named("b"));
    let with = |timeout: &str| {
        Setup::new(&[&backend])
            .yaml()
            .replace(
                "upstreams:\n",
                &format!(
                    "upstreams:\n  other: {{ backends: [{{ address: \"{}\" }}], timeouts: {{ read: {timeout} }} }}\n",
                    other.address()
                ),
            )
    };
    let evenkeel = Evenkeel::start(&with("5s"));
    let mut open = websocket(&evenkeel);
    let mut client = evenkeel.connect();
    assert_eq!(client.get("/").text(), "plain");
    let connections = backend.connections();
    for timeout in ["6s", "7s"] {
        evenkeel.reload(&with(timeout));
        assert_eq!(client.get("/").text(), "plain");
        echoes(&mut open);
    }
    assert_eq!(
        backend.connections(),
        connections,
        "the pooled one is used on"
    );
    let reused = |word| evenkeel.metric("evenkeel_pool_reuse_total", &[("reused", word)]);
    assert!(reused("true") >= 2.0);
}

#[test]
fn a_change_of_the_operator_stays_until_the_file_speaks_of_the_same() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let weighted = |weight: u32, more: &str| {
        Setup::new(&[])
            .backend(a.address(), &format!("weight: {weight}"))
            .backend(b.address(), "")
            .upstream(more)
            .admin("")
            .yaml()
    };
    let evenkeel = Evenkeel::start(&weighted(1, "slow_start: 0s"));
    let admin = evenkeel.admin();
    let path = format!("/api/v1/upstreams/main/backends/{}", a.address());
    let body = b"{\"weight\": 9}";
    let host = admin.to_string();
    let answer = Client::connect(admin).request("PATCH", &path, &[("Host", &host)], body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let label = a.address().to_string();
    let weight = || evenkeel.metric("evenkeel_backend_weight", &[("backend", &label)]);
    evenkeel.reload(&weighted(1, "slow_start: 1s"));
    assert_eq!(weight(), 9.0, "the file says nothing new about it");
    evenkeel.reload(&weighted(2, "slow_start: 1s"));
    assert_eq!(weight(), 2.0, "now it does");
}
