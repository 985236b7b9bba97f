//! Starting, stopping and handing over.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::deadline::{PATIENCE, Stopwatch, wait_until};
use crate::support::{Backend, Client, Evenkeel, Gate, Load, Process, Reply, Setup};

const PROMPT: Duration = Duration::from_secs(2);

fn fine() -> Backend {
    Backend::start(|_| Reply::ok("fine"))
}

/// Fails unless the process ends by itself, well and promptly.
#[track_caller]
fn ends_promptly(evenkeel: &Evenkeel) {
    let watch = Stopwatch::start();
    let status = evenkeel.process().exit_within(PATIENCE);
    assert!(watch.elapsed() < PROMPT, "took {:?}", watch.elapsed());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn idle_it_ends_at_once_on_sigterm() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).start();
    let mut idle = evenkeel.connect();
    assert_eq!(idle.get("/").status, 200);
    evenkeel.process().signal("TERM");
    ends_promptly(&evenkeel);
    idle.expect_closed();
}

#[test]
fn sigterm_lets_requests_in_flight_finish() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |_| Reply::ok("finished").after(&held));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send_request("GET", "/", &[], b"");
    backend.wait_for(1);
    evenkeel.process().signal("TERM");
    wait_until("new connections are refused", || {
        Client::try_connect(evenkeel.web()).is_err()
    });
    assert!(!evenkeel.process().has_exited(), "a request is in flight");
    gate.open();
    let response = client.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "finished")
    );
    ends_promptly(&evenkeel);
}

#[test]
fn sigterm_lets_a_response_in_progress_finish() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |_| {
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            .then_await(&held)
            .then_send("full")
    });
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send_request("GET", "/", &[], b"");
    backend.wait_for(1);
    evenkeel.process().signal("TERM");
    wait_until("new connections are refused", || {
        Client::try_connect(evenkeel.web()).is_err()
    });
    gate.open();
    assert_eq!(client.response().text(), "halffull");
    ends_promptly(&evenkeel);
}

#[test]
fn drain_timeout_bounds_the_drain() {
    let backend = Backend::start(|_| Reply::hang());
    let evenkeel = Setup::new(&[&backend]).server("drain_timeout: 1s").start();
    let mut client = evenkeel.connect();
    client.send_request("GET", "/", &[], b"");
    backend.wait_for(1);
    let watch = Stopwatch::start();
    evenkeel.process().signal("TERM");
    evenkeel.process().exit_within(PATIENCE);
    let took = watch.elapsed();
    assert!(
        (Duration::from_millis(700)..Duration::from_secs(6)).contains(&took),
        "{took:?}"
    );
}

#[test]
fn sigint_ends_at_once_even_with_requests_in_flight() {
    let backend = Backend::start(|_| Reply::hang());
    let evenkeel = Setup::new(&[&backend]).start();
    let mut client = evenkeel.connect();
    client.send_request("GET", "/", &[], b"");
    backend.wait_for(1);
    let watch = Stopwatch::start();
    evenkeel.process().signal("INT");
    evenkeel.process().exit_within(PATIENCE);
    assert!(watch.elapsed() < PROMPT, "took {:?}", watch.elapsed());
}

#[test]
fn a_taken_port_ends_the_start_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken
        .local_addr()
        .expect("a bound socket has an address")
        .to_string();
    let backend = fine();
    let yaml = Setup::new(&[&backend]).yaml();
    for place in ["@web@", "@metrics@"] {
        let evenkeel = Evenkeel::launch(&yaml.replace(place, &address), &[]);
        let status = evenkeel.process().exit_within(PATIENCE);
        assert_eq!(status.code(), Some(2), "{place}");
        let told = evenkeel.process().stderr();
        assert!(told.contains(&address), "{place}: {told}");
    }
}

#[test]
fn a_broken_configuration_ends_the_start_and_is_explained() {
    let backend = fine();
    let yaml = Setup::new(&[&backend])
        .upstream("algorithm: fastest")
        .yaml();
    let evenkeel = Evenkeel::launch(&yaml, &[]);
    let status = evenkeel.process().exit_within(PATIENCE);
    assert_eq!(status.code(), Some(1));
    let told = evenkeel.process().stderr();
    for part in ["evenkeel.yaml:", "algorithm", "fastest", "round_robin"] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn a_missing_configuration_is_named() {
    let process = Process::evenkeel(&["run", "--config", "no-such-file.yaml"]);
    let status = process.exit_within(PATIENCE);
    assert_eq!(status.code(), Some(1));
    assert!(
        process.stderr().contains("no-such-file.yaml"),
        "{}",
        process.stderr()
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let (file, env) = (Backend::named("file"), Backend::named("env"));
    let yaml = Setup::new(&[&file]).yaml();
    let servers = format!("{}=3,{}", env.address(), file.address());
    let overrides = [
        ("BACKEND_SERVERS", servers.as_str()),
        ("DEFAULT_ALGORITHM", "weighted_round_robin"),
    ];
    let evenkeel = Evenkeel::start_with_env(&yaml, &overrides);
    let mut client = evenkeel.connect();
    for _ in 0..40 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(
        env.count().abs_diff(30) <= 1,
        "{} of 40 by weight 3 of 4",
        env.count()
    );
}

fn closed_while_idle(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let before_a_response = !error.to_string().contains("inside");
    before_a_response && matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

#[test]
fn sigquit_is_ignored_while_no_process_waits_for_the_sockets() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).start();
    evenkeel.process().signal("QUIT");
    wait_until("the refusal is logged", || {
        evenkeel.process().stderr().contains("SIGQUIT ignored")
    });
    assert_eq!(evenkeel.get("/").status, 200);
}

#[test]
fn sigquit_hands_the_sockets_over_without_a_failed_request() {
    let backend = fine();
    let evenkeel = Setup::new(&[&backend]).start();
    let client = |load: &Load| {
        let mut kept = evenkeel.connect();
        while load.goes_on() {
            assert_eq!(evenkeel.get("/").status, 200, "on a connection of its own");
            // A kept connection may be closed while idle; then, as any client, ask on a new one.
            let _ = kept.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            match kept.try_response() {
                Ok(response) => assert_eq!(response.status, 200, "{}", response.head),
                Err(error) => {
                    assert!(closed_while_idle(&error), "{error}");
                    kept = evenkeel.connect();
                }
            }
            load.served();
        }
    };
    let heir = Load::run(3, client, |load| {
        load.more(50);
        let heir = evenkeel.upgrade();
        wait_until("the new process waits for the sockets", || {
            heir.listens_on_a_unix_socket() || heir.has_exited()
        });
        evenkeel.process().signal("QUIT");
        let status = evenkeel.process().exit_within(Duration::from_mins(1));
        assert_eq!(status.code(), Some(0));
        load.more(50);
        heir
    });
    assert!(!heir.has_exited(), "the new process serves on");
    assert_eq!(evenkeel.get("/").status, 200);
    heir.signal("TERM");
    assert_eq!(heir.exit_within(PATIENCE).code(), Some(0));
}
