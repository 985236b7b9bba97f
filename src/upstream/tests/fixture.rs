//! Upstreams and requests for tests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, Method};

use crate::clock::Moment;
use crate::config::{self, Algorithm, HashKey, Percent};
use crate::request::Facts;
use crate::upstream::gate::Verdict;
use crate::upstream::sticky::Signer;
use crate::upstream::{
    Ask, BuildContext, Journal, Resolved, Selection, Tried, Unavailable, Upstream,
};

static HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

pub(super) const NOW: Moment = Moment::from_micros(1_000_000_000);
pub(super) const UNIX_NOW: u64 = 1_800_000_000;

pub(super) fn settings(algorithm: Algorithm) -> config::Upstream {
    config::Upstream {
        name: "web".into(),
        algorithm: config::Choice::Fixed(algorithm),
        hash_key: HashKey::ClientIp,
        backends: Vec::new(),
        discovery: crate::config::Discovery::default(),
        sticky: None,
        max_in_flight_per_backend: 1_000_000,
        queue: config::Queue {
            size: 0,
            timeout: Duration::from_secs(1),
        },
        timeouts: config::Timeouts {
            tunnel: Duration::from_hours(1),
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_mins(1),
        },
        max_idle_per_backend: 64,
        protocol: config::Protocol::Http1,
        tls: None,
        panic_threshold: Percent::NONE,
        slow_start: Duration::ZERO,
        // The algorithms are tested by themselves; tests of health bring their own rules.
        health: config::Health {
            passive: None,
            outlier: None,
            ..config::Health::default()
        },
    }
}

pub(super) fn backend(index: usize, weight: u32, backup: bool) -> Resolved {
    let address = SocketAddr::from((
        Ipv4Addr::from_bits(0x0a00_0001 + u32::try_from(index).unwrap()),
        5000,
    ));
    Resolved {
        address,
        name: address.to_string(),
        backend: config::Backend {
            address: address.to_string(),
            weight,
            backup,
            zone: None,
            labels: BTreeMap::new(),
        },
    }
}

pub(super) fn primaries(weights: &[u32]) -> Vec<Resolved> {
    weights
        .iter()
        .enumerate()
        .map(|(index, &weight)| backend(index, weight, false))
        .collect()
}

pub(super) fn signer() -> Arc<Signer> {
    Arc::new(Signer::new(None, [7; 32]))
}

pub(super) fn context<'a>(
    algorithms: &'a [Algorithm],
    signer: &'a Arc<Signer>,
    seed: u64,
) -> BuildContext<'a> {
    static NOWHERE: LazyLock<Journal> = LazyLock::new(Journal::default);
    BuildContext {
        algorithms,
        signer,
        journal: &NOWHERE,
        now: NOW,
        seed,
    }
}

pub(super) fn build(settings: &config::Upstream, resolved: &[Resolved]) -> Upstream {
    Upstream::build(settings, resolved, &context(&[], &signer(), 0), None)
}

pub(super) fn upstream(algorithm: Algorithm, weights: &[u32]) -> Upstream {
    build(&settings(algorithm), &primaries(weights))
}

/// Lets a connection to a member be refused.
pub(super) fn refuse(upstream: &Upstream, member: usize, now: Moment) {
    upstream.refused(&upstream.members()[member].endpoint, now);
}

/// Lets the checks of a member fail.
pub(super) fn fail_checks(upstream: &Upstream, member: usize) {
    let endpoint = &upstream.members()[member].endpoint;
    endpoint.gate.set_verdict(Verdict::Failing);
    endpoint.settle(NOW, &upstream.rules, None);
}

/// A request from a client that the number determines.
pub(super) fn facts(client: u32) -> Facts<'static> {
    Facts {
        listener: 0,
        method: &Method::GET,
        host: "example.com",
        path: "/",
        query: None,
        headers: &HEADERS,
        client: IpAddr::V4(Ipv4Addr::from_bits(client)),
    }
}

pub(super) fn ask<'a>(facts: &'a Facts<'a>, tried: &'a Tried, random: u64) -> Ask<'a> {
    Ask {
        facts,
        algorithm: None,
        tried,
        sticky: None,
        now: NOW,
        unix_now: UNIX_NOW,
        random,
        queued: false,
    }
}

/// The selection of the nth request, each from another client and with other randomness.
pub(super) fn nth(upstream: &Upstream, n: u32) -> Result<Selection, Unavailable> {
    let facts = facts(n.wrapping_mul(2_654_435_761));
    upstream.select(&ask(
        &facts,
        &Tried::new(),
        u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    ))
}
