//! From a container, as the Engine lists it, to a backend.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::control::reconcile::Found;

/// Labels by which a container says how it is to be used.
const WEIGHT: &str = "evenkeel.weight";
const PORT: &str = "evenkeel.port";
const ZONE: &str = "evenkeel.zone";
const BACKUP: &str = "evenkeel.backup";

/// Labels that Compose gives its containers.
const PROJECT: &str = "com.docker.compose.project";

/// The share of the traffic that one may ask for.
const MAX_WEIGHT: u32 = 65_535;

/// A container in the answer to `GET /containers/json`; the keys that are used.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    id: String,
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    ports: Option<Vec<Port>>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Port {
    private_port: u16,
    r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Network>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    ipv4: Option<String>,
    #[serde(rename = "GlobalIPv6Address")]
    ipv6: Option<String>,
}

/// Which of a container's addresses and ports is the backend's.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) network: Option<String>,
    pub(super) port: Option<u16>,
}

impl Rule {
    /// The backend, where the container can be one, and what is wrong with it.
    pub(super) fn backend(&self, container: &Container) -> (Option<Found>, Vec<String>) {
        let name = container.name();
        let mut complaints = Vec::new();
        let place = self
            .address(container)
            .and_then(|address| Ok(SocketAddr::new(address, self.port(container)?)));
        let address = match place {
            Ok(address) => address,
            Err(reason) => {
                return (
                    None,
                    vec![format!("container {name} is left out: {reason}")],
                );
            }
        };
        let mut told = |reason: String| complaints.push(format!("container {name}: {reason}"));
        let found = Found {
            weight: container.weight(&mut told),
            backup: container.backup(&mut told),
            zone: container.label(ZONE).map(str::to_owned),
            labels: BTreeMap::from([("container".to_owned(), name.to_owned())]),
            ..Found::at(address)
        };
        (Some(found), complaints)
    }

    fn address(&self, container: &Container) -> Result<IpAddr, String> {
        let settings = container.network_settings.as_ref();
        let networks = settings.and_then(|settings| settings.networks.as_ref());
        let mut networks = networks.into_iter().flatten();
        let Some(wanted) = &self.network else {
            let address = networks.find_map(|(_, network)| network.address());
            return address.ok_or_else(|| "it has no address in any network".to_owned());
        };
        let in_project = container
            .label(PROJECT)
            .map(|project| format!("{project}_{wanted}"));
        let is_wanted = |name: &String| name == wanted || Some(name) == in_project.as_ref();
        let address = networks
            .filter(|(name, _)| is_wanted(name))
            .find_map(|(_, network)| network.address());
        address.ok_or_else(|| format!("it has no address in the network `{wanted}`"))
    }

    /// What the container says itself counts first.
    fn port(&self, container: &Container) -> Result<u16, String> {
        if let Some(text) = container.label(PORT) {
            let port = text.parse().ok().filter(|port| *port != 0);
            return port.ok_or_else(|| format!("the label `{PORT}` is {text:?}, not a port"));
        }
        if let Some(port) = self.port {
            return Ok(port);
        }
        let exposed = container.ports.iter().flatten();
        let mut exposed: Vec<u16> = exposed
            .filter(|port| port.r#type == "tcp")
            .map(|port| port.private_port)
            .collect();
        exposed.sort_unstable();
        exposed.dedup();
        let hint = format!("say `port`, or give it the label `{PORT}`");
        match exposed.as_slice() {
            [only] => Ok(*only),
            [] => Err(format!("it exposes no port; {hint}")),
            several => Err(format!("it exposes {} ports; {hint}", several.len())),
        }
    }
}

impl Container {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What people know it by.
    fn name(&self) -> &str {
        let first = self.names.as_ref().and_then(|names| names.first());
        let short = self.id.get(..12).unwrap_or(&self.id);
        first.map_or(short, |name| name.trim_start_matches('/'))
    }

    fn label(&self, label: &str) -> Option<&str> {
        self.labels.as_ref()?.get(label).map(String::as_str)
    }

    fn weight(&self, told: &mut impl FnMut(String)) -> u32 {
        let Some(text) = self.label(WEIGHT) else {
            return 1;
        };
        let weight: Option<u32> = text.parse().ok();
        weight
            .filter(|weight| (1..=MAX_WEIGHT).contains(weight))
            .unwrap_or_else(|| {
                told(format!(
                    "the label `{WEIGHT}` is {text:?}, not an integer from 1 to {MAX_WEIGHT}; 1 is used"
                ));
                1
            })
    }

    fn backup(&self, told: &mut impl FnMut(String)) -> bool {
        let Some(text) = self.label(BACKUP) else {
            return false;
        };
        text.parse().unwrap_or_else(|_| {
            told(format!(
                "the label `{BACKUP}` is {text:?}, not `true` or `false`"
            ));
            false
        })
    }
}

impl Network {
    fn address(&self) -> Option<IpAddr> {
        let texts = [&self.ipv4, &self.ipv6];
        let mut texts = texts.into_iter().flatten();
        texts.find_map(|text| text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ANY: Rule = Rule {
        network: None,
        port: None,
    };

    fn container(changes: &Value) -> Container {
        let mut container = json!({
            "Id": "0123456789abcdef", "Names": ["/app-web-1"], "Image": "web", "State": "running",
            "Labels": { "com.docker.compose.project": "app" },
            "Ports": [
                { "PrivatePort": 5000, "Type": "tcp" },
                { "IP": "0.0.0.0", "PrivatePort": 5000, "PublicPort": 80, "Type": "tcp" },
                { "PrivatePort": 53, "Type": "udp" },
            ],
            "NetworkSettings": { "Networks": {
                "app_back": { "IPAddress": "172.18.0.3", "GlobalIPv6Address": "" },
                "other": { "IPAddress": "172.19.0.3" },
                "none": { "IPAddress": "" },
                "six": { "IPAddress": "", "GlobalIPv6Address": "fd00::3" },
            } },
        });
        for (key, value) in changes.as_object().expect("an object") {
            container[key] = value.clone();
        }
        serde_json::from_value(container).expect("the Engine's form")
    }

    fn address(rule: &Rule, changes: &Value) -> Result<String, String> {
        let (found, complaints) = rule.backend(&container(changes));
        let first = || complaints.first().cloned().unwrap_or_default();
        found
            .map(|found| found.address.to_string())
            .ok_or_else(first)
    }

    fn on(network: &str) -> Rule {
        Rule {
            network: Some(network.to_owned()),
            port: Some(80),
        }
    }

    #[test]
    fn the_address_is_that_of_the_named_network_or_of_the_first() {
        let found = |rule: &Rule| address(rule, &json!({}));
        assert_eq!(found(&ANY).as_deref(), Ok("172.18.0.3:5000"));
        assert_eq!(found(&on("other")).as_deref(), Ok("172.19.0.3:80"));
        assert_eq!(found(&on("back")).as_deref(), Ok("172.18.0.3:80"));
        assert_eq!(found(&on("six")).as_deref(), Ok("[fd00::3]:80"));
        for network in ["none", "nowhere"] {
            let told = found(&on(network)).unwrap_err();
            let end = format!("it has no address in the network `{network}`");
            assert_eq!(told, format!("container app-web-1 is left out: {end}"));
        }
        let hosts = json!({ "NetworkSettings": { "Networks": { "host": { "IPAddress": "" } } } });
        assert!(address(&ANY, &hosts).is_err());
        assert!(address(&ANY, &json!({ "NetworkSettings": null })).is_err());
    }

    #[test]
    fn the_port_is_that_of_the_label_or_configured_or_the_only_one() {
        let labelled = |port: &str| json!({ "Labels": { "evenkeel.port": port } });
        assert_eq!(
            address(&on("other"), &labelled("81")).as_deref(),
            Ok("172.19.0.3:81")
        );
        assert!(
            address(&ANY, &labelled("0"))
                .unwrap_err()
                .contains("not a port")
        );
        assert!(
            address(&ANY, &labelled("http"))
                .unwrap_err()
                .contains("not a port")
        );
        let none = address(&ANY, &json!({ "Ports": [] })).unwrap_err();
        assert!(none.contains("it exposes no port; say `port`"), "{none}");
        let two = json!({ "Ports": [{ "PrivatePort": 1, "Type": "tcp" }, { "PrivatePort": 2, "Type": "tcp" }] });
        assert!(address(&ANY, &two).unwrap_err().contains("exposes 2 ports"));
    }

    #[test]
    fn labels_say_how_it_is_used() {
        let labels = json!({ "Labels": {
            "evenkeel.weight": "7", "evenkeel.zone": "a", "evenkeel.backup": "true",
        } });
        let (found, complaints) = ANY.backend(&container(&labels));
        let found = found.expect("it is one");
        assert_eq!((found.weight, found.backup), (7, true));
        assert_eq!(found.zone.as_deref(), Some("a"));
        assert_eq!(found.labels["container"], "app-web-1");
        assert!(complaints.is_empty());
        let labels = json!({ "Labels": { "evenkeel.weight": "0", "evenkeel.backup": "yes" } });
        let (found, complaints) = ANY.backend(&container(&labels));
        let found = found.expect("it is one all the same");
        assert_eq!((found.weight, found.backup), (1, false));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }

    #[test]
    fn what_the_engine_leaves_out_or_adds_does_no_harm() {
        let bare: Container = serde_json::from_str(r#"{ "Id": "abc", "New": [1] }"#).expect("read");
        assert_eq!(bare.name(), "abc");
        assert_eq!(ANY.backend(&bare).1.len(), 1);
        let nameless = container(&json!({ "Names": [] }));
        assert_eq!(nameless.name(), "0123456789ab");
    }
}
