//! A container as the Engine's API writes it.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

const UPSTREAM: &str = "evenkeel.upstream";
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// The image that every container is made of.
pub(crate) const IMAGE: &str =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// The body by which Compose makes a container.
pub(crate) fn composed(
    project: &str,
    service: &str,
    number: u32,
    labels: &[(&str, &str)],
) -> Value {
    let network = format!("{project}_default");
    let mut all = json!({
        UPSTREAM: "main",
        PROJECT: project,
        SERVICE: service,
        NUMBER: number.to_string(),
        ONE_OFF: "False",
        "com.docker.compose.config-hash": "c0ffee",
        "com.docker.compose.image": IMAGE,
    });
    for (label, value) in labels {
        all[label] = json!(value);
    }
    json!({
        "Image": IMAGE,
        "Env": ["MODE=fast", "PATH=/bin"],
        "Cmd": ["/app", "--listen", "0.0.0.0:5000"],
        "Labels": all,
        "ExposedPorts": { "5000/tcp": {} },
        "StopTimeout": 5,
        "HostConfig": {
            "NetworkMode": network, "NanoCpus": 500_000_000, "Memory": 134_217_728,
            "RestartPolicy": { "Name": "unless-stopped", "MaximumRetryCount": 0 },
            "CapDrop": ["ALL"], "ReadonlyRootfs": true, "SecurityOpt": ["no-new-privileges:true"],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } },
            "Ulimits": [{ "Name": "nofile", "Soft": 1024, "Hard": 2048 }],
            "Binds": ["app_data:/data:rw"], "PortBindings": {},
        },
        "NetworkingConfig": { "EndpointsConfig": {
            network: { "Aliases": [format!("{project}-{service}-{number}"), service] },
        } },
    })
}

/// From what was asked for to what the Engine shows.
pub(super) fn inspected(id: &str, name: &str, body: &Value, created: &str) -> Value {
    let mut config: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
    let host = config.remove("HostConfig").unwrap_or_default();
    let mut networks = config.remove("NetworkingConfig").unwrap_or_default();
    let mut networks = networks["EndpointsConfig"].take();
    config.entry("Hostname").or_insert_with(|| json!(&id[..12]));
    for network in networks
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        network["NetworkID"] = json!("e1e1e1");
        network["MacAddress"] = json!("02:42:ac:12:00:02");
        network["IPAddress"] = json!("");
        network["GlobalIPv6Address"] = json!("");
        network["DNSNames"] = json!([name, &id[..12]]);
    }
    json!({
        "Id": id, "Name": format!("/{name}"), "Image": body["Image"], "RestartCount": 0,
        "Created": created,
        "State": state("created", 0), "Config": config, "HostConfig": host,
        "NetworkSettings": { "Networks": networks },
    })
}

/// The same container as `GET /containers/json` has it.
pub(super) fn listed(one: &Value) -> Value {
    let ports: Vec<Value> = one["Config"]["ExposedPorts"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .filter_map(|port| port.split_once('/'))
        .map(|(port, kind)| json!({ "PrivatePort": port.parse::<u16>().ok(), "Type": kind }))
        .collect();
    json!({
        "Id": one["Id"], "Names": [one["Name"]], "Image": "app", "ImageID": one["Image"],
        "Command": "/app", "Created": 1_700_000_000, "State": one["State"]["Status"],
        "Status": "told by the state", "Labels": one["Config"]["Labels"], "Ports": ports,
        "HostConfig": { "NetworkMode": one["HostConfig"]["NetworkMode"] },
        "NetworkSettings": one["NetworkSettings"], "Mounts": [],
    })
}

pub(super) fn state(status: &str, code: i64) -> Value {
    json!({
        "Status": status, "Running": status == "running", "Paused": false, "Restarting": false,
        "OOMKilled": false, "Dead": false, "Pid": 0, "ExitCode": code, "Error": "",
        "StartedAt": "2024-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z",
    })
}

pub(super) fn end(one: &mut Value, code: i64) {
    one["State"] = state("exited", code);
    for network in networks_mut(one) {
        network["IPAddress"] = json!("");
    }
}

pub(super) fn networks_mut(one: &mut Value) -> impl Iterator<Item = &mut Value> {
    let networks = one["NetworkSettings"]["Networks"].as_object_mut();
    networks.into_iter().flat_map(Map::values_mut)
}

/// Its own for each container, on the loopback interface: 127.78.0.1 is the first one's.
pub(crate) fn address(id: &str) -> Ipv4Addr {
    let nth = u32::from_str_radix(&id[id.len() - 6..], 16).expect("ids are hexadecimal");
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 78, 0, 0).to_bits() + nth)
}

pub(super) fn is_ours(one: &Value) -> bool {
    !one["Config"]["Labels"][UPSTREAM].is_null()
}

pub(super) fn has_labels(one: &Value, wanted: &Value) -> bool {
    let labels = &one["Config"]["Labels"];
    texts(wanted).all(|wanted| match wanted.split_once('=') {
        Some((label, value)) => labels[label] == value,
        None => !labels[wanted].is_null(),
    })
}

pub(super) fn has_health(one: &Value, wanted: &Value) -> bool {
    let health = one["State"]["Health"]["Status"].as_str().unwrap_or("none");
    let mut wanted = texts(wanted).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| wanted == health)
}

pub(super) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
