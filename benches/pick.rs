//! What one selection costs: each algorithm with 2 to 1,000 backends.
//!
//! One iteration selects a backend and frees its slot again. All backends are
//! up, have a measured latency and weights from 1 to 5.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use evenkeel::clock::Moment;
use evenkeel::config::{self, Algorithm, HashKey, Percent};
use evenkeel::request::Facts;
use evenkeel::upstream::sticky::Signer;
use evenkeel::upstream::{Ask, BuildContext, Journal, Resolved, Selection, Tried, Upstream};
use http::{HeaderMap, Method};

const NOW: Moment = Moment::from_micros(1_000_000_000);

fn settings(algorithm: Algorithm) -> config::Upstream {
    config::Upstream {
        name: "web".into(),
        algorithm: config::Choice::Fixed(algorithm),
        hash_key: HashKey::ClientIp,
        backends: Vec::new(),
        discovery: evenkeel::config::Discovery::default(),
        sticky: None,
        max_in_flight_per_backend: 1_024,
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
        panic_threshold: Percent::from_hundredths(50.0).unwrap_or_default(),
        slow_start: Duration::ZERO,
        health: config::Health::default(),
    }
}

fn resolved(index: u32) -> Resolved {
    let address = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0001 + index), 5000));
    Resolved {
        address,
        name: address.to_string(),
        backend: config::Backend {
            address: address.to_string(),
            weight: index % 5 + 1,
            backup: false,
            zone: None,
            labels: BTreeMap::new(),
        },
    }
}

fn upstream(algorithm: Algorithm, backends: u32) -> Upstream {
    let resolved: Vec<Resolved> = (0..backends).map(resolved).collect();
    let signer = Arc::new(Signer::new(None, [1; 32]));
    Upstream::build(
        &settings(algorithm),
        &resolved,
        &BuildContext {
            algorithms: &[],
            signer: &signer,
            journal: &Journal::default(),
            now: NOW,
            seed: 1,
        },
        None,
    )
}

/// Asks for one backend.
fn select(upstream: &Upstream, headers: &HeaderMap, now: Moment, random: u64) -> Option<Selection> {
    let [.., a, b, c, d] = random.to_be_bytes();
    let facts = Facts {
        listener: 0,
        method: &Method::GET,
        host: "example.com",
        path: "/",
        query: None,
        headers,
        client: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
    };
    let selection = upstream.select(&Ask {
        facts: &facts,
        algorithm: None,
        tried: &Tried::new(),
        sticky: None,
        now,
        unix_now: 0,
        random,
        queued: false,
    });
    selection.ok()
}

/// Gives every backend a latency of its own.
fn measure(upstream: &Upstream, headers: &HeaderMap) {
    for random in 0..20 * upstream.members().len() as u64 {
        let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(selection) = select(upstream, headers, NOW, random) {
            let latency = Duration::from_micros(1_000 + selection.member() as u64 % 700);
            upstream.answered(&selection, NOW, latency);
        }
    }
}

fn pick(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    let later = NOW.after(Duration::from_secs(1));
    for &algorithm in Algorithm::ALL {
        let mut group = criterion.benchmark_group(algorithm.name());
        for backends in [2, 10, 100, 1_000] {
            let upstream = upstream(algorithm, backends);
            measure(&upstream, &headers);
            let mut random = 0_u64;
            group.bench_function(BenchmarkId::from_parameter(backends), |bencher| {
                bencher.iter(|| {
                    random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    black_box(select(&upstream, &headers, later, random)).is_some()
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = pick
}
criterion_main!(benches);
