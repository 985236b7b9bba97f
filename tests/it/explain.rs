//! What Evenkeel says about its decisions, held against what it does.

mod agreement;
mod command;
mod decisions;
mod refusals;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::Client;

/// One GET of the admin API; the status and the JSON of its answer.
#[track_caller]
fn get(admin: SocketAddr, path: &str) -> (u16, Value) {
    let host = admin.to_string();
    let response = Client::connect(admin).request("GET", path, &[("Host", &host)], b"");
    let body = serde_json::from_str(&response.text()).expect("the API answers in JSON");
    (response.status, body)
}

/// A change of a backend through the admin API.
#[track_caller]
fn patch(admin: SocketAddr, upstream: &str, backend: SocketAddr, body: &str) {
    let host = admin.to_string();
    let path = format!("/api/v1/upstreams/{upstream}/backends/{backend}");
    let headers = [("Host", host.as_str())];
    let answer = Client::connect(admin).request("PATCH", &path, &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Percent-encodes a value for a query.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    value
        .bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
