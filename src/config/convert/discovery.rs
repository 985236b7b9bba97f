//! Discovery: keys that fit the type of the source, and sources that differ.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::engine::endpoint;
use super::keys::{note_foreign, require};
use crate::config::path::Path;
use crate::config::raw::{self, SourceKind as Kind};
use crate::config::run::{
    Discovery, DnsSource, DockerSource, Endpoint, FileSource, Source, SourceKind,
};

/// Registered backends at a time.
const MAX_REGISTERED: usize = 256;
/// Backends that a source may bring.
const MAX_FOUND: usize = 1000;
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// Labels that Compose gives its containers.
const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const COMPOSE_PROJECT: &str = "com.docker.compose.project";

/// Keys by the types that have them.
const KEYS: [(&str, &[Kind]); 12] = [
    ("name", &[Kind::Dns]),
    ("port", &[Kind::Dns, Kind::Docker]),
    ("srv", &[Kind::Dns]),
    ("resolver", &[Kind::Dns]),
    ("interval", &[Kind::Dns, Kind::File]),
    ("path", &[Kind::File]),
    ("endpoint", &[Kind::Docker]),
    ("tls", &[Kind::Docker]),
    ("label", &[Kind::Docker]),
    ("compose_service", &[Kind::Docker]),
    ("compose_project", &[Kind::Docker]),
    ("network", &[Kind::Docker]),
];

/// How many backends the discovery of an upstream keeps, by its name.
pub(super) type Rooms = BTreeMap<String, Room>;

/// How many backends a discovery keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is no discovery.
    None,
    /// So many.
    For(usize),
    /// It is broken, so that nothing can be said.
    Unknown,
}

/// How many backends the discovery of each of the upstreams with these `names` keeps.
pub(super) fn rooms<'n>(
    names: impl Iterator<Item = &'n str>,
    upstreams: &BTreeMap<String, raw::Upstream>,
    context: &Context<'_>,
) -> Rooms {
    let map = Path::ROOT.key("upstreams");
    let room = |name: &str, upstream: &raw::Upstream| {
        let path = map.key(name);
        let discovery = path.key("discovery");
        let is_off = !context.is_given(&discovery) || context.is_null(&discovery);
        match &upstream.discovery {
            Some(sources) => room(sources, &discovery, context),
            None if context.is_mapping(&path) && is_off => Room::None,
            None => Room::Unknown,
        }
    };
    let known = names.filter_map(|name| upstreams.get_key_value(name));
    known
        .map(|(name, upstream)| (name.clone(), room(name, upstream)))
        .collect()
}

fn room(sources: &raw::Sources, path: &Path<'_>, context: &Context<'_>) -> Room {
    let is_list = context.is_list(path);
    let mut total = 0;
    for (index, source) in sources.as_list().iter().enumerate() {
        let element = path.index(index);
        let path = if is_list { &element } else { path };
        let is_given = context.is_given(&path.key("max_backends"));
        total += match (source.max_backends, source.kind) {
            (Some(max), _) => max as usize,
            (None, Some(Kind::Registry)) if !is_given => MAX_REGISTERED,
            (None, Some(_)) if !is_given => MAX_FOUND,
            _ => return Room::Unknown,
        };
    }
    Room::For(total)
}

/// The sources as run; `None`, with problems noted, where one is broken.
pub(super) fn discovery(
    written: raw::Sources,
    upstream: &str,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Discovery> {
    let is_list = context.is_list(path);
    let mut discovery = Discovery::default();
    let mut whole = true;
    for (index, source) in written.into_list().into_iter().enumerate() {
        let element = path.index(index);
        let path = if is_list { &element } else { path };
        match one(source, upstream, path, context) {
            Some(One::Registry(_)) if discovery.registry.is_some() => {
                context.add(path, "a second registry; one takes all registrations");
            }
            Some(One::Registry(max_backends)) => discovery.registry = Some(max_backends),
            Some(One::Asked(source)) => {
                if discovery.sources.iter().any(|other| other.id == source.id) {
                    let message = format!("`{}` is there already", source.id);
                    context.add(path, message);
                }
                discovery.sources.push(source);
            }
            None => whole = false,
        }
    }
    whole.then_some(discovery)
}

enum One {
    Registry(usize),
    Asked(Source),
}

fn one(
    written: raw::Source,
    upstream: &str,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<One> {
    let kind = written.kind?;
    note_foreign(kind, &KEYS, word, path, context);
    let max = |default: usize| written.max_backends.map_or(default, |max| max as usize);
    let (id, max_backends) = (id(kind, &written, upstream), max(MAX_FOUND));
    let kind = match kind {
        Kind::Registry => {
            if context.is_null(&Path::ROOT.key("admin")) {
                let message =
                    "backends register through the admin API, which `admin: null` turns off";
                context.add(path, message);
            }
            return Some(One::Registry(max(MAX_REGISTERED)));
        }
        Kind::Dns => SourceKind::Dns(dns(written, path, context)?),
        Kind::File => SourceKind::File(file(written, path, context)?),
        Kind::Docker => SourceKind::Docker(docker(written, upstream, path, context)),
    };
    Some(One::Asked(Source {
        id,
        max_backends,
        kind,
    }))
}

/// Its type and what it looks at: what people tell it from others by.
fn id(kind: Kind, written: &raw::Source, upstream: &str) -> String {
    match kind {
        Kind::Registry => "registry".to_owned(),
        Kind::Dns => {
            let name = written.name.as_ref().map_or("", |name| name.value.as_str());
            match written.port {
                Some(port) if !written.srv => format!("dns:{name}:{port}"),
                _ => format!("dns:{name}"),
            }
        }
        Kind::File => {
            let path = written.path.as_ref().map(|path| path.value.display());
            format!(
                "file:{}",
                path.map_or_else(String::new, |path| path.to_string())
            )
        }
        Kind::Docker => format!("docker:{}", containers(written, upstream)),
    }
}

/// Which containers, in a few words: `shop/backend:5000`.
fn containers(written: &raw::Source, upstream: &str) -> String {
    let endpoint = written.endpoint.as_ref().map(|at| match &at.value {
        Endpoint::Unix(path) => path.display().to_string(),
        Endpoint::Tcp(address) | Endpoint::Tls(address, _) => address.clone(),
    });
    let parts = [
        endpoint,
        written.compose_project.clone(),
        written.compose_service.clone(),
        written.label.clone(),
        default_label(written, upstream),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let port = written
        .port
        .map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", parts.join("/"))
}

/// The label that containers must have where the file says nothing about which.
fn default_label(written: &raw::Source, upstream: &str) -> Option<String> {
    let says_nothing = written.label.is_none() && written.compose_service.is_none();
    says_nothing.then(|| format!("evenkeel.upstream={upstream}"))
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Registry => "registry",
        Kind::Dns => "dns",
        Kind::File => "file",
        Kind::Docker => "docker",
    }
}

fn dns(written: raw::Source, path: &Path<'_>, context: &mut Context<'_>) -> Option<DnsSource> {
    require("name", written.name.is_some(), "", path, context);
    if written.srv && written.port.is_some() {
        let message = "contradicts `srv`: SRV records have ports of their own";
        context.add_at_key(path, "port", message);
    } else if !written.srv && written.port.is_none() && !context.is_given(&path.key("port")) {
        let message = "the key `port` is missing; only SRV records (`srv: true`) have one";
        context.add(path, message);
    }
    Some(DnsSource {
        name: written.name?.value,
        port: if written.srv {
            None
        } else {
            Some(written.port?)
        },
        resolver: written.resolver.map(|address| address.value),
        interval: written.interval.map_or(INTERVAL, |interval| interval.value),
    })
}

fn file(written: raw::Source, path: &Path<'_>, context: &mut Context<'_>) -> Option<FileSource> {
    require("path", written.path.is_some(), "", path, context);
    Some(FileSource {
        path: written.path?.value,
        interval: written.interval.map_or(INTERVAL, |interval| interval.value),
    })
}

fn docker(
    written: raw::Source,
    upstream: &str,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> DockerSource {
    let texts = [
        ("label", &written.label),
        ("compose_service", &written.compose_service),
        ("compose_project", &written.compose_project),
        ("network", &written.network),
    ];
    for (key, text) in texts {
        if text.as_ref().is_some_and(String::is_empty) {
            context.add(&path.key(key), "nothing is called by the empty text");
        }
    }
    let default = default_label(&written, upstream);
    let compose = |key: &str, value: Option<String>| value.map(|value| format!("{key}={value}"));
    let labels = [
        default,
        written.label,
        compose(COMPOSE_PROJECT, written.compose_project),
        compose(COMPOSE_SERVICE, written.compose_service),
    ];
    let address = written.endpoint.as_ref().map(|at| &at.value);
    DockerSource {
        endpoint: endpoint(address, written.tls, path, context),
        labels: labels.into_iter().flatten().collect(),
        network: written.network,
        port: written.port,
    }
}
