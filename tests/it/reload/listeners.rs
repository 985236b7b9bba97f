//! Listeners over a reload: what changes, what stays, and what needs a new process.

use std::time::Duration;

use crate::support::deadline::{PATIENCE, wait_until};
use crate::support::ports::{Port, is_listening};
use crate::support::{Backend, Client, Evenkeel, Load, Setup};

fn two(order: [&str; 2], limit: &str) -> String {
    let listener = |name: &str| match name {
        "web" => "  - { name: web, address: \"@web@\" }\n".to_owned(),
        _ => format!("  - {{ name: inner, address: \"@inner@\", max_body: {limit} }}\n"),
    };
    let (first, second) = (listener(order[0]), listener(order[1]));
    format!(
        "listeners:\n{first}{second}\
         routes:\n\
         \x20 - {{ name: inner, match: {{ listener: [inner] }}, respond: {{ status: 200, body: inner }} }}\n\
         \x20 - {{ name: web, match: {{ listener: [web] }}, respond: {{ status: 200, body: web }} }}\n\
         upstreams: {{}}\nmetrics: {{ address: \"@metrics@\" }}\n"
    )
}

#[test]
fn a_listener_is_the_same_wherever_it_stands_in_the_file() {
    let evenkeel = Evenkeel::start(&two(["web", "inner"], "2KiB"));
    let ask = |name: &str, body: &[u8]| {
        let mut client = Client::connect(evenkeel.address(name));
        client.request("POST", "/", &[], body)
    };
    let holds = |allowed: usize, refused: usize| {
        assert_eq!(ask("web", b"").text(), "web");
        assert_eq!(ask("inner", b"").text(), "inner");
        assert_eq!(ask("web", &vec![b'x'; refused]).status, 200);
        assert_eq!(ask("inner", &vec![b'x'; allowed]).status, 200);
        assert_eq!(ask("inner", &vec![b'x'; refused]).status, 413);
        for name in ["web", "inner"] {
            let label = [("listener", name), ("route", name)];
            assert!(evenkeel.metric("evenkeel_requests_total", &label) > 0.0);
            let other = if name == "web" { "inner" } else { "web" };
            let label = [("listener", name), ("route", other)];
            assert!(evenkeel.metric("evenkeel_requests_total", &label) < 1.0);
        }
    };
    holds(2048, 2049);
    evenkeel.reload(&two(["inner", "web"], "1KiB"));
    holds(1024, 1025);
    assert!(!evenkeel.process().stderr().contains("needs a new process"));
}

#[test]
fn limits_of_a_listener_change_for_new_connections() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).start();
    let mut before = evenkeel.connect();
    assert_eq!(before.get("/").status, 200);
    let short = Setup::new(&[&backend])
        .listener("keepalive: 1s")
        .listener("max_connections_per_ip: 2")
        .yaml();
    evenkeel.reload(&short);
    assert_eq!(before.get("/").status, 200, "it stays open");
    let mut after = evenkeel.connect();
    assert_eq!(after.get("/").status, 200);
    let mut third = Client::connect(evenkeel.web());
    assert_eq!(third.get("/").status, 200, "one was not counted");
    let mut fourth = Client::connect(evenkeel.web());
    assert_eq!(fourth.response().reason(), Some("too_many_connections"));
    let closed = after.time_to_close();
    assert!(closed < Duration::from_secs(5), "closed after {closed:?}");
    assert_eq!(before.get("/").status, 200, "it has the time it had");
}

#[test]
fn a_new_listener_needs_a_new_process_and_gets_one() {
    let backend = Backend::named("a");
    let setup = Setup::new(&[&backend]);
    let evenkeel = setup.start();
    let new = Port::reserve();
    let more = format!(
        "listeners:\n  - {{ name: new, address: \"{}\" }}\n",
        new.address()
    );
    evenkeel.reload(&setup.yaml().replace("listeners:\n", &more));
    let told = evenkeel.process().stderr();
    let expected = format!("listener added: listeners.new: {}", new.address());
    assert!(told.contains(&expected), "{told}");
    assert!(!is_listening(new.address()));
    assert_eq!(evenkeel.get("/").text(), "a");
    let client = |load: &Load| {
        while load.goes_on() {
            assert_eq!(evenkeel.get("/").status, 200);
            load.served();
        }
    };
    let heir = Load::run(2, client, |_| {
        let heir = evenkeel.upgrade();
        wait_until("the new process waits for the sockets", || {
            heir.listens_on_a_unix_socket() || heir.has_exited()
        });
        evenkeel.process().signal("QUIT");
        let status = evenkeel.process().exit_within(Duration::from_mins(1));
        assert_eq!(status.code(), Some(0));
        heir
    });
    assert!(is_listening(new.address()));
    assert_eq!(Client::connect(new.address()).get("/").text(), "a");
    assert_eq!(evenkeel.get("/").text(), "a");
    heir.signal("TERM");
    assert_eq!(heir.exit_within(PATIENCE).code(), Some(0));
}

#[test]
fn the_access_log_follows_the_file_and_stays_where_it_is() {
    let backend = Backend::named("a");
    let log =
        |settings: &str| format!("{}access_log: {settings}\n", Setup::new(&[&backend]).yaml());
    let evenkeel = Evenkeel::start(&log("{ sample: 0% }"));
    assert_eq!(evenkeel.get("/unlogged").status, 200);
    evenkeel.reload(&log("{ sample: 100% }"));
    assert_eq!(evenkeel.get("/logged").status, 200);
    let lines = evenkeel.access_log(1);
    assert_eq!(
        (lines.len(), lines[0]["path"].as_str()),
        (1, Some("/logged"))
    );
    evenkeel.reload(&log("{ path: stderr, format: text }"));
    assert_eq!(evenkeel.get("/in-text").status, 200);
    wait_until("it is logged", || {
        evenkeel.process().stdout().contains("GET /in-text")
    });
    let told = evenkeel.process().stderr();
    assert!(told.contains("access_log.path: stdout -> stderr"), "{told}");
}
