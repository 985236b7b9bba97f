//! How much traffic there is, and where it goes.

use std::time::Duration;

use super::{backend, get};
use crate::support::deadline::wait_until;
use crate::support::{Backend, Load, Reply, Setup};

#[test]
fn rates_and_times_are_those_of_the_last_seconds() {
    let quick = Backend::named("a");
    let failing =
        Backend::start(|_| Reply::status(500, &[], "no").delayed(Duration::from_millis(30)));
    let evenkeel = Setup::new(&[&quick, &failing])
        .upstream("algorithm: round_robin")
        .upstream("health: { passive: null, outlier: { mode: \"off\" } }")
        .admin("")
        .start();
    let admin = evenkeel.admin();
    let status = get(admin, "/api/v1/status");
    assert_eq!(status["traffic"]["p99"], serde_json::Value::Null);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let client = |load: &Load| {
        let mut client = evenkeel.connect();
        while load.goes_on() {
            client.get("/");
            load.served();
        }
    };
    Load::run(2, client, |load| {
        let number = |value: &serde_json::Value| value.as_f64().unwrap_or_default();
        wait_until("the traffic is seen", || {
            let traffic = get(admin, "/api/v1/status")["traffic"].clone();
            number(&traffic["errors"]) > 1.0 && number(&traffic["connections"]) >= 2.0
        });
        let traffic = get(admin, "/api/v1/status")["traffic"].clone();
        let (rate, errors) = (number(&traffic["rate"]), number(&traffic["errors"]));
        assert!((0.3..0.7).contains(&(errors / rate)), "{traffic}");
        assert!(number(&traffic["p99"]) > 0.025, "{traffic}");
        assert!(
            number(&traffic["p50"]) <= number(&traffic["p95"]),
            "{traffic}"
        );
        let (one, other) = (
            backend(admin, quick.address()),
            backend(admin, failing.address()),
        );
        for backend in [&one, &other] {
            assert!(number(&backend["requests_per_second"]) > 1.0, "{backend}");
            assert!(
                (0.4..0.6).contains(&number(&backend["traffic_share"])),
                "{backend}"
            );
            assert_eq!(backend["weight_share"], 0.5);
        }
        assert_eq!(one["errors_per_second"], 0.0);
        let failed = number(&other["errors_per_second"]);
        assert!(
            (failed - number(&other["requests_per_second"])).abs() < 0.01,
            "{other}"
        );
        assert!((0.025..=0.1).contains(&number(&other["p50"])), "{other}");
        load.more(1);
    });
    wait_until("the traffic is over", || {
        get(admin, "/api/v1/status")["traffic"]["rate"] == 0.0
    });
}
