//! Addresses, networks and host names.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::form::{Format, nothing_more};
use crate::config::run::{Endpoint, HostPattern};

/// Bytes of the longest host name (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// An address to bind.
#[derive(Clone, Debug)]
pub(crate) struct SocketAddress;

impl Format for SocketAddress {
    type Value = SocketAddr;
    const NAME: &'static str = "socket-address";
    const EXPECTED: &'static str = "IP:PORT, such as 0.0.0.0:5000 or [::]:5000";

    fn parse(text: &str) -> Result<SocketAddr, String> {
        let address: SocketAddr = text.parse().map_err(|_| reason_no_socket(text))?;
        if address.port() == 0 {
            return Err("the port is 0".to_owned());
        }
        Ok(address)
    }
}

fn reason_no_socket(text: &str) -> String {
    if text.parse::<IpAddr>().is_ok() {
        return "the port is missing".to_owned();
    }
    match text.rsplit_once(':') {
        Some((host, _)) if !host.starts_with('[') && host.parse::<Ipv6Addr>().is_ok() => {
            "an IPv6 address stands in brackets".to_owned()
        }
        Some((host, port)) if port.parse::<u16>().is_err() && is_ip(host) => {
            "the port must be a number from 1 to 65535".to_owned()
        }
        Some((host, _)) if !is_ip(host) => "the host must be an IP address".to_owned(),
        _ => String::new(),
    }
}

fn is_ip(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

/// A network.
#[derive(Clone, Debug)]
pub(crate) struct Cidr;

impl Format for Cidr {
    type Value = IpNet;
    const NAME: &'static str = "cidr";
    const EXPECTED: &'static str = "an IP address or network such as 10.0.0.0/8";

    fn parse(text: &str) -> Result<IpNet, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(address));
        }
        let network: IpNet = text.parse().map_err(|_| String::new())?;
        if network.trunc() != network {
            return Err(format!(
                "bits beyond the prefix are set; write {}",
                network.trunc()
            ));
        }
        Ok(network)
    }
}

/// Where a backend listens.
#[derive(Clone, Debug)]
pub(crate) struct BackendAddress;

impl Format for BackendAddress {
    type Value = String;
    const NAME: &'static str = "backend-address";
    const EXPECTED: &'static str =
        "HOST:PORT, such as 10.0.0.1:8080, [::1]:8080 or app.internal:8080";

    fn parse(text: &str) -> Result<String, String> {
        if text.contains("://") {
            return Err("a scheme does not belong here; see `protocol` and `tls`".to_owned());
        }
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        if host.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
            return Err("an IPv6 address stands in brackets".to_owned());
        }
        match port.parse::<u16>() {
            Ok(1..) if port.chars().all(|c| c.is_ascii_digit()) => {}
            _ => return Err("the port must be a number from 1 to 65535".to_owned()),
        }
        if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| String::new())?;
            return Ok(format!("[{address}]:{port}"));
        }
        host_name(host).map(|host| format!("{host}:{port}"))
    }
}

/// A host name or IPv4 address in lower case.
fn host_name(host: &str) -> Result<String, String> {
    let host = host.to_ascii_lowercase();
    let looks_like_ip = !host.is_empty() && host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if looks_like_ip {
        return match host.parse::<IpAddr>() {
            Ok(_) => Ok(host),
            Err(_) => Err("not a valid IPv4 address".to_owned()),
        };
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    if name.len() > MAX_HOST || !name.split('.').all(is_label) {
        return Err("not a valid host name".to_owned());
    }
    Ok(host)
}

/// Underscores are not host name characters, but container names have them.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A host condition.
#[derive(Clone, Debug)]
pub(crate) struct HostText;

impl Format for HostText {
    type Value = HostPattern;
    const NAME: &'static str = "host-pattern";
    const EXPECTED: &'static str = "a host such as api.example.org, or *.example.org";

    fn parse(text: &str) -> Result<HostPattern, String> {
        if let Some(address) = text.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| String::new())?;
            return Ok(HostPattern::Exact(format!("[{address}]")));
        }
        if text.contains("://") {
            return Err("hosts are compared without the scheme".to_owned());
        }
        if text.contains(':') {
            return Err("hosts are compared without the port".to_owned());
        }
        if text == "*" {
            return Err("to match every host, leave `host` out".to_owned());
        }
        let (wild, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains('*') {
            return Err("`*` stands only for the first labels, as in *.example.org".to_owned());
        }
        let host = host_name(rest)?;
        let host = host.strip_suffix('.').unwrap_or(&host);
        Ok(if wild {
            HostPattern::Suffix(format!(".{host}"))
        } else {
            HostPattern::Exact(host.to_owned())
        })
    }
}

/// A host with or without a port.
#[derive(Clone, Debug)]
pub(crate) struct Authority;

impl Format for Authority {
    type Value = String;
    const NAME: &'static str = "authority";
    const EXPECTED: &'static str = "a host with or without a port, such as example.org:8443";

    fn parse(text: &str) -> Result<String, String> {
        if text.contains("://") {
            return Err("the scheme has its own key".to_owned());
        }
        if text.ends_with(']') || !text.contains(':') {
            return BackendAddress::parse(&format!("{text}:1"))
                .map(|with_port| with_port[..with_port.len() - 2].to_owned());
        }
        BackendAddress::parse(text)
    }
}

/// A DNS name.
#[derive(Clone, Debug)]
pub(crate) struct DnsName;

impl Format for DnsName {
    type Value = String;
    const NAME: &'static str = "dns-name";
    const EXPECTED: &'static str = "a host name such as backend.example.org";

    fn parse(text: &str) -> Result<String, String> {
        if is_ip(text) {
            return Err("an IP address is not a name".to_owned());
        }
        if text.contains(':') {
            return Err("the port does not belong here".to_owned());
        }
        host_name(text)
    }
}

/// Where a Docker Engine's API is.
#[derive(Clone, Debug)]
pub(crate) struct EngineAddress;

impl Format for EngineAddress {
    type Value = Endpoint;
    const NAME: &'static str = "engine-address";
    const EXPECTED: &'static str =
        "unix:///PATH or tcp://HOST:PORT, such as unix:///var/run/docker.sock";

    fn parse(text: &str) -> Result<Endpoint, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
                return Err("the path of a socket begins with `/`".to_owned());
            }
            return Ok(Endpoint::Unix(path.into()));
        }
        match text.strip_prefix("tcp://") {
            Some(address) => BackendAddress::parse(address).map(Endpoint::Tcp),
            None if text.starts_with("https://") || text.starts_with("ssh://") => {
                Err("only these two are supported".to_owned())
            }
            None => nothing_more(),
        }
    }
}
