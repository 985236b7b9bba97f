//! Tests of what is copied and what is not; `tests/it/drivers` makes copies.

use serde_json::{Value, json};

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn template(changes: &[(&str, Value)]) -> ContainerInspectResponse {
    let mut template = json!({
        "Id": ID, "Name": "/app-web-1", "Image": "sha256:abc",
        "Config": {
            "Hostname": &ID[..12], "User": "1000", "Env": ["A=b"], "Cmd": ["serve"],
            "Entrypoint": ["/app"], "WorkingDir": "/srv", "StopSignal": "SIGINT", "StopTimeout": 5,
            "ExposedPorts": { "5000/tcp": {} }, "Volumes": { "/scratch": {} },
            "Healthcheck": { "Test": ["CMD", "/app", "check"], "Interval": 500_000_000 },
            "Labels": {
                "com.docker.compose.project": "app", "com.docker.compose.service": "web",
                "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False",
                "com.docker.compose.config-hash": "c0ffee", "com.docker.compose.replace": "app-web-0",
                "evenkeel.upstream": "web",
            },
        },
        "HostConfig": {
            "NanoCpus": 500_000_000, "Memory": 1000, "NetworkMode": "app_default",
            "RestartPolicy": { "Name": "always" }, "CapDrop": ["ALL"], "ReadonlyRootfs": true,
            "SecurityOpt": ["no-new-privileges:true"], "Binds": ["data:/data"],
            "Mounts": [{ "Type": "tmpfs", "Target": "/tmp" }],
            "Ulimits": [{ "Name": "nofile", "Soft": 10, "Hard": 20 }],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } },
            "Tmpfs": { "/run": "" }, "ExtraHosts": ["a:1.2.3.4"], "CgroupnsMode": "private",
        },
        "NetworkSettings": { "Networks": {
            "app_default": {
                "Aliases": ["app-web-1", "web", &ID[..12]], "IPAMConfig": null,
                "IPAddress": "172.18.0.2", "MacAddress": "02:42:ac:12:00:02", "EndpointID": "e",
            },
            "app_back": { "Aliases": ["app-web-1", "web", "inner"], "IPAMConfig": {}, "DriverOpts": { "k": "v" } },
        } },
    });
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        template.pointer_mut(parent).expect("it is there")[key] = value.clone();
    }
    serde_json::from_value(template).expect("the Engine's form")
}

fn copy(changes: &[(&str, Value)]) -> (String, Value) {
    let copy = of(&template(changes), 4, "web").expect("it can be copied");
    (
        copy.name,
        serde_json::to_value(copy.body).expect("it is JSON"),
    )
}

#[test]
fn what_was_asked_for_is_asked_for_again() {
    let (name, body) = copy(&[]);
    assert_eq!(name, "app-web-4");
    let original = serde_json::to_value(template(&[])).expect("it is JSON");
    assert_eq!(body["HostConfig"], original["HostConfig"]);
    for key in [
        "User",
        "Env",
        "Cmd",
        "Entrypoint",
        "WorkingDir",
        "StopSignal",
        "StopTimeout",
        "ExposedPorts",
        "Volumes",
        "Healthcheck",
    ] {
        assert!(!body[key].is_null(), "{key}");
        assert_eq!(body[key], original["Config"][key], "{key}");
    }
    assert_eq!(body["Image"], "sha256:abc");
}

#[test]
fn labels_say_whose_it_is_and_which() {
    let (_, body) = copy(&[]);
    assert_eq!(
        body["Labels"],
        json!({
            "com.docker.compose.project": "app", "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "4", "com.docker.compose.oneoff": "False",
            "com.docker.compose.config-hash": "c0ffee",
            "evenkeel.upstream": "web", "evenkeel.autoscaler": "web",
        })
    );
}

#[test]
fn each_has_addresses_and_names_of_its_own() {
    let (_, body) = copy(&[]);
    assert_eq!(
        body["NetworkingConfig"]["EndpointsConfig"],
        json!({
            "app_default": { "Aliases": ["app-web-4", "web"] },
            "app_back": {
                "Aliases": ["app-web-4", "web", "inner"], "IPAMConfig": {}, "DriverOpts": { "k": "v" },
            },
        })
    );
    assert!(body["Hostname"].is_null());
    let (_, named) = copy(&[("/Config/Hostname", json!("worker"))]);
    assert_eq!(named["Hostname"], "worker", "what the file says, all have");
    let (name, _) = copy(&[("/Name", json!("/app_web_1"))]);
    assert_eq!(name, "app_web_4", "as Compose v1 named them");
}

#[test]
fn what_cannot_be_shared_is_a_reason_not_to_begin() {
    let bound = |port: &str| json!({ "5000/tcp": [{ "HostIp": "", "HostPort": port }] });
    let refused = |pointer: &str, value: Value| of(&template(&[(pointer, value)]), 4, "web");
    for port in ["", "0", "8000-8010"] {
        assert!(
            refused("/HostConfig/PortBindings", bound(port)).is_ok(),
            "{port}"
        );
    }
    let cases = [
        (
            "/HostConfig/PortBindings",
            bound("8080"),
            "publishes 5000/tcp on port 8080",
        ),
        (
            "/HostConfig/NetworkMode",
            json!("host"),
            "`network_mode: host`",
        ),
        (
            "/HostConfig/NetworkMode",
            json!("container:abc"),
            "`network_mode: container:abc`",
        ),
        (
            "/NetworkSettings/Networks/app_default/IPAMConfig",
            json!({ "IPv4Address": "172.18.0.9" }),
            "fixed address 172.18.0.9 in the network `app_default`",
        ),
    ];
    for (pointer, value, says) in cases {
        let error = refused(pointer, value).expect_err("it cannot be shared");
        assert!(error.contains(says), "{error}");
    }
}
