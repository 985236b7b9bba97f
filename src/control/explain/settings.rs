//! An upstream's part as far as the configuration tells it.

use super::report::{BackendPart, LivePart, StickyPart, UpstreamPart};
use crate::config::{ActiveCheck, Algorithm, Backend, Choice, HashKey, Probe, Upstream};

/// The part of an upstream that gets this share of a route's requests.
pub(super) fn upstream(settings: &Upstream, share: f64) -> UpstreamPart {
    UpstreamPart {
        name: settings.name.clone(),
        share,
        chosen_by: None,
        algorithm: settings.algorithm.name().to_owned(),
        algorithm_by: None,
        algorithm_why: None,
        hashes: match settings.algorithm {
            Choice::Fixed(algorithm) => hashes(algorithm, &settings.hash_key),
            Choice::Adaptive => None,
        },
        key: None,
        sticky: settings.sticky.as_ref().map(|sticky| StickyPart {
            cookie: sticky.cookie.clone(),
            binding: None,
            backend: None,
            excluded: None,
        }),
        checked_by: settings.health.active.as_ref().map(checked_by),
        health: None,
        waiting: None,
        measure: None,
        backends: settings.backends.iter().map(backend).collect(),
        left_out: 0,
        joining: joining(settings),
        pick: None,
        unavailable: None,
    }
}

/// What an algorithm hashes, if it does and is free in what.
pub(super) fn hashes(algorithm: Algorithm, key: &HashKey) -> Option<String> {
    if !matches!(algorithm, Algorithm::ConsistentHash | Algorithm::Maglev) {
        return None;
    }
    Some(match key {
        HashKey::ClientIp => "the client's address".to_owned(),
        HashKey::Header(name) => format!("header {name}"),
        HashKey::Cookie(name) => format!("cookie {name}"),
        HashKey::Path => "the path".to_owned(),
    })
}

fn checked_by(check: &ActiveCheck) -> String {
    let what = match &check.probe {
        Probe::Http(probe) => format!("GET {}", probe.path),
        Probe::Tcp => "a connection".to_owned(),
        Probe::Grpc { service } if service.is_empty() => "gRPC".to_owned(),
        Probe::Grpc { service } => format!("gRPC for {service}"),
    };
    let port = check
        .port
        .map_or_else(String::new, |port| format!(" on port {port}"));
    format!("{what}{port} every {:?}", check.interval)
}

fn backend(backend: &Backend) -> BackendPart {
    BackendPart {
        id: backend.address.clone(),
        weight: backend.weight,
        backup: backend.backup,
        zone: backend.zone.clone(),
        live: LivePart::default(),
    }
}

fn joining(settings: &Upstream) -> Vec<String> {
    let registered = settings.discovery.registry.iter();
    let registered = registered.map(|most| format!("that register themselves, at most {most}"));
    let sources = settings.discovery.sources.iter();
    let found = sources.map(|source| format!("of {}, at most {}", source.id, source.max_backends));
    registered.chain(found).collect()
}
