//! The compose file: what every container has and has not, and that every knob is told.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel::config::load;
use regex::Regex;
use serde_yaml::{Mapping, Value};

const FILE: &str = "docker-compose.yml";

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The compose file with its merge keys applied.
fn compose() -> Value {
    let mut file: Value = serde_yaml::from_str(&read(FILE)).expect("it is YAML");
    // A mapping that is merged may have merged another one.
    for _ in 0..4 {
        file.apply_merge().expect("mappings are merged");
    }
    file
}

fn mapping(value: &Value) -> &Mapping {
    value.as_mapping().unwrap_or_else(|| panic!("{value:?}"))
}

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let services = mapping(&compose["services"]).iter();
    services.map(|(name, service)| (name.as_str().expect("a name"), service))
}

/// The strings of a list, or the names of a mapping.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::Sequence(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::Mapping(mapping) => mapping.keys().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A text with the default of each variable in its place.
fn by_default(text: &str) -> String {
    let variable = Regex::new(r"\$\{[A-Z_]+:-([^}]*)\}").expect("a regex");
    variable.replace_all(text, "$1").into_owned()
}

/// The variables of the compose file, with their defaults.
fn knobs() -> BTreeMap<String, String> {
    let variable = Regex::new(r"\$\{([A-Z_]+)(?::-([^}]*))?\}").expect("a regex");
    let text = read(FILE);
    let mut knobs = BTreeMap::new();
    for found in variable.captures_iter(&text) {
        let (name, default) = (found[1].to_owned(), found.get(2).map(|one| one.as_str()));
        // Compose sets it itself.
        if name == "COMPOSE_PROJECT_NAME" {
            continue;
        }
        let default = default.unwrap_or_else(|| panic!("{name} has no default"));
        let before = knobs.insert(name.clone(), default.to_owned());
        assert!(
            before.is_none_or(|before| before == default),
            "{name} has two defaults"
        );
    }
    knobs
}

#[test]
fn every_knob_is_told_with_its_default() {
    let mut told = BTreeMap::new();
    let mut before = "";
    let text = read(".env.example");
    for line in text.lines() {
        if let Some((name, default)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            assert!(
                before.starts_with("# "),
                "{name} has no line that explains it"
            );
            told.insert(name.to_owned(), default.to_owned());
        }
        before = line;
    }
    assert_eq!(told, knobs());
    assert!(told.len() > 50, "{}", told.len());
}

#[test]
fn no_container_has_more_than_it_needs() {
    let compose = compose();
    let mut count = 0;
    for (name, service) in services(&compose) {
        count += 1;
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name}");
        let security = words(&service["security_opt"]);
        assert_eq!(security, ["no-new-privileges:true"], "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        for key in ["max-size", "max-file"] {
            assert!(service["logging"]["options"][key].is_string(), "{name}");
        }
        let limits = &service["deploy"]["resources"]["limits"];
        for key in ["cpus", "memory"] {
            assert!(limits[key].is_string(), "{name} has no limit of {key}");
        }
        // Nothing can be asked of a worker of Locust.
        let is_checked = service["healthcheck"]["test"].is_sequence();
        assert!(is_checked || name == "locust_worker", "{name}");
        for key in ["privileged", "cap_add", "network_mode", "container_name"] {
            assert!(service[key].is_null(), "{name} has {key}");
        }
        let image = by_default(service["image"].as_str().unwrap());
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name}: {image}");
        assert!(!words(&service["networks"]).is_empty(), "{name}");
    }
    assert_eq!(count, 14);
}

#[test]
fn nothing_is_published_beyond_loopback_by_default() {
    let compose = compose();
    let mut published = BTreeSet::new();
    for (name, service) in services(&compose) {
        for port in words(&service["ports"]) {
            let port = by_default(port);
            let inside = port.strip_prefix("127.0.0.1:");
            let inside = inside.unwrap_or_else(|| panic!("{name}: {port}"));
            let (outside, inside) = inside.split_once(':').unwrap();
            assert_eq!(outside, inside, "{name}");
            assert!(published.insert(outside.to_owned()), "{outside} twice");
        }
    }
    assert!(published.contains("5000") && published.contains("3000"));
    // Whoever may call these changes what is served.
    let text = read(FILE);
    for fixed in ["127.0.0.1:${METRICS_PORT", "127.0.0.1:${ADMIN_PORT"] {
        assert!(text.contains(&format!("\"{fixed}")), "{fixed}");
    }
}

#[test]
fn the_engine_is_reached_through_the_filters_alone() {
    let compose = compose();
    let mut mounting = Vec::new();
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, service) in services(&compose) {
        let volumes = words(&service["volumes"]);
        if volumes.iter().any(|volume| volume.contains("sock")) {
            mounting.push(name);
        }
        let whole = volumes
            .iter()
            .any(|volume| volume.starts_with("/:") || volume.contains("/run"));
        // The node exporter sees the socket, and is nobody who may open it.
        assert!(
            !whole || mounting.contains(&name) || name == "node_exporter",
            "{name}"
        );
        for network in words(&service["networks"]) {
            members.entry(network).or_default().push(name);
        }
    }
    assert_eq!(mounting, ["docker-api-proxy", "cadvisor-api-proxy"]);
    assert_eq!(members["docker_api"], ["load_balancer", "docker-api-proxy"]);
    assert_eq!(members["cadvisor_api"], ["cadvisor-api-proxy", "cadvisor"]);
    for network in ["docker_api", "cadvisor_api", "app"] {
        assert_eq!(compose["networks"][network]["internal"], true, "{network}");
    }
}

/// The names by which the parts call each other.
#[test]
fn backends_are_those_that_the_configuration_looks_for() {
    let compose = compose();
    let backend = &compose["services"]["backend"];
    assert_eq!(backend["labels"]["evenkeel.upstream"], "web");
    let backup = &compose["services"]["backup_backend"]["labels"];
    assert_eq!(backup["evenkeel.backup"], "true");
    assert!(backup["evenkeel.upstream"].is_null());

    let environment = mapping(&compose["services"]["load_balancer"]["environment"]);
    let env = |name: &str| {
        let value = environment.get(name)?.as_str()?;
        let value = by_default(value).replace("${COMPOSE_PROJECT_NAME}", "shop");
        Some(value).filter(|value| !value.is_empty())
    };
    let path = "conf/evenkeel.yaml";
    let config = load(&read(path), path, &env).unwrap_or_else(|errors| panic!("{errors}"));
    let web = config.upstreams.iter().find(|one| one.name == "web");
    let sources = &web.unwrap().discovery.sources;
    let ids: Vec<&str> = sources.iter().map(|source| source.id.as_str()).collect();
    let [primaries, backups] = ids[..] else {
        panic!("{ids:?}");
    };
    assert!(
        primaries.contains("evenkeel.upstream=web") && primaries.contains("shop"),
        "{primaries}"
    );
    assert!(backups.contains("backup_backend"), "{backups}");
    let autoscaler = config.autoscaler.unwrap();
    assert!(autoscaler.dry_run);
    assert!(config.admin.unwrap().token.is_some());
}
