//! Backends that register themselves, and what the operator changes through the admin API.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::deadline::{PATIENCE, Stopwatch, pause, wait_until};
use crate::support::ports::Port;
use crate::support::{Backend, Client, Evenkeel, Gate, Load, Process, Reply, Setup};

/// One call; the status and the JSON of its answer.
fn call(admin: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, Value) {
    call_with(admin, method, path, &[], body)
}

fn call_with(
    admin: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, Value) {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let host = admin.to_string();
    let headers = [&[("Host", host.as_str())], headers].concat();
    let response = Client::connect(admin).request(method, path, &headers, text.as_bytes());
    let body = response.text();
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&body).expect("the API answers in JSON")
    };
    (response.status, body)
}

fn heartbeat_path(id: impl std::fmt::Display) -> String {
    format!("/api/v1/upstreams/main/backends/{id}/heartbeat")
}

fn beat(admin: SocketAddr, backend: &Backend, ttl: &str) -> u16 {
    let path = heartbeat_path(backend.address());
    call(admin, "PUT", &path, &json!({ "ttl": ttl })).0
}

/// What the API says about a backend of `main`.
fn shown(admin: SocketAddr, id: impl std::fmt::Display) -> Option<Value> {
    let (status, upstream) = call(admin, "GET", "/api/v1/upstreams/main", &Value::Null);
    assert_eq!(status, 200, "{upstream}");
    let backends = upstream["backends"].as_array().expect("a list");
    let id = id.to_string();
    backends.iter().find(|one| one["id"] == id).cloned()
}

/// An upstream whose backends only register.
fn empty(keys: &str) -> Evenkeel {
    Evenkeel::start(&format!(
        "server: {{ workers: 2 }}\n\
         listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: main }}]\n\
         upstreams:\n  main: {{ algorithm: round_robin, discovery: {{ type: registry }} }}\n  \
         fixed: {{ backends: [{{ address: \"127.0.0.1:9\" }}] }}\n\
         metrics: {{ address: \"@metrics@\" }}\n\
         admin: {{ address: \"@admin@\"{keys} }}\n"
    ))
}

#[test]
fn a_backend_that_registers_gets_traffic_and_one_that_leaves_gets_none() {
    let evenkeel = empty("");
    let admin = evenkeel.admin();
    let backend = Backend::named("a");
    assert_eq!(evenkeel.get("/").status, 503, "there is no backend yet");
    assert_eq!(call(admin, "GET", "/readyz", &Value::Null).0, 503);
    assert_eq!(beat(admin, &backend, "1m"), 201);
    assert_eq!(beat(admin, &backend, "1m"), 200);
    assert_eq!(evenkeel.get("/").text(), "a");
    assert_eq!(call(admin, "GET", "/readyz", &Value::Null).0, 200);
    let path = heartbeat_path(backend.address());
    assert_eq!(call(admin, "DELETE", &path, &Value::Null).0, 204);
    assert_eq!(evenkeel.get("/").status, 503);
    assert_eq!(call(admin, "DELETE", &path, &Value::Null).0, 404);
    assert_eq!(backend.count(), 1);
    let id = backend.address().to_string();
    wait_until("its series are gone", || {
        !evenkeel.metrics().text.contains(&id)
    });
}

#[test]
fn a_backend_that_falls_silent_is_out_when_its_ttl_passes() {
    const TTL: Duration = Duration::from_millis(600);
    let evenkeel = empty("");
    let admin = evenkeel.admin();
    let (silent, loud) = (Backend::named("silent"), Backend::named("loud"));
    assert_eq!(beat(admin, &loud, "1m"), 201);
    let before = Stopwatch::start();
    assert_eq!(beat(admin, &silent, "600ms"), 201);
    let after = Stopwatch::start();
    let mut client = evenkeel.connect();
    let (mut first, mut last) = (None, Duration::ZERO);
    while after.elapsed() < TTL * 3 {
        let asked = before.elapsed();
        let response = client.get("/");
        assert_eq!(response.status, 200, "nobody notices: {}", response.head);
        if response.text() == "silent" {
            first.get_or_insert(asked);
            last = after.elapsed();
        }
    }
    assert!(first.is_some(), "it had its share");
    let slack = Duration::from_millis(400);
    assert!(
        last <= TTL + slack,
        "it got a request {last:?} after its heartbeat"
    );
    assert!(last > TTL / 2, "it was gone after {last:?} already");
    let count = silent.count();
    let state = shown(admin, silent.address()).map(|backend| backend["state"].clone());
    assert!(state.is_none_or(|state| state == "expired"));
    assert_eq!(beat(admin, &silent, "1m"), 201, "it comes back");
    wait_until("it gets requests again", || {
        assert_eq!(client.get("/").status, 200);
        silent.count() > count
    });
}

#[test]
fn an_expired_backend_is_forgotten_in_the_end() {
    let evenkeel = empty("");
    let backend = Backend::named("a");
    assert_eq!(beat(evenkeel.admin(), &backend, "200ms"), 201);
    assert!(shown(evenkeel.admin(), backend.address()).is_some());
    wait_until("it is removed", || {
        shown(evenkeel.admin(), backend.address()).is_none()
    });
}

#[test]
fn who_may_not_register_is_told_why() {
    let evenkeel = empty(", token: secret");
    let admin = evenkeel.admin();
    let backend = Backend::named("a");
    let body = json!({ "ttl": "10s" });
    let own = heartbeat_path(backend.address());
    assert_eq!(call(admin, "PUT", &own, &body).0, 401);
    let token = [("Authorization", "Bearer secret")];
    let put = |path: &str| call_with(admin, "PUT", path, &token, &body);
    let elsewhere = own.replace("/main/", "/nowhere/");
    assert_eq!(put(&elsewhere).0, 404);
    let (status, refused) = put(&own.replace("/main/", "/fixed/"));
    assert_eq!((status, &refused["code"]), (409, &json!("no_registry")));
    assert_eq!(put(&own).0, 201);
    let log = || evenkeel.process().stderr() + &evenkeel.process().stdout();
    for line in [
        "registered at",
        "takes no registrations",
        "a bearer token is required",
    ] {
        wait_until(line, || log().contains(line));
    }
    assert!(!log().contains("secret"), "the token stays out of the log");
}

/// Two backends that answer `/slow` only when the gate opens.
fn gated(names: [&'static str; 2], gate: &Gate) -> [Backend; 2] {
    names.map(|name| {
        let gate = gate.clone();
        Backend::start(move |request| match request.target() {
            "/slow" => Reply::ok(name).after(&gate),
            _ => Reply::ok(name),
        })
    })
}

#[test]
fn a_weight_changes_under_requests_in_flight_and_nothing_is_lost() {
    let gate = Gate::new();
    let backends = gated(["a", "b"], &gate);
    let [a, b] = &backends;
    let evenkeel = Setup::new(&[a, b])
        .upstream("algorithm: weighted_round_robin")
        .upstream("discovery: { type: registry }")
        .admin("")
        .start();
    let (admin, third) = (evenkeel.admin(), Backend::named("c"));
    let in_flight = |backend: &Backend| {
        let label = backend.address().to_string();
        let labels = [("backend", label.as_str())];
        evenkeel.metric("evenkeel_backend_in_flight", &labels)
    };
    let mut slow: Vec<Client> = (0..50).map(|_| evenkeel.connect()).collect();
    for client in &mut slow {
        client.send_request("GET", "/slow", &[], b"");
    }
    a.wait_for(25);
    b.wait_for(25);
    let path = format!("/api/v1/upstreams/main/backends/{}", a.address());
    let (status, changed) = call(admin, "PATCH", &path, &json!({ "weight": 3 }));
    assert_eq!((status, &changed["weight"]), (200, &json!(3)));
    assert_eq!(changed["in_flight"], 25);
    assert_eq!((in_flight(a), in_flight(b)), (25.0, 25.0));
    let mut client = evenkeel.connect();
    for _ in 0..80 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!((a.count(), b.count()), (25 + 60, 25 + 20), "3 to 1");
    assert_eq!(beat(admin, &third, "1m"), 201);
    assert_eq!((in_flight(a), in_flight(b)), (25.0, 25.0));
    gate.open();
    for client in &mut slow {
        assert_eq!(client.response().status, 200);
    }
    let all = [a, b, &third];
    wait_until("nothing is in flight", || {
        all.iter().all(|backend| in_flight(backend) == 0.0)
    });
}

#[test]
fn a_drain_takes_effect_at_once_and_waits_for_what_is_in_flight() {
    let gate = Gate::new();
    let backends = gated(["a", "b"], &gate);
    let [a, b] = &backends;
    let evenkeel = Setup::new(&[a, b])
        .upstream("algorithm: round_robin")
        .admin("")
        .start();
    let admin = evenkeel.admin();
    let mut slow = [evenkeel.connect(), evenkeel.connect()];
    for client in &mut slow {
        client.send_request("GET", "/slow", &[], b"");
    }
    a.wait_for(1);
    b.wait_for(1);
    let path = format!("/api/v1/upstreams/main/backends/{}?wait=", a.address());
    let drain = json!({ "state": "draining", "deadline": "1m" });
    let (status, draining) = call(admin, "PATCH", &format!("{path}100ms"), &drain);
    assert_eq!((status, &draining["drained"]), (200, &json!(false)));
    assert_eq!(
        (&draining["state"], &draining["reason"]),
        (&json!("draining"), &json!("operator"))
    );
    assert_eq!(draining["in_flight"], 1);
    for _ in 0..20 {
        assert_eq!(evenkeel.get("/").text(), "b");
    }
    let (status, drained) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(admin, "PATCH", &format!("{path}15s"), &Value::Null));
        gate.open();
        waiting.join().expect("it is answered")
    });
    assert_eq!((status, &drained["drained"]), (200, &json!(true)));
    for client in &mut slow {
        assert_eq!(
            client.response().status,
            200,
            "what was in flight is finished"
        );
    }
    let path = format!("/api/v1/upstreams/main/backends/{}", a.address());
    assert_eq!(
        call(admin, "PATCH", &path, &json!({ "state": "active" })).0,
        200
    );
    let count = a.count();
    wait_until("it gets requests again", || {
        assert_eq!(evenkeel.get("/").status, 200);
        a.count() > count
    });
}

#[test]
fn an_operators_wish_outlives_the_backend_that_it_was_about() {
    let evenkeel = empty("");
    let admin = evenkeel.admin();
    let backend = Backend::named("a");
    assert_eq!(beat(admin, &backend, "200ms"), 201);
    let path = format!("/api/v1/upstreams/main/backends/{}", backend.address());
    let (status, _) = call(admin, "PATCH", &path, &json!({ "state": "maintenance" }));
    assert_eq!(status, 200);
    wait_until("it is removed", || {
        shown(admin, backend.address()).is_none()
    });
    assert_eq!(beat(admin, &backend, "1m"), 201);
    let state = shown(admin, backend.address()).expect("it is back")["state"].clone();
    assert_eq!(state, "maintenance");
    assert_eq!(evenkeel.get("/").status, 503);
}

#[test]
fn the_demo_backend_registers_itself_and_leaves_without_a_failed_request() {
    let evenkeel = empty(", token: secret");
    let url = format!("http://{}", evenkeel.admin());
    let start = || {
        let port = Port::reserve();
        let listen = port.address().to_string();
        let arguments = [
            "backend",
            "--listen",
            &listen,
            "--register",
            &url,
            "--upstream",
            "main",
            "--ttl",
            "1s",
            "--register-token",
            "secret",
        ];
        (Process::evenkeel(&arguments), port)
    };
    let (first, _first_port) = start();
    wait_until("it gets traffic", || evenkeel.get("/").status == 200);
    let (second, second_port) = start();
    let id = second_port.address().to_string();
    let label = [("backend", id.as_str())];
    Load::of_gets(&evenkeel, 2, |load| {
        wait_until("the second one has its share", || {
            evenkeel.metric("evenkeel_backend_picks_total", &label) > 10.0
        });
        // Longer than a ttl: it is renewed.
        let watch = Stopwatch::start();
        while watch.elapsed() < Duration::from_millis(1500) {
            load.more(20);
        }
        second.signal("TERM");
        assert_eq!(second.exit_within(PATIENCE).code(), Some(0));
        load.more(50);
    });
    assert!(
        second.stderr().contains("left upstream main"),
        "{}",
        second.stderr()
    );
    let retries = evenkeel.metric("evenkeel_retries_total", &[]);
    assert!(
        retries < 1e-9,
        "it left before it stopped: {retries} retries"
    );
    drop(first);
}

#[test]
fn an_address_that_is_taken_ends_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let yaml = Setup::new(&[&Backend::named("a")]).yaml();
    let yaml = yaml.replace(
        "admin: null",
        &format!("admin: {{ address: \"{address}\" }}"),
    );
    let evenkeel = Evenkeel::launch(&yaml, &[]);
    let status = evenkeel.process().exit_within(PATIENCE);
    assert_eq!(status.code(), Some(2));
    let said = evenkeel.process().stderr();
    assert!(
        said.contains(&format!("admin: cannot listen on {address}")),
        "{said}"
    );
}

#[test]
fn readiness_ends_first_and_the_api_goes_on_while_the_process_drains() {
    let gate = Gate::new();
    let backends = gated(["a", "b"], &gate);
    let [a, b] = &backends;
    let evenkeel = Setup::new(&[a, b]).admin("").start();
    let admin = evenkeel.admin();
    assert_eq!(call(admin, "GET", "/readyz", &Value::Null).0, 200);
    let mut slow = evenkeel.connect();
    slow.send_request("GET", "/slow", &[], b"");
    wait_until("the request is under way", || a.count() + b.count() == 1);
    evenkeel.process().signal("TERM");
    wait_until("it is not ready", || {
        call(admin, "GET", "/readyz", &Value::Null).0 == 503
    });
    assert_eq!(call(admin, "GET", "/livez", &Value::Null).0, 200);
    gate.open();
    assert_eq!(slow.response().status, 200);
    assert_eq!(evenkeel.process().exit_within(PATIENCE).code(), Some(0));
}

/// Starts a process that takes over, and ends the one before it; `late` comes between.
fn take_over(evenkeel: &Evenkeel, late: impl FnOnce()) -> Process {
    let heir = evenkeel.upgrade();
    wait_until("the new process waits for the sockets", || {
        heir.listens_on_a_unix_socket() || heir.has_exited()
    });
    late();
    evenkeel.process().signal("QUIT");
    let status = evenkeel.process().exit_within(Duration::from_mins(1));
    assert_eq!(status.code(), Some(0));
    wait_until("the new process answers", || {
        Client::try_connect(evenkeel.admin()).is_ok()
    });
    heir
}

#[test]
fn after_an_upgrade_heartbeats_reach_the_new_process() {
    let evenkeel = empty("");
    let admin = evenkeel.admin();
    let backend = Backend::named("a");
    assert_eq!(beat(admin, &backend, "1m"), 201);
    let _heir = take_over(&evenkeel, || {});
    assert_eq!(evenkeel.get("/").text(), "a", "it is known already");
    assert_eq!(beat(admin, &backend, "1m"), 200, "and renews");
    let other = Backend::named("b");
    assert_eq!(beat(admin, &other, "1m"), 201);
}

#[test]
fn registered_and_drained_backends_survive_an_upgrade_without_a_failed_request() {
    let evenkeel = empty("");
    let admin = evenkeel.admin();
    let (url, port) = (format!("http://{admin}"), Port::reserve());
    let listen = port.address().to_string();
    // Shorter than the time from the hand-over to the end of the old process.
    let ttl = ["--ttl", "1s"];
    let arguments = ["backend", "--listen", &listen, "--register", &url];
    let backend = Process::evenkeel(&[&arguments[..], &["--upstream", "main"], &ttl].concat());
    wait_until("it gets traffic", || evenkeel.get("/").status == 200);
    let drained = Backend::named("drained");
    assert_eq!(beat(admin, &drained, "1h"), 201);
    let path = |id: &str| format!("/api/v1/upstreams/main/backends/{id}");
    let drain = json!({ "state": "draining", "deadline": "1h" });
    let drained_id = drained.address().to_string();
    assert_eq!(call(admin, "PATCH", &path(&drained_id), &drain).0, 200);
    let weight = json!({ "weight": 7 });
    let client = |load: &Load| {
        while load.goes_on() {
            let answer = evenkeel.get("/");
            assert_eq!(answer.status, 200, "{}", answer.head);
            load.served();
        }
    };
    let count = drained.count();
    let _heir = Load::run(2, client, |load| {
        load.more(20);
        let heir = take_over(&evenkeel, || {
            assert_eq!(call(admin, "PATCH", &path(&listen), &weight).0, 200);
            // The new process asks ten times a second.
            pause(Duration::from_secs(1));
        });
        load.more(20);
        heir
    });
    assert_eq!(drained.count(), count, "it is drained for both processes");
    let of_drained = shown(admin, &drained_id).expect("it is still registered");
    assert_eq!(of_drained["state"], "draining");
    assert_eq!(of_drained["source"], "registered");
    assert!(of_drained["until"].as_f64() > Some(3000.0), "{of_drained}");
    let of_backend = shown(admin, &listen).expect("it is still registered");
    assert_eq!(of_backend["weight"], 7, "{of_backend}");
    assert_eq!(of_backend["registration"]["ttl"], 1.0);
    drop(backend);
}

#[test]
fn an_upgrade_from_a_process_that_does_not_answer_warns() {
    let evenkeel = empty("");
    evenkeel.process().signal("INT");
    evenkeel.process().exit_within(PATIENCE);
    let heir = evenkeel.upgrade();
    wait_until("the warning", || {
        let said = heir.stderr() + &heir.stdout();
        said.contains("registered ones are out until their next heartbeat")
    });
}
