//! The proxy that stands before the Docker Engine: what Evenkeel asks comes through, and nothing
//! else does, however it is written.

mod attacks;
mod bodies;

use std::io::Read as _;

use evenkeel::config;
use evenkeel::control::autoscale::driver::{Means, means};
use serde_json::{Value, json};

use crate::support::engine::call::Call;
use crate::support::engine::container::{IMAGE, composed};
use crate::support::filter::command;
use crate::support::{Backend, Client, Evenkeel, Filter, Response};

const SCALING: (&str, &str) = ("DOCKER_API_SCALING", "yes");
const SWARM: (&str, &str) = ("DOCKER_API_SWARM", "yes");
const PROJECT: (&str, &str) = ("DOCKER_API_PROJECT", "app");
const CREATE: &str = "/containers/create?name=app-web-2&platform=";

/// Any container's id.
const ID: &str = "00000000000000000000000000000000000000000000000000000abc00000001";

fn scaling() -> Filter {
    Filter::start(&[SCALING, PROJECT])
}

/// All that can be switched on is, and a folder may be mounted.
fn open() -> Filter {
    let binds = ("DOCKER_API_BINDS", "/srv/app");
    Filter::start(&[SCALING, SWARM, PROJECT, binds])
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

fn endpoint(filter: &Filter) -> config::Endpoint {
    config::Endpoint::Tcp(filter.address().to_string())
}

fn ask(filter: &Filter, method: &str, target: &str, body: &[u8]) -> Response {
    let json = [("Content-Type", "application/json")];
    let headers = if body.is_empty() { &[][..] } else { &json };
    Client::connect(filter.address()).request(method, target, headers, body)
}

/// The answer to a body by which a container is to be made.
fn create(filter: &Filter, body: &Value) -> Response {
    ask(filter, "POST", CREATE, body.to_string().as_bytes())
}

/// A body that is let through.
fn sound() -> Value {
    let mut body = composed("app", "web", 2, &[]);
    body["Labels"]["evenkeel.autoscaler"] = json!("main");
    body
}

#[test]
fn the_file_is_valid_without_any_variable() {
    let output = command().arg("-c").output().expect("haproxy runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn the_document_has_its_variables() {
    let names = |file: &str, before: &str| -> Vec<String> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(path).expect("it is there");
        let found = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(before));
        let words = found.filter_map(|rest| rest.split([' ', '`']).next());
        words
            .filter(|word| word.starts_with("DOCKER_API_"))
            .map(str::to_owned)
            .collect()
    };
    let known = names("docker-api-proxy/haproxy.cfg", "presetenv ");
    assert_eq!(known.len(), 6);
    assert_eq!(names("docs/autoscaler.md", "| `"), known);
}

#[tokio::test]
async fn the_driver_scales_through_it() {
    let filter = scaling();
    let engine = &filter.engine;
    engine.with(|all| all.up("app", "web", 1, &[("evenkeel.port", "5000")]));
    let settings = config::Driver::Docker {
        endpoint: endpoint(&filter),
        project: Some("app".to_owned()),
        service: "web".to_owned(),
    };
    let Ok(Means::Instances(driver)) = means(&settings, "main") else {
        panic!("it knows instances");
    };
    let made = driver.create().await.expect("it is let through");
    assert_eq!(made.name, "app-web-2");
    assert_eq!(driver.observe().await.expect("it is let through").len(), 2);
    driver.remove(&made.id).await.expect("it is let through");
    let changes = [Call::Create, Call::Start, Call::Stop, Call::Remove];
    assert_eq!(engine.changes(), changes);
    // The log has every change, and not every question.
    let log = filter.log();
    assert!(
        log.contains("POST /containers/create?name=app-web-2"),
        "{log}"
    );
    assert!(!log.contains("GET "), "{log}");
}

#[tokio::test]
async fn a_copy_of_what_must_not_be_made_is_refused_with_the_reason() {
    let filter = scaling();
    filter.engine.with(|all| {
        all.up("app", "web", 1, &[]);
        all.change("app-web-1", |one| {
            one["HostConfig"]["Privileged"] = json!(true);
        });
    });
    let settings = config::Driver::Docker {
        endpoint: endpoint(&filter),
        project: None,
        service: "web".to_owned(),
    };
    let Ok(Means::Instances(driver)) = means(&settings, "main") else {
        panic!("it knows instances");
    };
    let error = driver
        .create()
        .await
        .expect_err("it is refused")
        .to_string();
    assert!(error.contains("not one that may be made"), "{error}");
    assert_eq!(filter.engine.changes(), []);
}

#[tokio::test]
async fn a_service_of_a_swarm_is_resized_only_where_that_is_switched_on() {
    for (settings, is_allowed) in [(&[SCALING][..], false), (&[SWARM], true)] {
        let filter = Filter::start(settings);
        let id = "a1b2c3d4e5f6g7h8i9j0k1l2m";
        let service = json!({ "ID": id, "Version": { "Index": 7 },
            "Spec": { "Name": "shop_images", "Mode": { "Replicated": { "Replicas": 1 } } } });
        filter.engine.with(|all| all.serve("shop_images", service));
        let settings = config::Driver::Swarm {
            endpoint: endpoint(&filter),
            service: "shop_images".to_owned(),
        };
        let Ok(Means::Size(sizer)) = means(&settings, "main") else {
            panic!("it knows a number");
        };
        assert_eq!(sizer.resize(1, 3).await.is_ok(), is_allowed);
        assert_eq!(filter.engine.asked().is_empty(), !is_allowed);
    }
}

#[test]
fn discovery_needs_nothing_to_be_switched_on() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let filter = Filter::start(&[]);
    let container =
        |backend: &Backend| crate::support::engine::container("app", backend.address(), &[]);
    filter.engine.set(&[container(&a)]);
    let evenkeel = Evenkeel::start(&format!(
        "listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: main }}]\n\
         upstreams: {{ main: {{ discovery: {{ type: docker, endpoint: \"tcp://{}\" }} }} }}\n\
         metrics: {{ address: \"@metrics@\" }}\n",
        filter.address(),
    ));
    let found = |count: f64| evenkeel.wait_for_metric("evenkeel_discovery_backends", &[], count);
    found(1.0);
    // The events have begun, and are passed on as they come.
    filter.engine.wait_for_lists(3);
    filter.engine.set(&[container(&a), container(&b)]);
    filter.engine.tell("start");
    found(2.0);
    // A stream that ends here ends there, and begins anew.
    filter.engine.cut();
    filter.engine.set(&[container(&b)]);
    found(1.0);
    assert!(!filter.log().contains("403"), "{}", filter.log());
}

#[test]
fn a_client_that_goes_away_takes_its_stream_of_events_with_it() {
    let filter = Filter::start(&[]);
    let mut client = Client::connect(filter.address());
    let query = "filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22die%22%5D%7D";
    client.send_request("GET", &format!("/v1.45/events?{query}"), &[], b"");
    assert_eq!(client.head().expect("an answer").status, 200);
    filter.engine.tell("die");
    let (mut stream, early) = client.into_parts();
    if early.is_empty() {
        let read = stream.read(&mut [0; 1]).expect("the event comes");
        assert_eq!(read, 1);
    }
    drop(stream);
    crate::support::deadline::wait_until("the Engine's side is closed", || {
        filter.engine.tell("die");
        filter.engine.listeners() == 0
    });
}

#[test]
fn what_is_not_switched_on_is_refused() {
    let looks = [("GET", format!("/containers/{ID}/json"))];
    let changes = [
        ("POST", format!("/containers/{ID}/start")),
        ("POST", format!("/containers/{ID}/stop?t=5")),
        (
            "DELETE",
            format!("/containers/{ID}?v=true&force=false&link=false"),
        ),
        ("POST", CREATE.to_owned()),
    ];
    let swarm = [
        ("GET", "/services/web".to_owned()),
        (
            "POST",
            "/services/a1b2c3d4e5f6g7h8i9j0k1l2m/update?version=1".to_owned(),
        ),
    ];
    let only_swarm = Filter::start(&[SWARM]);
    let nothing = Filter::start(&[("DOCKER_API_SCALING", "no")]);
    let only_scaling = scaling();
    let none = [&nothing, &only_swarm].map(|filter| (filter, looks.iter().chain(&changes)));
    for (filter, calls) in none {
        for (method, target) in calls {
            let answer = ask(filter, method, target, b"{}");
            assert_eq!(answer.status, 403, "{method} {target}");
        }
    }
    let only_looks = Filter::start(&[("DOCKER_API_SCALING", "look")]);
    for (method, target) in &changes {
        let answer = ask(&only_looks, method, target, b"{}");
        assert_eq!(answer.status, 403, "{method} {target}");
    }
    assert_eq!(only_looks.engine.asked().len(), 0);
    for (method, target) in &looks {
        assert_ne!(
            ask(&only_looks, method, target, b"").status,
            403,
            "{target}"
        );
    }
    for (method, target) in &swarm {
        for filter in [&nothing, &only_scaling] {
            assert_eq!(
                ask(filter, method, target, b"").status,
                403,
                "{method} {target}"
            );
        }
    }
    for filter in [nothing, only_swarm, only_scaling] {
        assert_eq!(filter.engine.asked().len(), 0);
    }
}

/// Settings of the host that a container may have.
const OF_THE_HOST: &[(&str, &str)] = &[
    ("Privileged", "false"),
    ("CapAdd", "[]"),
    ("CapAdd", r#"["NET_BIND_SERVICE", "CAP_CHOWN"]"#),
    ("Devices", "[]"),
    ("Binds", "[]"),
    (
        "Binds",
        r#"["/srv/app:/data", "/srv/app/a/b.c:/x:ro", "/etc/ssl/:/y"]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "volume", "Source": "app_x", "Target": "/x", "VolumeOptions": {"NoCopy": true, "DriverConfig": {"Name": "local", "Options": {}}}}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 5}}]"#,
    ),
    (
        "Mounts",
        r#"[{"Type": "bind", "Source": "/srv/app/x", "Target": "/x", "ReadOnly": true, "BindOptions": {"Propagation": "rprivate"}}]"#,
    ),
    (
        "PortBindings",
        r#"{"5000/tcp": [{"HostIp": "", "HostPort": ""}], "53/udp": null}"#,
    ),
    (
        "PortBindings",
        r#"{"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000-8010"}]}"#,
    ),
    ("NetworkMode", r#""bridge""#),
    ("IpcMode", r#""private""#),
    ("PidMode", r#""""#),
    ("UsernsMode", r#""""#),
    ("CgroupnsMode", r#""private""#),
    (
        "SecurityOpt",
        r#"["no-new-privileges", "apparmor=docker-default"]"#,
    ),
    ("Sysctls", r#"{"net.core.somaxconn": "1024"}"#),
    ("Tmpfs", r#"{"/tmp": "size=64m"}"#),
    ("ExtraHosts", r#"["db:10.0.0.1"]"#),
    ("Runtime", r#""runc""#),
    ("OomScoreAdj", "0"),
    ("ConsoleSize", "[0, 0]"),
    ("MemorySwappiness", "-1"),
    (
        "MaskedPaths",
        r#"["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]"#,
    ),
    (
        "ReadonlyPaths",
        r#"["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]"#,
    ),
];

/// Settings of the container itself.
const OF_ITS_OWN: &[(&str, &str)] = &[
    (
        "Env",
        r#"["QUOTED=\"a\"", "TAB=\t", "ESCAPE=\u001b", "Ümlaut=\u017f\u212a"]"#,
    ),
    ("Cmd", r#"["sh", "-c", "echo '{\"Privileged\":true}'"]"#),
    ("User", r#""1000:1000""#),
    (
        "Healthcheck",
        r#"{"Test": ["CMD", "true"], "Interval": 1000000, "Retries": 3}"#,
    ),
    ("Entrypoint", "[]"),
    ("Volumes", r#"{"/data": {}}"#),
];

#[test]
fn a_container_of_every_lawful_kind_may_be_made() {
    let binds = ("DOCKER_API_BINDS", "/srv/app|/etc/ssl");
    let filter = Filter::start(&[SCALING, PROJECT, binds]);
    // The name is taken, so that nothing comes of it.
    filter.engine.with(|all| all.make("app-web-2", &sound()));
    let value = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let try_with = |change: &dyn Fn(&mut Value)| {
        let mut body = sound();
        change(&mut body);
        let answer = create(&filter, &body);
        assert_eq!(answer.status, 409, "{body}: {}", answer.text());
    };
    for (key, text) in OF_THE_HOST {
        try_with(&|body| body["HostConfig"][key] = value(text));
    }
    for (key, text) in OF_ITS_OWN {
        try_with(&|body| body[key] = value(text));
    }
    let asked = filter.engine.asked();
    assert_eq!(asked.len(), OF_THE_HOST.len() + OF_ITS_OWN.len());
    assert!(asked.iter().all(|asked| asked.body["Image"] == IMAGE));
}

#[test]
fn a_body_of_nearly_a_hundred_thousand_bytes_is_read_whole() {
    let filter = scaling();
    let mut body = sound();
    let pairs = (0..2850).map(|number| json!(format!("KEY_{number}=a value of some length")));
    body["Env"] = pairs.collect();
    let length = body.to_string().len();
    assert!((90_000..100_000).contains(&length), "{length}");
    assert_eq!(create(&filter, &body).status, 201);
    body["HostConfig"]["Privileged"] = json!(true);
    assert_eq!(create(&filter, &body).status, 403);
    body["HostConfig"]["Privileged"] = json!(false);
    body["Hostname"] = json!("x".repeat(100_000));
    assert_eq!(create(&filter, &body).status, 403);
    assert_eq!(filter.engine.changes(), [Call::Create]);
}
