use std::sync::Arc;

use super::report::{PickPart, Ruling, TierPart, UpstreamPart};
use super::sample::Occasion;
use super::*;
use crate::clock::Moment;
use crate::observe::metrics::Metrics;
use crate::snapshot::Parts;
use crate::upstream::sticky::Signer;
use crate::upstream::{Journal, Mode, Resolved};

const NOW: Moment = Moment::from_micros(1_000_000_000);

const FILE: &str = "
listeners: [{ name: web, address: '127.0.0.1:1' }]
routes:
  - { name: split, match: { path: { prefix: /split } }, split: [{ upstream: main, weight: 3 }, { upstream: hashed, weight: 1 }] }
  - { name: chosen, match: { path: { prefix: /algo } }, upstream: main, algorithm_override: true }
  - { name: hashed, match: { path: { prefix: /hashed } }, upstream: hashed }
  - { name: gone, match: { path: { exact: /old } }, redirect: { path: /new } }
  - { name: rest, upstream: main }
upstreams:
  main:
    algorithm: round_robin
    sticky: { cookie: KEEL }
    backends:
      - { address: '192.0.2.1:1', zone: a }
      - { address: '192.0.2.2:1' }
      - { address: '192.0.2.3:1', backup: true }
  hashed:
    algorithm: consistent_hash
    hash_key: { header: X-User }
    backends: [{ address: '192.0.2.1:1' }, { address: '192.0.2.2:1', weight: 2 }]
";

fn snapshot() -> Snapshot<()> {
    let config = crate::config::load(FILE, "test", &|_| None).unwrap();
    let resolve = |backend: &crate::config::Backend| Resolved {
        address: backend.address.parse().unwrap(),
        name: backend.address.clone(),
        backend: backend.clone(),
    };
    let resolved: Vec<Vec<Resolved>> = config
        .upstreams
        .iter()
        .map(|upstream| upstream.backends.iter().map(resolve).collect())
        .collect();
    let parts = Parts {
        resolved: &resolved,
        signer: &Arc::new(Signer::new(None, [7; 32])),
        metrics: &Metrics::new(),
        transport: &|_, _| (),
        journal: &Journal::default(),
        now: NOW,
        seed: 0,
    };
    Snapshot::build(Arc::new(config), &parts, None)
}

fn report(snapshot: &Snapshot<()>, url: &str, headers: &[&str]) -> Report {
    let mut sample = Sample::new(snapshot.config(), "GET", url, None).unwrap();
    for line in headers {
        sample.add_line(line).unwrap();
    }
    let occasion = Occasion {
        now: NOW,
        unix_now: 1_800_000_000,
        random: 1,
    };
    of_snapshot(snapshot, &sample, occasion)
}

fn upstream<'s>(snapshot: &'s Snapshot<()>, name: &str) -> &'s crate::upstream::Upstream {
    let mut upstreams = snapshot.groups().iter().map(|group| &group.upstream);
    upstreams.find(|upstream| upstream.name() == name).unwrap()
}

fn only(report: &Report) -> &UpstreamPart {
    let [upstream] = report.upstreams.as_slice() else {
        panic!("one upstream: {report:?}");
    };
    upstream
}

#[test]
fn a_report_survives_the_wire_and_reads_as_before() {
    let snapshot = snapshot();
    for url in [
        "/",
        "/split",
        "/old",
        "/../x",
        "/algo?algo=maglev",
        "/hashed",
    ] {
        let told = report(&snapshot, url, &["X-User: ann"]);
        let json = serde_json::to_string(&told).unwrap();
        let read: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(read, told);
        assert_eq!(read.to_string(), told.to_string());
    }
}

#[test]
fn the_backends_are_told_as_they_are() {
    let snapshot = snapshot();
    let main = upstream(&snapshot, "main");
    main.set_mode(1, NOW, Mode::Maintenance);
    let told = report(&snapshot, "http://example.com/a", &[]);
    let upstream = only(&told);
    assert_eq!(upstream.chosen_by.as_deref(), Some("route"));
    let health = upstream.health.as_ref().unwrap();
    assert_eq!(
        health.primaries,
        TierPart {
            available: 1,
            of: 1
        }
    );
    let pick = PickPart {
        backend: "192.0.2.1:1".to_owned(),
        reason: "algorithm".to_owned(),
        by_chance: false,
    };
    assert_eq!(upstream.pick.as_ref(), Some(&pick));
    let text = told.to_string();
    let part = text.split("upstream main").nth(1).unwrap();
    assert_eq!(
        part,
        ": 100 % of the requests
  algorithm round_robin
  sticky    by cookie KEEL, which the request lacks
  health    1 of 1 primaries available, 1 of 1 backups
  backend   192.0.2.1:1  weight 1  zone a  up (healthy)  0 in flight  turns 0
  backend   192.0.2.2:1  weight 1  maintenance (operator)  0 in flight  out: maintenance
  backend   192.0.2.3:1  weight 1  backup  up (healthy)  0 in flight  out: backup_not_needed
  picks     192.0.2.1:1 (algorithm)
"
    );
    for member in [0, 2] {
        main.set_mode(member, NOW, Mode::Maintenance);
    }
    let told = report(&snapshot, "/a", &[]);
    let upstream = only(&told);
    assert_eq!(upstream.pick, None);
    assert_eq!(upstream.unavailable.as_deref(), Some("no_backend"));
    assert!(told.to_string().ends_with("  picks     none: no_backend\n"));
}

#[test]
fn explaining_moves_nothing() {
    let snapshot = snapshot();
    let before = report(&snapshot, "/", &[]);
    for _ in 0..5 {
        assert_eq!(report(&snapshot, "/", &[]), before);
    }
    assert_eq!(upstream(&snapshot, "main").in_flight(), 0);
}

#[test]
fn the_upstream_that_a_split_sends_it_to_is_told() {
    let snapshot = snapshot();
    // One of the two is sticky, so the client's address decides.
    let told = report(&snapshot, "/split", &[]);
    let chosen: Vec<Option<&str>> = told
        .upstreams
        .iter()
        .map(|upstream| upstream.chosen_by.as_deref())
        .collect();
    assert_eq!(chosen.iter().flatten().collect::<Vec<_>>(), [&"client"]);
    assert_eq!(told.upstreams.len(), 2);
    assert!(
        told.to_string()
            .contains("this one by its client's address")
    );
    let shares: Vec<f64> = told
        .upstreams
        .iter()
        .map(|upstream| upstream.share)
        .collect();
    assert!((shares[0] - 0.75).abs() < 1e-9 && (shares[1] - 0.25).abs() < 1e-9);
}

#[test]
fn the_key_is_told_where_one_is_hashed() {
    let snapshot = snapshot();
    let ann = report(&snapshot, "/hashed", &["X-User: ann"]);
    let bob = report(&snapshot, "/hashed", &["X-User: bob"]);
    let (ann, bob) = (only(&ann), only(&bob));
    assert_eq!(ann.hashes.as_deref(), Some("header x-user"));
    assert_eq!(ann.measure.as_deref(), Some("order"));
    assert_ne!(ann.key, bob.key);
    assert_eq!(ann.key.as_ref().map(String::len), Some(16));
}

#[test]
fn an_algorithm_the_request_asks_for_is_told_or_refused() {
    let snapshot = snapshot();
    let told = report(&snapshot, "/algo?algo=maglev", &[]);
    let upstream = only(&told);
    assert_eq!(upstream.algorithm, "maglev");
    assert_eq!(upstream.algorithm_by.as_deref(), Some("request"));
    let told = report(&snapshot, "/algo?algo=fastest", &[]);
    assert!(told.upstreams.is_empty());
    let Ending::Refuse { status, reason, .. } = &told.outcome else {
        panic!("{told:?}");
    };
    assert_eq!((*status, reason.as_str()), (400, "unknown_algorithm"));
    let told = report(&snapshot, "/?algo=fastest", &[]);
    assert_eq!(only(&told).algorithm, "round_robin");
}

#[test]
fn many_other_routes_are_counted() {
    let snapshot = snapshot();
    let told = report(&snapshot, "/old", &[]);
    let rulings: Vec<Ruling> = told.routes.iter().map(|route| route.ruling).collect();
    let here = [Ruling::Serves, Ruling::Outranked];
    assert_eq!(rulings[..2], here);
    assert!(rulings[2..].iter().all(|one| *one == Ruling::Elsewhere));
    let explanation = Explanation {
        considered: (0..25)
            .map(|route| crate::route::Considered {
                route,
                name: route.to_string(),
                specificity: String::new(),
                verdict: Verdict::Elsewhere("is for another host".to_owned()),
            })
            .collect(),
    };
    let (lines, left_out) = lines(&explanation);
    assert_eq!((lines.len(), left_out), (20, 5));
}
