//! Calls that must never reach the Engine.

use serde_json::Value;

use super::{CREATE, ID, ask, assert_unseen, open, sound};
use crate::support::Client;
use crate::support::deadline::wait_until;

/// Calls that are another's, or one of ours in another form.
const OTHERS: &[(&str, &str)] = &[
    ("GET", "/info"),
    ("GET", "/version"),
    ("GET", "/"),
    ("GET", "/images/json"),
    ("GET", "/secrets"),
    ("GET", "/volumes"),
    ("GET", "/networks"),
    ("GET", "/swarm"),
    ("GET", "/nodes"),
    ("GET", "/system/df"),
    ("GET", "/services"),
    ("POST", "/images/create?fromImage=x"),
    ("POST", "/build"),
    ("POST", "/session"),
    ("POST", "/grpc"),
    ("POST", "/auth"),
    ("POST", "/commit?container=x"),
    ("POST", "/volumes/create"),
    ("POST", "/networks/create"),
    ("POST", "/networks/app_default/connect"),
    ("POST", "/containers/prune"),
    ("POST", "/swarm/init"),
    ("POST", "/plugins/pull?remote=x"),
    ("POST", "/exec/abc/start"),
    ("POST", "/services/create"),
    ("DELETE", "/services/web"),
    ("PUT", "/_ping"),
    ("POST", "/_ping"),
    ("get", "/_ping"),
    ("TRACE", "/_ping"),
    ("GET", "/_ping/"),
    ("GET", "/_ping?x=1"),
    ("GET", "/_Ping"),
    ("GET", "//_ping"),
    ("GET", "/./_ping"),
    ("GET", "/v1.45//_ping"),
    ("GET", "/v1.45/../_ping"),
    ("GET", "/v1.45/%2e%2e/_ping"),
    ("GET", "/v1.45%2F_ping"),
    ("GET", "/_ping%00"),
    ("GET", "/_ping%0d%0aX:%20y"),
    ("GET", "/_ping;x"),
    ("GET", "/v2.0/_ping"),
    ("GET", "/v1/_ping"),
    ("GET", "/v1.4x/_ping"),
    ("GET", "/v1.23/_ping"),
    ("GET", "/v1.450/_ping"),
    ("GET", "http://test.example/_ping"),
    ("GET", "unix://docker/_ping"),
    // The list: of what, and not how large.
    ("GET", "/containers/json"),
    ("GET", "/containers/json?all=1"),
    ("GET", "/containers/json?size=true&filters=%7B%7D"),
    ("GET", "/containers/json?filters=%7B%7D&size=1"),
    ("GET", "/containers/json?filters={}"),
    ("GET", "/containers/json?filters=a;size=1"),
    ("GET", "/containers/%6ason?filters=a"),
    ("GET", "/containers//json?filters=a"),
    ("GET", "/containers/json/?filters=a"),
    // What others do inside of containers is said by events.
    ("GET", "/events"),
    ("GET", "/events?filters=%7B%7D"),
    (
        "GET",
        "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D",
    ),
    ("GET", "/events?filters=%7B%22event%22%3A%5B%22die%22%5D%7D"),
    (
        "GET",
        "/events?filters=%7B%22type%22%3A%5B%5D%2C%22event%22%3A%5B%5D%7D",
    ),
    (
        "GET",
        "/events?filters=%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%5B%22die%22%5D%7D",
    ),
    (
        "GET",
        "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22exec_create%22%5D%7D",
    ),
    (
        "GET",
        "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22die%22%5D%2C%22x%22%3A%5B%5D%7D",
    ),
    (
        "GET",
        "/events?since=0&filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22die%22%5D%7D",
    ),
    ("POST", "/containers/create"),
    ("POST", "/containers/create?name=other-web-2"),
    ("POST", "/containers/create?name=app"),
    ("POST", "/containers/create?name=app-web-2&platform=linux"),
    ("POST", "/containers/create?name=app-web-2&name=other"),
    ("POST", "/containers/create?name=app-web-2/../x"),
    ("POST", "/containers/create?name=app%2Dweb-2"),
    ("GET", CREATE),
    ("PUT", CREATE),
    ("GET", "/services/web?insertDefaults=true"),
    ("GET", "/services/%2E%2E"),
    ("GET", "/services/../info"),
    ("GET", "/services/web/logs"),
    ("GET", "/services/a%2Fb"),
    ("POST", "/services/web/update?version=1"),
    (
        "POST",
        "/services/a1b2c3d4e5f6g7h8i9j0k1l2m/update?version=1&rollback=previous",
    ),
    ("POST", "/services/a1b2c3d4e5f6g7h8i9j0k1l2m/update"),
];

/// The same after a container's path.
const OF_ONE: &[(&str, &str)] = &[
    ("GET", "/json?size=true"),
    ("GET", "/logs?stdout=1"),
    ("GET", "/top"),
    ("GET", "/stats"),
    ("GET", "/changes"),
    ("GET", "/export"),
    ("GET", "/archive?path=/"),
    ("HEAD", "/archive?path=/"),
    ("PUT", "/archive?path=/"),
    ("POST", "/attach?stdin=1&stream=1"),
    ("GET", "/attach/ws"),
    ("POST", "/exec"),
    ("POST", "/kill"),
    ("POST", "/restart"),
    ("POST", "/pause"),
    ("POST", "/rename?name=x"),
    ("POST", "/update"),
    ("POST", "/resize"),
    ("POST", "/wait"),
    ("POST", "/start?detachKeys=x"),
    ("POST", "/start/"),
    ("POST", "/start%20"),
    ("POST", "/stop"),
    ("POST", "/stop?t=-1"),
    ("POST", "/stop?t=1000"),
    ("POST", "/stop?t=5&signal=SIGKILL"),
    ("POST", "/stop?t=5;signal=9"),
    ("DELETE", ""),
    ("DELETE", "?v=true&force=true"),
    ("DELETE", "?v=true&force=1&link=false"),
    ("DELETE", "?v=true&force=false&force=true"),
    ("DELETE", "?v=true&force=false&link=true"),
    ("DELETE", "?v=true#&force=true"),
];

/// All of them.
fn calls() -> Vec<(&'static str, String)> {
    let mut all: Vec<(&str, String)> = Vec::new();
    all.extend(
        OTHERS
            .iter()
            .map(|(method, target)| (*method, (*target).to_owned())),
    );
    for (method, rest) in OF_ONE {
        all.push((method, format!("/containers/{ID}{rest}")));
    }
    // Other projects' names, prefixes of ids and other paths in the place of an id.
    for id in [
        "other-web-1",
        "abc",
        &ID[1..],
        &ID.replace('0', "A"),
        "..",
        &format!("{ID}/.."),
    ] {
        all.push(("GET", format!("/containers/{id}/json")));
        all.push(("POST", format!("/containers/{id}/start")));
    }
    // By its name one can be looked at, and no more.
    all.push(("POST", "/containers/app-web-1/start".to_owned()));
    all.push(("DELETE", "/containers/app-web-1?v=true".to_owned()));
    all
}

#[test]
fn every_other_call_is_refused_with_a_sentence() {
    let filter = open();
    let calls = calls();
    assert!(calls.len() > 100);
    let mut lines = Vec::new();
    for (method, target) in calls {
        let answer = ask(&filter, method, &target, b"");
        let said = answer.text();
        // What is no request at all is refused before anything is read from it.
        if answer.status == 400 && (target.contains('#') || !target.starts_with('/')) {
            continue;
        }
        assert_eq!(answer.status, 403, "{method} {target}: {said}");
        if method != "HEAD" {
            let said: Value = serde_json::from_str(&said).expect("the Engine's form");
            let said = said["message"].as_str().expect("a text").to_owned();
            assert!(
                said.contains(&format!("{method} {target} is not a call")),
                "{said}"
            );
            assert!(said.contains("docs/autoscaler.md"), "{said}");
        }
        lines.push(format!("{method} {target} 403"));
    }
    wait_until("every refusal is logged", || {
        let log = filter.log();
        lines.iter().all(|line| log.contains(line))
    });
    assert_unseen(&filter);
}

/// Requests that another reader may understand as something else.
fn raw() -> Vec<String> {
    let start = format!("POST /containers/{ID}/start HTTP/1.1\r\nHost: x\r\n");
    let hidden = "GET /info HTTP/1.1\r\nHost: x\r\n\r\n";
    let ping = "GET /_ping HTTP/1.1\r\nHost: x\r\n";
    let length = hidden.len();
    vec![
        "GET /_ping HTTP/1.0\r\n\r\n".to_owned(),
        "GET /_ping HTTP/0.9\r\n\r\n".to_owned(),
        "GET /_ping\r\n\r\n".to_owned(),
        "GET /_ping HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "CONNECT docker:80 HTTP/1.1\r\nHost: docker:80\r\n\r\n".to_owned(),
        format!("{ping}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"),
        format!(
            "{ping}Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\nUpgrade: h2c\r\n\r\n"
        ),
        format!("{start}Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"),
        format!(
            "POST /containers/{ID}/attach?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        ),
        format!("{ping}Expect: 100-continue\r\n\r\n"),
        format!("{ping}Content-Length: {length}\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 2\r\n\r\n{{}}"),
        format!("{start}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 0, {length}\r\n\r\n{hidden}"),
        format!("{start}Content-Length: +0\r\n\r\n"),
        format!("{start}Content-Length: -1\r\n\r\n"),
        format!("{start}Content-Length: 00\r\n\r\n"),
        format!("{start}Content-Length: 0x10\r\n\r\n{hidden}"),
        // These are 0 for who counts in 32 or 64 bits.
        format!("{start}Content-Length: 4294967296\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 9223372036854775808\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 18446744073709551616\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        format!("{start}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
        format!("{start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!("{start}Transfer-Encoding: identity\r\n\r\n"),
        format!("{start}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("{ping}Host: y\r\n\r\n"),
        format!("{ping}: x\r\n\r\n"),
        format!("{ping}a b: x\r\n\r\n"),
        "GET /_ping HTTP/1.1\rHost: x\r\r".to_owned(),
        "GET /_ping\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /_pïng HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
    ]
}

#[test]
fn no_request_is_two() {
    let filter = open();
    for request in raw() {
        let mut client = Client::connect(filter.address());
        client.send(&request);
        client.finish();
        let answer = String::from_utf8_lossy(&client.until_closed()).into_owned();
        let is_refused = ["HTTP/1.1 403 ", "HTTP/1.1 400 "]
            .iter()
            .any(|status| answer.starts_with(status));
        assert!(is_refused || answer.is_empty(), "{request:?}: {answer}");
        let count = answer.matches("HTTP/1.1 4").count();
        assert_eq!(count, usize::from(is_refused), "{answer}");
    }
    assert_unseen(&filter);
}

#[test]
fn what_comes_after_a_call_is_not_read() {
    let filter = open();
    let body = sound().to_string();
    let first = [
        "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        format!(
            "POST {CREATE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    ];
    for first in &first {
        let mut client = Client::connect(filter.address());
        client.send(format!("{first}GET /info HTTP/1.1\r\nHost: x\r\n\r\n"));
        let answer = String::from_utf8_lossy(&client.until_closed()).into_owned();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert_eq!(filter.engine.requests(), ["/_ping", CREATE]);
}

#[test]
fn none_of_the_other_headers_reaches_the_engine() {
    let filter = open();
    let mut client = Client::connect(filter.address());
    client.send(
        "GET /_ping HTTP/1.1\r\nHost: evil\r\nX-Registry-Auth: x\r\nA: b\r\n Content-Length: 5\r\n\
         X-HTTP-Method-Override: POST\r\nConnection: host, close\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    let heads = filter.engine.heads();
    assert_eq!(heads.len(), 1);
    let head = heads[0].to_ascii_lowercase();
    assert_eq!(
        head,
        "get /_ping http/1.1\r\nhost: docker\r\nconnection: close\r\n\r\n"
    );
}
