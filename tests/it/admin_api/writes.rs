//! What is changed through the API, and who may.

use std::net::SocketAddr;
use std::thread;

use serde_json::{Value, json};

use super::{get, json as body_of, patch, send};
use crate::support::deadline::{PATIENCE, wait_until};
use crate::support::{Backend, Evenkeel, Setup};

const MAIN: &str = "/api/v1/upstreams/main";

fn weight_path(backend: &Backend) -> String {
    format!("{MAIN}/backends/{}", backend.address())
}

fn tag(admin: SocketAddr) -> String {
    let shown = send(admin, "GET", MAIN, &[], &Value::Null);
    shown.header("etag").expect("it has one").to_owned()
}

#[test]
fn of_writers_who_have_seen_the_same_one_wins() {
    const WRITERS: u32 = 16;
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    let admin = evenkeel.admin();
    for round in 1..=5 {
        let seen = tag(admin);
        let path = weight_path(&backend);
        let write = |writer: u32| {
            let change = json!({ "weight": round * 100 + writer });
            let answer = send(admin, "PATCH", &path, &[("If-Match", &seen)], &change);
            (answer.status, body_of(&answer))
        };
        let answers: Vec<(u16, Value)> = thread::scope(|scope| {
            let write = &write;
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| scope.spawn(move || write(writer)))
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().expect("it is answered"))
                .collect()
        });
        let won: Vec<&Value> = answers
            .iter()
            .filter(|(status, _)| *status == 200)
            .map(|(_, backend)| &backend["weight"])
            .collect();
        let lost = answers
            .iter()
            .filter(|(_, body)| body["code"] == "precondition_failed");
        assert_eq!(
            (won.len(), lost.count()),
            (1, WRITERS as usize - 1),
            "{answers:?}"
        );
        assert_eq!(&super::backend(admin, backend.address())["weight"], won[0]);
    }
}

/// Who answers a client's next requests, in order.
fn answers(evenkeel: &Evenkeel, count: usize) -> Vec<String> {
    let mut client = evenkeel.connect();
    (0..count).map(|_| client.get("/").text()).collect()
}

#[test]
fn an_algorithm_takes_effect_on_the_next_request_and_outlives_a_rebuild() {
    let backends = ["a", "b", "c"].map(Backend::named);
    let [a, b, c] = &backends;
    let evenkeel = Setup::new(&[a, b, c])
        .upstream("algorithm: round_robin")
        .admin("")
        .start();
    let admin = evenkeel.admin();
    let takes_turns = || {
        let mut names = answers(&evenkeel, 3);
        names.sort();
        names == ["a", "b", "c"]
    };
    assert!(takes_turns());
    let hashed = patch(admin, MAIN, &json!({ "algorithm": "ip_hash" }));
    assert_eq!(hashed["algorithm"], "ip_hash");
    assert_eq!(hashed["algorithm_configured"], "round_robin");
    let same = answers(&evenkeel, 12);
    assert!(same.iter().all(|name| *name == same[0]), "{same:?}");
    let other = backends
        .iter()
        .find(|one| one.count() < 10)
        .expect("two others");
    patch(admin, &weight_path(other), &json!({ "weight": 2 }));
    let rebuilt = answers(&evenkeel, 12);
    assert!(
        rebuilt.iter().all(|name| *name == rebuilt[0]),
        "{rebuilt:?}"
    );
    let active = evenkeel.metric("evenkeel_algorithm_active", &[("algorithm", "ip_hash")]);
    assert!((active - 1.0).abs() < 1e-9, "and the metrics say so");
    let back = patch(admin, MAIN, &json!({ "algorithm": null }));
    assert_eq!(back["algorithm"], "round_robin");
    assert_eq!(back["operator"]["algorithm"], Value::Null);
    assert!(takes_turns());
}

#[test]
fn every_algorithm_serves_at_once() {
    let backends = ["a", "b"].map(Backend::named);
    let [a, b] = &backends;
    let evenkeel = Setup::new(&[a, b]).admin("").start();
    let admin = evenkeel.admin();
    let algorithms = get(admin, MAIN)["algorithms"].clone();
    for name in algorithms.as_array().expect("a list") {
        patch(admin, MAIN, &json!({ "algorithm": name }));
        let response = evenkeel.get("/");
        assert_eq!(response.status, 200, "{name}: {}", response.head);
        let name = name.as_str().expect("a word");
        let picked = [("algorithm", name)];
        if name != "adaptive" {
            let picks = evenkeel.metric("evenkeel_algorithm_requests_total", &picked);
            assert!(picks >= 1.0, "{name} has chosen nobody");
        }
    }
}

#[test]
fn what_is_written_is_logged_with_who_and_what_was_before_and_never_the_token() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend])
        .admin("token: not-for-the-log")
        .start();
    let admin = evenkeel.admin();
    let token = [("Authorization", "Bearer not-for-the-log")];
    let path = weight_path(&backend);
    let change = json!({ "weight": 4 });
    assert_eq!(send(admin, "PATCH", &path, &token, &change).status, 200);
    assert_eq!(send(admin, "PATCH", &path, &[], &change).status, 401);
    let wrong = [("Authorization", "Bearer not-for-the-lag")];
    assert_eq!(send(admin, "PATCH", &path, &wrong, &change).status, 401);
    let log = || evenkeel.process().stderr() + &evenkeel.process().stdout();
    let told = format!("admin: main: {}: weight own -> 4", backend.address());
    wait_until("the change is told", || log().contains(&told));
    wait_until("and the refusals", || {
        log().matches("a bearer token is required").count() == 2
    });
    let line = log();
    let line = line
        .lines()
        .find(|line| line.contains(&told))
        .expect("it is there");
    assert!(
        line.contains("127.0.0.1") && line.contains("PATCH"),
        "{line}"
    );
    let accept = [token[0], ("Accept", "application/json")];
    let events = send(admin, "GET", "/api/v1/events", &accept, &Value::Null);
    assert!(events.text().contains("weight own -> 4, by 127.0.0.1"));
    assert!(!log().contains("not-for-the-l") && !events.text().contains("not-for-the-l"));
}

#[test]
fn an_address_for_others_without_a_token_ends_the_start() {
    let yaml = Setup::new(&[&Backend::named("a")]).yaml();
    let yaml = yaml.replace("admin: null", "admin: { address: \"0.0.0.0:9\" }");
    let evenkeel = Evenkeel::launch(&yaml, &[]);
    assert_eq!(evenkeel.process().exit_within(PATIENCE).code(), Some(1));
    let said = evenkeel.process().stderr();
    assert!(said.contains("0.0.0.0:9 can be reached from other machines"), "{said}");
}
