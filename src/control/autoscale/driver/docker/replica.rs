//! A new container in the image of another, as `docker compose up --scale` makes one.
//!
//! Everything that was asked for when the first was made is asked for again. What
//! only one container can have is either made anew (name, number, hostname, MAC
//! address) or a reason not to begin (a fixed port of the host, a fixed address):
//! Compose would make a container that does not start.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerInspectResponse, EndpointIpamConfig,
    EndpointSettings, HostConfig, NetworkingConfig,
};

use super::labels;

/// Characters of a container's id that are its name where it needs one.
const SHORT_ID: usize = 12;

/// A container that is yet to be made.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) name: String,
    pub(super) body: ContainerCreateBody,
}

/// A copy of `template` with another number, for the upstream. An error is a sentence about what
/// stands in the way of any copy.
pub(super) fn of(
    template: &ContainerInspectResponse,
    number: u32,
    upstream: &str,
) -> Result<Replica, String> {
    let config = template.config.clone().unwrap_or_default();
    let host = template.host_config.clone().unwrap_or_default();
    can_be_shared(&host)?;
    let old = name(template);
    let name = renamed(old, &config, number);
    let short = short_id(template);
    let networking_config = networks(template, old, &name, short)?;
    let hostname = config.hostname.clone();
    let body = ContainerCreateBody {
        image: template.image.clone(),
        labels: Some(relabelled(&config, number, upstream)),
        // Given by the Engine, not asked for.
        hostname: hostname.filter(|hostname| !is_given(hostname, short)),
        host_config: Some(HostConfig {
            container_id_file: None,
            ..host
        }),
        networking_config: Some(networking_config),
        domainname: config.domainname,
        user: config.user,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: config.exposed_ports,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env,
        cmd: config.cmd,
        healthcheck: config.healthcheck,
        args_escaped: config.args_escaped,
        volumes: config.volumes,
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        network_disabled: config.network_disabled,
        on_build: config.on_build,
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        shell: config.shell,
    };
    Ok(Replica { name, body })
}

/// A container's name, without the slash that the Engine puts before it.
pub(super) fn name(container: &ContainerInspectResponse) -> &str {
    let name = container.name.as_deref().unwrap_or_default();
    name.trim_start_matches('/')
}

fn short_id(container: &ContainerInspectResponse) -> &str {
    let id = container.id.as_deref().unwrap_or_default();
    id.get(..SHORT_ID).unwrap_or(id)
}

/// Whether the Engine itself made the name of the id.
fn is_given(name: &str, short_id: &str) -> bool {
    name.is_empty() || name == short_id
}

/// PROJECT-SERVICE-NUMBER; with underscores where the old one has them, as Compose v1 and
/// `--compatibility` do.
fn renamed(old: &str, config: &ContainerConfig, number: u32) -> String {
    let label = |label| labels::of(config.labels.as_ref(), label).unwrap_or_default();
    let (project, service) = (label(labels::PROJECT), label(labels::SERVICE));
    let is_v1 = old.starts_with(&format!("{project}_{service}_"));
    let between = if is_v1 { '_' } else { '-' };
    format!("{project}{between}{service}{between}{number}")
}

fn relabelled(config: &ContainerConfig, number: u32, upstream: &str) -> HashMap<String, String> {
    let mut labels = config.labels.clone().unwrap_or_default();
    // It says which container this one took the place of.
    labels.remove(labels::REPLACES);
    labels.insert(labels::NUMBER.to_owned(), number.to_string());
    labels.insert(labels::ONE_OFF.to_owned(), "False".to_owned());
    labels.insert(labels::AUTOSCALER.to_owned(), upstream.to_owned());
    labels
}

/// Whether several containers can be set up this way on one host.
fn can_be_shared(host: &HostConfig) -> Result<(), String> {
    for (port, bindings) in host.port_bindings.iter().flatten() {
        for binding in bindings.iter().flatten() {
            let fixed = binding.host_port.as_deref().unwrap_or_default();
            // A range is one of several, chosen anew for each container.
            if !matches!(fixed, "" | "0") && !fixed.contains('-') {
                return Err(format!(
                    "the service publishes {port} on port {fixed} of the host, which only one \
                     container can have; remove it from `ports`, or publish it without a host port"
                ));
            }
        }
    }
    let mode = host.network_mode.as_deref().unwrap_or_default();
    if mode == "host" || mode.starts_with("container:") {
        return Err(format!(
            "the service has `network_mode: {mode}`, so its containers would all want the same \
             ports; give it a network"
        ));
    }
    Ok(())
}

fn networks(
    template: &ContainerInspectResponse,
    old: &str,
    new: &str,
    short: &str,
) -> Result<NetworkingConfig, String> {
    let settings = template.network_settings.as_ref();
    let networks: BTreeMap<_, _> = settings
        .and_then(|settings| settings.networks.as_ref())
        .into_iter()
        .flatten()
        .collect();
    let mut endpoints = HashMap::with_capacity(networks.len());
    for (network, endpoint) in networks {
        let aliases = endpoint.aliases.iter().flatten();
        let aliases = aliases.filter(|alias| *alias != short).map(|alias| {
            let alias = if alias == old { new } else { alias };
            alias.to_owned()
        });
        let endpoint = EndpointSettings {
            aliases: Some(aliases.collect()),
            links: endpoint.links.clone(),
            driver_opts: endpoint.driver_opts.clone(),
            gw_priority: endpoint.gw_priority,
            ipam_config: shared(network, endpoint.ipam_config.as_ref())?,
            ..EndpointSettings::default()
        };
        endpoints.insert(network.clone(), endpoint);
    }
    Ok(NetworkingConfig {
        endpoints_config: Some(endpoints),
    })
}

fn shared(
    network: &str,
    asked: Option<&EndpointIpamConfig>,
) -> Result<Option<EndpointIpamConfig>, String> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    let fixed = [&asked.ipv4_address, &asked.ipv6_address];
    let mut fixed = fixed.into_iter().flatten();
    if let Some(fixed) = fixed.find(|address| !address.is_empty()) {
        return Err(format!(
            "the service has the fixed address {fixed} in the network `{network}`, which only one \
             container can have; remove it"
        ));
    }
    Ok(Some(asked.clone()))
}

#[cfg(test)]
mod tests;
