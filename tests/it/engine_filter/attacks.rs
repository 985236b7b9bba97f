//! What must never reach the Engine.

use serde_json::{Value, json};

use super::{CREATE, ID, PROJECT, SCALING, ask, create, scaling, sound};
use crate::support::deadline::wait_until;
use crate::support::{Client, Filter};

/// All that can be switched on is, and a folder may be mounted.
fn open() -> Filter {
    let binds = ("DOCKER_API_BINDS", "/srv/app");
    Filter::start(&[SCALING, super::SWARM, PROJECT, binds])
}

/// Fails where the Engine was asked anything.
#[track_caller]
fn assert_unseen(filter: &Filter) {
    let asked = filter.engine.asked();
    let lines: Vec<String> = asked
        .iter()
        .map(|asked| format!("{} {} {}", asked.method, asked.path, asked.body))
        .collect();
    assert!(lines.is_empty(), "{lines:#?}");
}

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

/// Settings of the host for a container, each of which gives it something of the machine.
const OF_THE_HOST: &[(&str, &str)] = &[
    ("Privileged", "true"),
    ("Privileged", "1"),
    ("Privileged", r#""true""#),
    ("Privileged", "null"),
    ("PidMode", r#""host""#),
    ("PidMode", r#""container:abc""#),
    ("IpcMode", r#""host""#),
    ("IpcMode", r#""container:abc""#),
    ("NetworkMode", r#""host""#),
    ("NetworkMode", r#""container:abc""#),
    ("NetworkMode", r#""ns:/proc/1/ns/net""#),
    ("UTSMode", r#""host""#),
    ("UsernsMode", r#""host""#),
    ("Cgroup", r#""container:abc""#),
    ("CgroupParent", r#""/""#),
    ("CgroupnsMode", r#""none""#),
    ("CapAdd", r#"["SYS_ADMIN"]"#),
    ("CapAdd", r#"["CHOWN", "ALL"]"#),
    ("CapAdd", r#"["NET_BIND_SERVICE_", "cap_sys_admin"]"#),
    ("CapAdd", r#""SYS_ADMIN""#),
    ("Capabilities", r#"["SYS_ADMIN"]"#),
    ("Devices", r#"[{"PathOnHost": "/dev/sda"}]"#),
    ("DeviceCgroupRules", r#"["a *:* rwm"]"#),
    ("DeviceRequests", r#"[{"Driver": "nvidia", "Count": -1}]"#),
    ("Binds", r#"["/:/host"]"#),
    ("Binds", r#"["/var/run/docker.sock:/docker.sock"]"#),
    ("Binds", r#"["app_data:/a", "/etc:/b:ro"]"#),
    ("Binds", r#"["other_data:/a"]"#),
    ("Binds", r#"["data:/a"]"#),
    ("Binds", r#"["/srv/app/../../etc:/a"]"#),
    ("Binds", r#"["/srv/app/..:/a"]"#),
    ("Binds", r#"["/srv/app/./x:/a"]"#),
    ("Binds", r#"["/srv/app//x:/a"]"#),
    ("Binds", r#"["/srv/application:/a"]"#),
    ("Binds", r#"["/srv/app:/a:rshared:x"]"#),
    ("Binds", r#"["~/x:/a"]"#),
    ("Binds", r#"["./x:/a"]"#),
    ("Binds", r#"["app_data:x"]"#),
    ("Binds", r#"["/srv/app"]"#),
    (
        "Mounts",
        r#"[{"Type": "bind", "Source": "/", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "bind", "Source": "/srv/app/../..", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "npipe", "Source": "//./pipe/docker", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "image", "Source": "x", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "cluster", "Source": "x", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "volume", "Type ": "bind", "Source": "/", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "volume", "Source": "/", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "volume", "Source": "other_x", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "tmpfs", "Source": "/", "Target": "/x"}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "bind", "Source": "/srv/app", "Target": "/x", "BindOptions": {"Propagation": "rshared"}}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "volume", "Source": "app_x", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "volume", "Source": "app_x", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Name": "sshfs"}}}]"#,
    ),
    ("VolumeDriver", r#""rexray""#),
    ("VolumesFrom", r#"["cadvisor"]"#),
    ("SecurityOpt", r#"["seccomp=unconfined"]"#),
    ("SecurityOpt", r#"["seccomp={}"]"#),
    ("SecurityOpt", r#"["apparmor=unconfined"]"#),
    ("SecurityOpt", r#"["label=disable"]"#),
    ("SecurityOpt", r#"["no-new-privileges:false"]"#),
    (
        "SecurityOpt",
        r#"["no-new-privileges:true", "systempaths=unconfined"]"#,
    ),
    ("MaskedPaths", "[]"),
    ("MaskedPaths", r#"["/proc/acpi"]"#),
    ("ReadonlyPaths", "[]"),
    (
        "ReadonlyPaths",
        r#"["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger"]"#,
    ),
    ("Sysctls", r#"{"kernel.core_pattern": "|/x"}"#),
    ("Sysctls", r#"{"network": "1"}"#),
    ("Runtime", r#""/tmp/runtime""#),
    ("Annotations", r#"{"run.oci.hooks.stdout": "/etc/x"}"#),
    (
        "LogConfig",
        r#"{"Type": "syslog", "Config": {"syslog-address": "unix:///x"}}"#,
    ),
    ("ContainerIDFile", r#""/etc/cron.d/x""#),
    ("StorageOpt", r#"{"x": "1"}"#),
    ("OomScoreAdj", "-1000"),
    ("OomKillDisable", "true"),
    ("Links", r#"["db:db"]"#),
    ("PortBindings", r#"{"5000/tcp": [{"HostPort": "22"}]}"#),
    ("PortBindings", r#"{"5000/tcp": [{"HostPort": "8080"}]}"#),
    ("PortBindings", r#"{"5000/tcp": [{"HostPort": "80-90"}]}"#),
    ("BlkioDeviceReadBps", r#"[{"Path": "/dev/sda", "Rate": 1}]"#),
    ("Unheard", "true"),
];

#[test]
fn a_container_gets_nothing_of_the_machine() {
    let filter = open();
    for (key, value) in OF_THE_HOST {
        let mut body = sound();
        body["HostConfig"][key] = serde_json::from_str(value).expect("JSON");
        let answer = create(&filter, &body);
        assert_eq!(answer.status, 403, "{key}: {value}");
        assert!(answer.text().contains("docs/autoscaler.md"));
    }
    assert_unseen(&filter);
}

#[test]
fn a_container_belongs_to_an_upstream_and_to_the_project() {
    let filter = open();
    let change = |pointer: &str, value: Value| {
        let mut body = sound();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        body.pointer_mut(parent).expect("it is there")[key] = value;
        body
    };
    let label = |key: &str, value: Value| {
        let mut body = sound();
        body["Labels"][key] = value;
        body
    };
    let without = |label: &str| {
        let mut body = sound();
        body["Labels"]
            .as_object_mut()
            .expect("labels")
            .remove(label);
        body
    };
    let networks = json!({ "EndpointsConfig": { "host": {} } });
    let bodies = [
        without("evenkeel.upstream"),
        without("com.docker.compose.project"),
        without("com.docker.compose.service"),
        label("evenkeel.upstream", json!("")),
        label("com.docker.compose.project", json!("other")),
        label("com.docker.compose.project", json!("app2")),
        label("com.docker.compose.service", json!(null)),
        label("other", json!(5)),
        change("/Labels", json!(null)),
        change("/Image", json!("docker:dind")),
        change("/Image", json!("")),
        change("/NetworkingConfig", networks),
        change("/MacAddress", json!("02:42:ac:11:00:02")),
        // Engines before 23 read the host's settings here too.
        change("/Privileged", json!(true)),
        change("/Binds", json!(["/:/host"])),
        json!({}),
        json!([]),
        json!(null),
        json!([sound()]),
    ];
    for body in bodies {
        assert_eq!(create(&filter, &body).status, 403, "{body}");
    }
    assert_unseen(&filter);
}

/// Bodies that say another thing to Go's decoder, which takes keys in any case, escaped, with letters
/// that fold to ASCII, and twice, and ends with the first value.
fn spellings() -> Vec<Vec<u8>> {
    let body = sound().to_string();
    let host = |member: &str| {
        let member = format!("\"HostConfig\":{{{member},");
        body.replace("\"HostConfig\":{", &member)
    };
    let top = |member: &str| format!("{{{member},{}", &body[1..]);
    let mut all: Vec<String> = [
        r#""privileged":true"#,
        r#""PRIVILEGED":true"#,
        r#""Privileged" :true"#,
        r#""Privileged":false,"Privileged":true"#,
        r#""Privileged":true,"Privileged":false"#,
        r#""Privi\u006ceged":true"#,
        r#""\u0050rivileged":true"#,
        r#""Binds":["\u002f:/host"]"#,
        r#""Binds":["\/:/host"]"#,
        r#""Bindſ":["/:/host"]"#,
        "\"Networ\u{212a}Mode\":\"host\"",
        r#""CapAdd":["SYS\u005fADMIN"]"#,
        r#""SecurityOpt":[["seccomp=unconfined"]]"#,
    ]
    .map(host)
    .into();
    all.extend(
        [
            r#""hostconfig":{"Privileged":true}"#,
            r#""HostConfig":{"Privileged":true}"#,
            r#""Hostconfig":{"Privileged":true}"#,
            r#""Host\u0043onfig":{"Privileged":true}"#,
            r#""HostConfig":null"#,
            r#""HoſtConfig":{"Privileged":true}"#,
            r#""labels":{}"#,
            r#""Labels":{}"#,
            r#""Labels":{"evenkeel.upstream":"main"}"#,
            r#""image":"docker:dind""#,
            r#""Image":"docker:dind""#,
            r#""Env":["a\ud800"]"#,
            r#""Env":["a","#,
            r#""Env":{}"#,
            "\"Env\":[\"a\nb\"]",
        ]
        .map(top),
    );
    let project = r#""com.docker.compose.project":"app""#;
    for other in [
        r#""com.docker.compose.project":"app","com.docker.compose.project":"other""#,
        r#""com.docker.compose.project":"app","com.docker.compose.projec\u0074":"other""#,
        r#""com.docker.compose.project":"\u0061pp""#,
    ] {
        all.push(body.replace(project, other));
    }
    all.push(format!("{body}{{\"HostConfig\":{{\"Privileged\":true}}}}"));
    all.push(format!("{{\"HostConfig\":{{\"Privileged\":true}}}}{body}"));
    all.push(format!(" {body}"));
    all.push(format!("\u{feff}{body}"));
    all.push(body.replacen('}', "},", 1));
    all.push(body[..body.len() - 1].to_owned());
    let mut all: Vec<Vec<u8>> = all.into_iter().map(String::into_bytes).collect();
    all.push([body.as_bytes(), b"\0{\"HostConfig\":{\"Privileged\":true}}"].concat());
    all.push(body.replace("MODE=fast", "MODE=\0fast").into_bytes());
    let wide = body.encode_utf16().flat_map(u16::to_le_bytes);
    all.push(wide.collect());
    all
}

#[test]
fn no_spelling_of_the_body_means_something_else() {
    let filter = open();
    assert_eq!(
        create(&scaling(), &sound()).status,
        201,
        "as it is, it may be made"
    );
    for body in spellings() {
        let answer = ask(&filter, "POST", CREATE, &body);
        let body = String::from_utf8_lossy(&body);
        assert_eq!(answer.status, 403, "{body}");
    }
    assert_unseen(&filter);
}

#[test]
fn a_body_comes_as_json_whole_and_in_one_piece() {
    let filter = open();
    let body = sound().to_string();
    let length = body.len();
    let json = "Content-Type: application/json\r\n";
    let heads = [
        format!("Content-Length: {length}\r\n"),
        format!("Content-Type: text/plain\r\nContent-Length: {length}\r\n"),
        format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"),
        format!("{json}Content-Encoding: gzip\r\nContent-Length: {length}\r\n"),
        format!("{json}Transfer-Encoding: chunked\r\n"),
        format!("{json}Content-Length: 0\r\n"),
        format!("{json}Content-Length: 0{length}\r\n"),
        format!("{json}Content-Length: 4294968320\r\n"),
        json.to_owned(),
        // Less than what makes it whole, and never the rest.
        format!("{json}Content-Length: {}\r\n", length - 1),
        format!("{json}Content-Length: {}\r\n", length + 1),
    ];
    std::thread::scope(|scope| {
        for head in &heads {
            let (filter, body) = (&filter, &body);
            scope.spawn(move || {
                let mut client = Client::connect(filter.address());
                client.send(format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\n{head}\r\n"));
                let _ = client.try_send(body);
                let status = client.response().status;
                assert!([400, 403, 408].contains(&status), "{head:?}: {status}");
            });
        }
    });
    assert_unseen(&filter);
}
