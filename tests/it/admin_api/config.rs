//! The configuration, shown, planned, replaced and read again.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{get, json as body_of};
use crate::support::{Backend, Client, Evenkeel, Response, Setup};

const CONFIG: &str = "/api/v1/config";

/// One call whose body is no JSON.
fn send(
    admin: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let host = admin.to_string();
    let headers = [&[("Host", host.as_str())], headers].concat();
    Client::connect(admin).request(method, path, &headers, body.as_bytes())
}

/// The file of an Evenkeel in front of `one`, and the same in front of `other`.
fn pair(one: &Backend, other: &Backend) -> (Evenkeel, String) {
    let evenkeel = Setup::new(&[one]).admin("").start();
    let shown = send(evenkeel.admin(), "GET", CONFIG, &[], "");
    assert_eq!(shown.status, 200);
    assert_eq!(shown.header("content-type"), Some("application/yaml"));
    let (one, other) = (one.address().to_string(), other.address().to_string());
    let changed = shown.text().replace(&one, &other);
    assert_ne!(changed, shown.text());
    (evenkeel, changed)
}

#[test]
fn a_configuration_is_planned_then_taken_then_given_up_for_the_file() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let (evenkeel, changed) = pair(&one, &other);
    let admin = evenkeel.admin();
    let plan = body_of(&send(admin, "POST", "/api/v1/config/plan", &[], &changed));
    let whats: Vec<&Value> = plan["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["what"])
        .collect();
    assert_eq!(whats, ["backend added", "backend removed"], "{plan}");
    assert_eq!(evenkeel.get("/").text(), "one", "a plan changes nothing");
    assert_eq!(
        get(admin, "/api/v1/status")["config"]["last_reload"],
        Value::Null
    );
    let seen = send(admin, "GET", CONFIG, &[], "");
    let seen = seen.header("etag").expect("it has one");
    let taken = send(admin, "PUT", CONFIG, &[("If-Match", seen)], &changed);
    assert_eq!((taken.status, body_of(&taken)), (200, plan));
    assert_eq!(evenkeel.get("/").text(), "other");
    let stale = send(admin, "PUT", CONFIG, &[("If-Match", seen)], &changed);
    assert_eq!(stale.status, 412, "{}", stale.text());
    let config = get(admin, "/api/v1/status")["config"].clone();
    assert_eq!(config["replaced"], true);
    assert_eq!(
        (
            &config["last_reload"]["ok"],
            &config["last_reload"]["trigger"]
        ),
        (&json!(true), &json!("api"))
    );
    assert_eq!(
        taken.header("etag"),
        Some(&*format!("\"{}\"", config["hash"].as_str().expect("text")))
    );
    let reloaded = send(admin, "POST", "/api/v1/reload", &[], "");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!(
        evenkeel.get("/").text(),
        "one",
        "the file was left as it was"
    );
    assert_eq!(reloaded.header("etag"), Some(seen));
}

#[test]
fn a_wrong_configuration_is_refused_with_all_its_errors_and_told() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    let admin = evenkeel.admin();
    let refused = send(admin, "PUT", CONFIG, &[], "listeners: 1\nroutes: 2\n");
    let body = body_of(&refused);
    assert_eq!(
        (refused.status, &body["code"]),
        (422, &json!("invalid_config"))
    );
    let errors = body["errors"].as_array().expect("a list");
    assert!(errors.len() > 1, "{body}");
    assert_eq!(evenkeel.get("/").text(), "a");
    let last = get(admin, "/api/v1/status")["config"]["last_reload"].clone();
    assert_eq!(
        (&last["ok"], last["errors"].as_array()),
        (&json!(false), Some(errors))
    );
    let accept = [("Accept", "application/json")];
    let events = body_of(&send(admin, "GET", "/api/v1/events", &accept, ""));
    let told = events
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["kind"] == "reload");
    assert_eq!(told.expect("it is told")["ok"], false, "{events}");
    let kind = [("Content-Type", "image/png")];
    assert_eq!(send(admin, "PUT", CONFIG, &kind, "x").status, 415);
    assert_eq!(
        send(admin, "PUT", CONFIG, &[], &"#".repeat((1 << 20) + 1)).status,
        413
    );
}

#[test]
fn programs_come_from_the_file_alone() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    let admin = evenkeel.admin();
    let shown = send(admin, "GET", CONFIG, &[], "").text();
    let shown = shown.replacen(
        "  main:\n",
        "  main:\n    discovery: { type: registry }\n",
        1,
    );
    let with = |arguments: &str| {
        format!(
            "{shown}\nautoscaler:\n  targets:\n  - upstream: main\n    min: 1\n    max: 2\n    \
               signals: [{{ type: in_flight, full: 10 }}]\n    \
               driver: {{ type: exec, allow_exec: true, program: /bin/true, arguments: {arguments} }}\n"
        )
    };
    let plan = "/api/v1/config/plan";
    for (method, path) in [("PUT", CONFIG), ("POST", plan)] {
        let refused = send(admin, method, path, &[], &with("[web]"));
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(
            refused.text().contains("`/bin/true web`"),
            "{}",
            refused.text()
        );
    }
    evenkeel.reload(&with("[web]"));
    assert_eq!(send(admin, "PUT", CONFIG, &[], &with("[web]")).status, 200);
    assert_eq!(
        send(admin, "PUT", CONFIG, &[], &with("[other]")).status,
        422
    );
}

#[test]
fn secrets_are_not_shown_and_a_mask_is_not_taken_for_one() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("token: hush-hush").start();
    let admin = evenkeel.admin();
    assert_eq!(send(admin, "GET", CONFIG, &[], "").status, 401);
    let token = [("Authorization", "Bearer hush-hush")];
    let shown = send(admin, "GET", CONFIG, &token, "").text();
    assert!(
        shown.contains("token: <masked>") && !shown.contains("hush"),
        "{shown}"
    );
    let refused = send(admin, "PUT", CONFIG, &token, &shown);
    assert_eq!(
        (refused.status, &body_of(&refused)["code"]),
        (422, &json!("invalid_config"))
    );
    assert_eq!(send(admin, "GET", CONFIG, &token, "").status, 200);
}
