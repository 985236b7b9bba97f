//! The admin API: what it shows, what it changes, and what it tells of that.

mod events;
mod numbers;
mod writes;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Client, Response};

/// One call, and its answer.
fn send(
    admin: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Response {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let host = admin.to_string();
    let headers = [&[("Host", host.as_str())], headers].concat();
    Client::connect(admin).request(method, path, &headers, text.as_bytes())
}

/// The JSON of an answer.
#[track_caller]
fn json(response: &Response) -> Value {
    let text = response.text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn get(admin: SocketAddr, path: &str) -> Value {
    let response = send(admin, "GET", path, &[], &Value::Null);
    assert_eq!(response.status, 200, "{}", response.text());
    json(&response)
}

#[track_caller]
fn patch(admin: SocketAddr, path: &str, body: &Value) -> Value {
    let response = send(admin, "PATCH", path, &[], body);
    assert_eq!(response.status, 200, "{}", response.text());
    json(&response)
}

/// What the API says about a backend of `main`.
#[track_caller]
fn backend(admin: SocketAddr, id: SocketAddr) -> Value {
    let main = get(admin, "/api/v1/upstreams/main");
    let backends = main["backends"].as_array().expect("a list");
    let id = id.to_string();
    let found = backends.iter().find(|one| one["id"] == id);
    found.expect("it is there").clone()
}
