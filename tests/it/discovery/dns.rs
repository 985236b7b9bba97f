//! Backends by name, asked of a real name server.

use std::net::{Ipv4Addr, SocketAddr};

use super::{answers, names, shown, start, under_load, wait_for, wait_for_up, was_down_once};
use crate::support::ports::Port;
use crate::support::{Backend, Evenkeel, NameServer};

/// The port that the backends of a test share, on addresses of their own.
struct Shared(Port);

impl Shared {
    fn new() -> Self {
        Self(Port::reserve())
    }

    fn at(&self, host: u8) -> SocketAddr {
        (Ipv4Addr::new(127, 0, 0, host), self.0.address().port()).into()
    }

    fn backend(&self, host: u8, name: &'static str) -> Backend {
        Backend::named_at(self.at(host), name)
    }
}

/// Finds the backends of `app.test` at the shared port.
fn by_name(server: &NameServer, shared: &Shared, keys: &str) -> Evenkeel {
    let (port, resolver) = (shared.0.address().port(), server.address());
    start(&format!(
        "discovery: {{ type: dns, name: app.test, port: {port}, resolver: \"{resolver}\", {keys} }}"
    ))
}

#[test]
fn a_name_changes_under_load_and_no_request_fails() {
    let shared = Shared::new();
    let [a, b] = [(2, "a"), (3, "b")].map(|(host, name)| shared.backend(host, name));
    let server = NameServer::start(&[]);
    server.set_hosts(&[("app.test", a.address())]);
    let evenkeel = by_name(&server, &shared, "interval: 1s");
    assert_eq!(names(&answers(&evenkeel, 10)), ["a"]);
    under_load(&evenkeel, |_| {
        server.set_hosts(&[("app.test", a.address()), ("app.test", b.address())]);
        wait_for(&evenkeel, 2);
        b.wait_for(50);
        server.set_hosts(&[("app.test", b.address())]);
        wait_for(&evenkeel, 1);
        let count = b.count();
        b.wait_for(count + 50);
    });
    assert_eq!(names(&answers(&evenkeel, 10)), ["b"]);
    let shown = shown(&evenkeel);
    let source = format!("dns:app.test:{}", b.address().port());
    assert_eq!(shown[0]["discovered_by"], source);
}

#[test]
fn a_name_is_asked_for_again_when_its_ttl_passes() {
    let shared = Shared::new();
    let backends = [(2, "short"), (3, "long")].map(|(host, name)| shared.backend(host, name));
    let [short, long] = &backends;
    let record = |name: &str, backend: &Backend, ttl: u32| {
        format!("--host-record={name}.test,{},{ttl}", backend.address().ip())
    };
    let records = [record("short", short, 1), record("long", long, 600)];
    let server = NameServer::start(&[&records[0], &records[1]]);
    let source = |name: &str| {
        let (port, resolver) = (short.address().port(), server.address());
        format!(
            "{{ type: dns, name: {name}.test, port: {port}, resolver: \"{resolver}\", interval: 1h }}"
        )
    };
    let evenkeel = start(&format!(
        "discovery: [{}, {}]",
        source("short"),
        source("long")
    ));
    wait_for(&evenkeel, 2);
    server.wait_for_questions(3, "A", "short.test");
    let long = server.asked("A", "long.test");
    assert_eq!(long, 2, "at the start, and once more by its own task");
    assert_eq!(names(&answers(&evenkeel, 10)), ["long", "short"]);
}

#[test]
fn srv_records_say_ports_weights_and_who_stands_by() {
    let [a, b, standby] = ["a", "b", "standby"].map(Backend::named);
    let srv = |backend: &Backend, priority: u16, weight: u16| {
        let port = backend.address().port();
        format!("--srv-host=_http._tcp.app.test,here.test,{port},{priority},{weight}")
    };
    let all = [
        srv(&a, 10, 3),
        srv(&b, 10, 1),
        srv(&standby, 20, 1),
        "--host-record=here.test,127.0.0.1,1".to_owned(),
        "--local-ttl=1".to_owned(),
    ];
    let some =
        |range: &[usize]| -> Vec<&str> { range.iter().map(|at| all[*at].as_str()).collect() };
    let mut server = NameServer::start(&some(&[0, 1, 2, 3, 4]));
    let resolver = server.address();
    let evenkeel = start(&format!(
        "discovery: {{ type: dns, name: _http._tcp.app.test, srv: true, resolver: \"{resolver}\", interval: 1h }}"
    ));
    let shares = answers(&evenkeel, 40);
    assert_eq!((shares["a"], shares["b"], shares.len()), (30, 10, 2));
    server.restart(&some(&[1, 2, 3, 4]));
    wait_for(&evenkeel, 2);
    assert_eq!(names(&answers(&evenkeel, 10)), ["b"]);
    server.restart(&some(&[2, 3, 4]));
    wait_for(&evenkeel, 1);
    assert_eq!(names(&answers(&evenkeel, 10)), ["standby"]);
}

#[test]
fn a_name_server_that_is_killed_takes_no_backend_with_it() {
    let shared = Shared::new();
    let [a, b] = [(2, "a"), (3, "b")].map(|(host, name)| shared.backend(host, name));
    let mut server = NameServer::start(&[]);
    server.set_hosts(&[("app.test", a.address())]);
    let evenkeel = by_name(&server, &shared, "interval: 1s");
    under_load(&evenkeel, |load| {
        load.more(20);
        server.stop();
        wait_for_up(&evenkeel, false);
        load.more(50);
        wait_for(&evenkeel, 1);
        server.resume();
        wait_for_up(&evenkeel, true);
        server.set_hosts(&[("app.test", b.address())]);
        b.wait_for(50);
    });
    was_down_once(&evenkeel);
}

#[test]
fn a_name_that_is_gone_keeps_its_backends() {
    let shared = Shared::new();
    let a = shared.backend(2, "a");
    let server = NameServer::start(&[]);
    server.set_hosts(&[("app.test", a.address())]);
    let evenkeel = by_name(&server, &shared, "interval: 1s");
    wait_for_up(&evenkeel, true);
    server.set_hosts(&[]);
    wait_for_up(&evenkeel, false);
    assert_eq!(names(&answers(&evenkeel, 10)), ["a"]);
    assert!(evenkeel.log().contains("NXDOMAIN"));
    server.set_hosts(&[("app.test", a.address())]);
    wait_for_up(&evenkeel, true);
}
