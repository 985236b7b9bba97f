//! The same against a real Engine with Compose, which must agree that a copy is one of its own.

use evenkeel::config;
use evenkeel::control::autoscale::driver::InstanceState;
use serde_json::Value;

use super::driver;
use crate::support::Folder;
use crate::support::compose::{Project, shell};
use crate::support::filter::Proxy;

const SERVICES: &str = "services:
  web:
    image: @image@
    command: [/evenkeel, backend, --listen, \"0.0.0.0:5000\"]
    labels: { evenkeel.upstream: main, evenkeel.port: \"5000\" }
    environment: { MODE: fast }
    healthcheck: { test: [CMD, /evenkeel, --version], interval: 500ms }
    read_only: true
    cap_drop: [ALL]
    security_opt: [\"no-new-privileges:true\"]
    ulimits: { nofile: { soft: 1000, hard: 2000 } }
    deploy: { resources: { limits: { cpus: \"0.5\", memory: 128M } } }
    restart: unless-stopped
    stop_grace_period: 2s
    ports: [\"5000\"]
    tmpfs: [/tmp]
    volumes: [/scratch, \"named:/data\"]
    networks: { default: {}, back: { aliases: [inner] } }
networks: { back: {} }
volumes: { named: {} }
";

fn inspected(id: &str) -> Value {
    let text = shell(&format!("docker inspect {id}"));
    let all: Value = serde_json::from_str(&text).expect("it is JSON");
    all[0].clone()
}

#[tokio::test]
async fn compose_takes_a_copy_for_its_own() {
    let Some(project) = Project::up("driver", SERVICES) else {
        return;
    };
    // The filter lets a real container through too.
    let settings = [
        ("DOCKER_API_SCALING", "yes"),
        ("DOCKER_API_PROJECT", project.name.as_str()),
    ];
    let filter = Proxy::before(&Project::socket(), Folder::new(), &settings);
    let driver = driver(&config::Driver::Docker {
        endpoint: config::Endpoint::Tcp(filter.address().to_string()),
        project: Some(project.name.clone()),
        service: "web".to_owned(),
    });
    let made = driver.create().await.expect("it can be made");
    assert_eq!((made.number, made.name), (2, project.name_of(2)));
    assert_eq!(made.addresses.len(), 2, "{:?}", made.addresses);
    assert_eq!(project.shown(), [project.name_of(1), project.name_of(2)]);

    let [first, second] = [1, 2].map(|number| inspected(&project.name_of(number)));
    assert_eq!(second["HostConfig"], first["HostConfig"]);
    for key in [
        "Env",
        "Cmd",
        "Healthcheck",
        "ExposedPorts",
        "StopTimeout",
        "Volumes",
    ] {
        assert_eq!(second["Config"][key], first["Config"][key], "{key}");
    }
    let aliases = |one: &Value, network: &str| {
        let network = format!("{}_{network}", project.name);
        let aliases = &one["NetworkSettings"]["Networks"][network]["Aliases"];
        let texts = aliases.as_array().into_iter().flatten();
        let mut texts: Vec<String> = texts.filter_map(Value::as_str).map(str::to_owned).collect();
        texts.sort();
        texts
    };
    assert_eq!(
        aliases(&second, "back"),
        [&project.name_of(2), "inner", "web"]
    );
    assert_eq!(aliases(&second, "default"), [&project.name_of(2), "web"]);

    // Asked for as many as there are, Compose leaves both as they are.
    project.compose("up --detach --scale web=2");
    let seen = driver.observe().await.expect("the Engine answers");
    let ids: Vec<&str> = seen.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, [first["Id"].as_str().expect("an id"), &made.id]);

    // Another one is made, and stopped behind our back.
    let third = driver.create().await.expect("it can be made");
    shell(&format!("docker stop --time 1 {}", third.id));
    let seen = driver.observe().await.expect("the Engine answers");
    assert!(
        matches!(seen[2].state, InstanceState::Exited { .. }),
        "{:?}",
        seen[2]
    );
    driver.remove(&third.id).await.expect("it can be removed");
    driver.remove(&made.id).await.expect("it can be removed");
    driver.remove(&made.id).await.expect("gone already");
    assert_eq!(project.shown(), [project.name_of(1)]);

    driver.create().await.expect("it can be made");
    project.compose("down --volumes --timeout 1");
    assert_eq!(project.left(), "", "nothing is left");
    assert_eq!(driver.observe().await, Ok(Vec::new()));
}
