//! What a container may not be made of.

use serde_json::{Value, json};

use super::{CREATE, ask, assert_unseen, create, open, scaling, sound};
use crate::support::Client;

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
