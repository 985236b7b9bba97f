use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::config::{Driver, Percent, Steps};
use crate::control::traffic::Traffic;
use crate::observe::metrics::Metrics;
use crate::snapshot::{Parts, Snapshot};
use crate::upstream::sticky::Signer;
use crate::upstream::{Journal, Resolved};

fn target(kinds: Vec<SignalKind>) -> ScaleTarget {
    let steps = Steps {
        window: Duration::ZERO,
        percent: 100,
        backends: 4,
        period: Duration::from_secs(15),
    };
    let signal = |kind| Signal {
        name: "one".to_owned(),
        kind,
        up: 0.7,
        down: 0.3,
        target: 0.5,
    };
    ScaleTarget {
        upstream: "web".to_owned(),
        min: 1,
        max: 10,
        signals: kinds.into_iter().map(signal).collect(),
        tolerance: Percent::default(),
        up: steps,
        down: steps,
        cooldown: Duration::ZERO,
        provisioning: Duration::ZERO,
        drain_timeout: Duration::ZERO,
        forecast: None,
        driver: Driver::Exec {
            program: "/bin/true".into(),
            arguments: Vec::new(),
            timeout: Duration::ZERO,
        },
    }
}

fn every_live_kind() -> Vec<SignalKind> {
    vec![
        SignalKind::Requests { full: 100.0 },
        SignalKind::InFlight { full: 10.0 },
        SignalKind::Queue { full: 10.0 },
        SignalKind::P95 {
            full: Duration::from_millis(100),
        },
    ]
}

async fn readings(live: &Live) -> Vec<Reading> {
    let mut signals = Signals::new(&target(every_live_kind()), None);
    signals.read(live, Moment::ZERO, 1).await
}

fn measured(load: f64, reporting: u32) -> Reading {
    Reading::Measured { load, reporting }
}

#[tokio::test]
async fn nothing_that_serves_and_nothing_measured_fail() {
    let recent = Some(Recent::default());
    let nobody = readings(&Live { serving: 0, recent }).await;
    let failed = |why: &str| vec![Reading::Failed(why.to_owned()); 4];
    assert_eq!(nobody, failed("no backend serves"));
    let unmeasured = Live {
        serving: 3,
        recent: None,
    };
    let why = "the traffic of the last ten seconds is not measured";
    assert_eq!(readings(&unmeasured).await, failed(why));
}

#[tokio::test]
async fn an_idle_pool_has_no_load_and_one_that_hangs_is_not_idle() {
    let idle = Live {
        serving: 3,
        recent: Some(Recent::default()),
    };
    assert_eq!(readings(&idle).await, vec![measured(0.0, 3); 4]);
    for busy in [
        Recent {
            requests: 1.0,
            ..Recent::default()
        },
        Recent {
            in_flight: 0.5,
            ..Recent::default()
        },
        Recent {
            waiting: 0.5,
            ..Recent::default()
        },
    ] {
        let hung = Live {
            serving: 3,
            recent: Some(busy),
        };
        let p95 = readings(&hung).await.pop();
        assert!(matches!(p95, Some(Reading::Failed(_))), "{p95:?}");
    }
}

#[tokio::test]
async fn a_query_without_a_prometheus_fails() {
    let kinds = vec![SignalKind::Cpu { query: None }];
    let mut signals = Signals::new(&target(kinds), None);
    let readings = signals.read(&Live::default(), Moment::ZERO, 1).await;
    let why = "no `autoscaler.prometheus` is configured".to_owned();
    assert_eq!(readings, [Reading::Failed(why)]);
}

#[test]
fn the_cpu_query_is_of_the_containers_of_the_upstream() {
    assert_eq!(
        cpu_query("web-1"),
        "max by (id) (sum without (cpu) (irate(container_cpu_usage_seconds_total{container_label_evenkeel_upstream=\"web-1\"}[2m]))) / on (id) \
         max by (id) (container_spec_cpu_quota{container_label_evenkeel_upstream=\"web-1\"} / container_spec_cpu_period{container_label_evenkeel_upstream=\"web-1\"})"
    );
    assert!(cpu_query(r#"a"b\c"#).contains(r#"="a\"b\\c"}"#));
}

#[test]
fn signals_get_rolls_of_their_own() {
    let rolls: HashSet<u64> = (0..100).map(|index| roll(7, index).to_bits()).collect();
    assert_eq!(rolls.len(), 100);
}

proptest! {
    #[test]
    fn a_roll_is_in_its_range(random: u64, index in 0_u64..1000) {
        prop_assert!((0.0..1.0).contains(&roll(random, index)));
    }

    /// Whatever is read, a load is a number that is not negative, or it failed.
    #[test]
    fn no_load_is_absurd(values in prop::collection::vec(any::<f64>(), 1..5), full in 1e-300..1e300_f64) {
        if let Ok(Reading::Measured { load, reporting }) = total(&values, full) {
            prop_assert!(load.is_finite() && load >= 0.0);
            prop_assert_eq!(reporting as usize, values.len());
        }
    }
}

fn snapshot(metrics: &Metrics, backends: &str) -> Snapshot<()> {
    let text = format!(
        "listeners: [{{ name: l, address: '127.0.0.1:1' }}]\n\
         routes: [{{ name: r, upstream: web }}]\n\
         upstreams: {{ web: {{ backends: [{backends}] }} }}\n"
    );
    let config = crate::config::load(&text, "test", &|_| None).expect("valid");
    let one = |backend: &crate::config::Backend| Resolved {
        address: backend.address.parse().expect("an address"),
        name: backend.address.clone(),
        backend: backend.clone(),
    };
    let resolved = vec![config.upstreams[0].backends.iter().map(one).collect()];
    let parts = Parts {
        resolved: &resolved,
        signer: &Arc::new(Signer::new(None, [7; 32])),
        metrics,
        transport: &|_, _| (),
        journal: &Journal::default(),
        now: Moment::ZERO,
        seed: 1,
    };
    Snapshot::build(Arc::new(config), &parts, None)
}

#[test]
fn the_present_is_what_the_last_ten_seconds_were_and_who_serves() {
    let metrics = Metrics::new();
    let backends = "{ address: '192.0.2.1:1' }, { address: '192.0.2.2:1' }, { address: '192.0.2.3:1', backup: true }";
    let snapshot = snapshot(&metrics, backends);
    let traffic = Traffic::default();
    let at = |seconds| Moment::ZERO.after(Duration::from_secs(seconds));
    let live = |now| Live::of(&snapshot, &traffic, "web", now);
    for second in 0..10 {
        traffic.read(&snapshot, &metrics, at(second));
        assert_eq!(live(at(second)).recent, None, "after {second} s");
    }
    let in_flight = snapshot.groups()[0].upstream.members()[0]
        .endpoint
        .clone()
        .take_slot(10);
    traffic.read(&snapshot, &metrics, at(10));
    let present = live(at(10));
    assert_eq!(present.serving, 2);
    let recent = present.recent.expect("ten seconds are measured");
    assert!((recent.in_flight - 1.0 / 11.0).abs() < 1e-9, "{recent:?}");
    assert_eq!((recent.requests, recent.p95), (0.0, None));
    drop(in_flight);
    assert_eq!(live(at(15)).recent, Some(recent));
    assert_eq!(live(at(16)).recent, None, "nobody reads any more");
    let other = Live::of(&snapshot, &traffic, "other", at(10));
    assert_eq!(other, Live::default());
}
