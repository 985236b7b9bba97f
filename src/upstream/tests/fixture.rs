//! Upstreams and requests for tests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, Method};

use crate::clock::Moment;
use crate::config::{self, ActiveCheck, Algorithm, Percent, Probe};
use crate::request::Facts;
use crate::upstream::gate::Verdict;
use crate::upstream::sticky::Signer;
use crate::upstream::{
    Ask, BuildContext, Journal, PickReason, Resolved, Selection, Tried, Unavailable, Upstream,
};

static HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

pub(super) const NOW: Moment = Moment::from_micros(1_000_000_000);
pub(super) const UNIX_NOW: u64 = 1_800_000_000;

static DEFAULTS: LazyLock<config::Upstream> = LazyLock::new(|| {
    let text = include_str!("../../../conf/minimal.yaml");
    let config = config::load(text, "minimal.yaml", &|_| None);
    config.unwrap().upstreams.remove(0)
});

pub(super) fn settings(algorithm: Algorithm) -> config::Upstream {
    config::Upstream {
        algorithm: config::Choice::Fixed(algorithm),
        backends: Vec::new(),
        max_in_flight_per_backend: 1_000_000,
        panic_threshold: Percent::NONE,
        // The algorithms are tested by themselves; tests of health bring their own rules.
        health: config::Health {
            passive: None,
            outlier: None,
            ..config::Health::default()
        },
        ..DEFAULTS.clone()
    }
}

/// A connect every second.
pub(super) fn tcp_check() -> ActiveCheck {
    ActiveCheck {
        probe: Probe::Tcp,
        port: None,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
        jitter: Percent::NONE,
        concurrency: 1,
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

/// A selection, after an explanation that must have foreseen it and changed nothing.
#[track_caller]
pub(super) fn foreseen(upstream: &Upstream, ask: &Ask<'_>) -> Result<Selection, Unavailable> {
    let explanation = upstream.explain(ask, usize::MAX);
    assert_eq!(upstream.explain(ask, 0).pick, explanation.pick);
    let up = upstream.up();
    let health = upstream.health(&up);
    let eligible: Vec<bool> = [0, 1]
        .into_iter()
        .flat_map(|tier| {
            let view = upstream.view(&upstream.tiers[tier], up[tier], health, ask);
            (0..view.len()).map(move |index| view.is_eligible(index))
        })
        .collect();
    let result = upstream.select(ask);
    let picked = result.as_ref().map(|one| (one.member(), one.reason()));
    let told = explanation.pick.as_ref();
    assert_eq!(told.map(|one| (one.member, one.reason)), picked);
    if let Ok(selection) = &result {
        assert_eq!(explanation.algorithm, selection.algorithm());
        let candidate = &explanation.backends[selection.member()];
        assert_eq!(candidate.exclusion, None, "{explanation:?}");
        let by_merit = !matches!(selection.reason(), PickReason::Sticky | PickReason::Probe);
        assert!(!by_merit || eligible[selection.member()], "{explanation:?}");
    }
    result
}
