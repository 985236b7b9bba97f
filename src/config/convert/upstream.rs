//! Upstreams: at least one backend, no address twice, TLS that means something.

use std::collections::BTreeMap;

use super::context::{Context, FileKind};
use super::discovery::discovery;
use super::health::health;
use super::identity::client_cert;
use super::names::note_repeated;
use crate::config::algorithm::Choice;
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::{
    Backend, Discovery, HashKey, Protocol, Queue, SecureCookie, Sticky, Timeouts, Upstream,
    UpstreamTls,
};

/// The upstreams as run, by name.
pub(super) fn upstreams(
    written: BTreeMap<String, raw::Upstream>,
    context: &mut Context<'_>,
) -> Option<Vec<Upstream>> {
    let map = Path::ROOT.key("upstreams");
    let all: Vec<Option<Upstream>> = written
        .into_iter()
        .map(|(name, written)| {
            let path = map.key(&name);
            upstream(name.clone(), written, &path, context)
        })
        .collect();
    all.into_iter().collect()
}

fn upstream(
    name: String,
    written: raw::Upstream,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Upstream> {
    let backends = backends(written.backends, path, context);
    let tls = tls(written.tls, &path.key("tls"), context);
    let algorithm = written.algorithm.map_or(Choice::Adaptive, |name| name.0);
    let health = health(written.health, &path.key("health"), context);
    let discovery = match written.discovery {
        Some(written) => discovery(written, &name, &path.key("discovery"), context),
        None => Some(Discovery::default()),
    };
    Some(Upstream {
        name,
        algorithm,
        hash_key: hash_key(written.hash_key)?,
        backends: backends?,
        discovery: discovery?,
        sticky: written.sticky.map(sticky),
        max_in_flight_per_backend: written.max_in_flight_per_backend,
        queue: Queue {
            size: written.queue.size as usize,
            timeout: written.queue.timeout.value,
        },
        timeouts: Timeouts {
            connect: written.timeouts.connect.value,
            read: written.timeouts.read.value,
            write: written.timeouts.write.value,
            idle: written.timeouts.idle.value,
            tunnel: written.timeouts.tunnel.value,
        },
        max_idle_per_backend: written.pool.max_idle_per_backend as usize,
        protocol: match written.protocol {
            raw::Protocol::Http1 => Protocol::Http1,
            raw::Protocol::Http2 => Protocol::Http2,
            raw::Protocol::Auto => Protocol::Auto,
        },
        tls,
        panic_threshold: written.panic_threshold.value,
        slow_start: written.slow_start.value,
        health: health?,
    })
}

fn backends(
    written: Vec<raw::Backend>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Backend>> {
    let list = path.key("backends");
    let source = path.key("discovery");
    let discovers = context.is_given(&source) && !context.is_null(&source);
    if written.is_empty() && !discovers && !context.is_given(&list) {
        context.add(
            path,
            "the key `backends` is missing; at least one backend is needed",
        );
    } else if written.is_empty() && !discovers && context.is_empty_list(&list) {
        context.add(&list, "at least one backend is needed");
    }
    let addresses = written.iter().map(|backend| {
        backend
            .address
            .as_ref()
            .map(|address| address.value.clone())
    });
    note_repeated(addresses, &list, ("address", "the address"), context);
    written.into_iter().map(backend).collect()
}

fn backend(written: raw::Backend) -> Option<Backend> {
    Some(Backend {
        address: written.address?.value,
        weight: written.weight,
        backup: written.backup,
        zone: written.zone,
        labels: written.labels,
    })
}

fn hash_key(written: raw::HashKey) -> Option<HashKey> {
    match written {
        raw::HashKey::Word(raw::HashWord::ClientIp) => Some(HashKey::ClientIp),
        raw::HashKey::Word(raw::HashWord::Path) => Some(HashKey::Path),
        raw::HashKey::Part(raw::HashPart { header, cookie }) => header
            .map(|name| HashKey::Header(name.value))
            .or(cookie.map(|name| HashKey::Cookie(name.value))),
    }
}

fn sticky(written: raw::Sticky) -> Sticky {
    Sticky {
        cookie: written.cookie.value,
        ttl: written.ttl.value,
        secure: match written.secure {
            raw::SecureCookie::Auto => SecureCookie::Auto,
            raw::SecureCookie::Always => SecureCookie::Always,
            raw::SecureCookie::Never => SecureCookie::Never,
        },
    }
}

fn tls(written: raw::Tls, path: &Path<'_>, context: &mut Context<'_>) -> Option<UpstreamTls> {
    if !written.enabled {
        return None;
    }
    if !written.verify && written.ca.is_some() {
        context.add_at_key(path, "ca", "has no effect with `verify: false`");
    }
    if let Some(ca) = &written.ca {
        context.check_file(&path.key("ca"), &ca.value, FileKind::Certificates);
    }
    Some(UpstreamTls {
        sni: written.sni.map(|name| name.value),
        ca: written.ca.map(|file| file.value),
        client_cert: written
            .client_cert
            .and_then(|cert| client_cert(cert, &path.key("client_cert"), context)),
        verify: written.verify,
    })
}
