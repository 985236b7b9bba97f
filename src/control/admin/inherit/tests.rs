use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::config::{Algorithm, Secret};
use crate::control::admin::{Api, Seen, serve};
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::tests::{heartbeat, heir, place, reconciler};
use crate::control::reconcile::{Change, Commands, Weighing};
use crate::upstream::Mode;

const NOW: Moment = Moment::from_micros(5_000_000_000);
const TTL: Duration = Duration::from_secs(20);

/// An API that asks for the token `secret`; where it is, and what gives it commands.
async fn api() -> (config::Admin, Commands) {
    let (mut reconciler, commands) = reconciler();
    let published = std::sync::Arc::clone(reconciler.published());
    tokio::spawn(async move { reconciler.run().await });
    let token = Some(Secret::new("secret".to_owned()));
    let lifecycle = std::sync::Arc::new(Lifecycle::default());
    let seen = Seen::default();
    let api = Api::new(published, commands.clone(), lifecycle, token.clone(), seen);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, api, std::future::pending()));
    (config::Admin { address, token }, commands)
}

#[tokio::test]
async fn it_learns_what_the_other_one_was_told() {
    let (admin, commands) = api().await;
    let mut named = heartbeat("a", 20, TTL);
    named.address = "backend.internal:80".to_owned();
    named.weight = Some(3);
    commands.report(named).await.unwrap();
    let seconds = Duration::from_secs(40);
    let change = Change {
        weight: Some(Weighing::Fixed(7)),
        mode: Some(Mode::Draining {
            until: crate::clock::now().after(seconds),
        }),
    };
    commands.amend(place("a"), change).await.unwrap();
    let change = Change {
        mode: Some(Mode::Maintenance),
        ..Change::default()
    };
    let first = place("192.0.2.1:1");
    commands.amend(first.clone(), change).await.unwrap();
    let fixed = Choice::Fixed(Algorithm::IpHash);
    commands.steer("web", Some(fixed)).await.unwrap();
    let told = ask(&admin, NOW).await.unwrap();
    assert_eq!(told.algorithms, [("web".to_owned(), fixed)]);
    let [beat] = &told.heartbeats[..] else {
        panic!("{told:?}")
    };
    assert_eq!(beat.place, place("a"));
    assert_eq!(beat.address, "backend.internal:80");
    assert_eq!(beat.resolved, ["192.0.2.20:1".parse().unwrap()]);
    assert_eq!((beat.weight, beat.ttl), (Some(3), TTL));
    let [(_, maintenance), (who, draining)] = &told.wishes[..] else {
        panic!("{told:?}")
    };
    assert_eq!(told.wishes[0].0, first);
    assert_eq!(maintenance.mode, Some(Mode::Maintenance));
    assert_eq!(*who, place("a"));
    assert_eq!(draining.weight, Some(Weighing::Fixed(7)));
    let Some(Mode::Draining { until }) = draining.mode else {
        panic!("{draining:?}")
    };
    assert!(until <= NOW.after(seconds), "{until:?}");
    let _takes_it = heir(&told);
}

#[tokio::test]
async fn who_does_not_answer_well_is_an_error() {
    let (mut admin, _commands) = api().await;
    admin.token = None;
    let refused = ask(&admin, NOW).await.unwrap_err().to_string();
    assert!(refused.starts_with("401 Unauthorized: "), "{refused}");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    admin.address = silent.local_addr().unwrap();
    let late = ask(&admin, NOW).await.unwrap_err().to_string();
    assert_eq!(late, "no answer in time");
    drop(silent);
    let gone = ask(&admin, NOW).await.unwrap_err().to_string();
    assert!(gone.contains("refused"), "{gone}");
}

#[test]
fn an_unspecified_address_is_asked_on_this_machine() {
    for (listens, asked) in [
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:1", "[::1]:1"),
        ("192.0.2.1:1", "192.0.2.1:1"),
    ] {
        let listens: SocketAddr = listens.parse().unwrap();
        assert_eq!(reachable(listens).to_string(), asked);
    }
}

/// An answer with one backend that these keys stand in.
fn answer(keys: &Value) -> Upstreams {
    let mut backend = json!({
        "id": "a", "address": "192.0.2.20:1", "registration": null,
        "operator": { "state": "active", "deadline": null, "weight": null },
        "more": "keys of later versions",
    });
    for (key, value) in keys.as_object().unwrap() {
        backend[key] = value.clone();
    }
    let operator = json!({ "algorithm": "later" });
    let web = json!({ "name": "web", "operator": operator, "backends": [backend] });
    serde_json::from_value(json!({ "upstreams": [web] })).unwrap()
}

fn registered(ttl: f64, expires_in: f64, address: &str, weight: u32) -> Value {
    json!({ "registration": {
        "address": address, "weight": weight, "ttl": ttl, "expires_in": expires_in,
    } })
}

#[test]
fn what_no_call_could_have_said_is_skipped() {
    let good = read(&answer(&registered(1.5, 0.1, "192.0.2.20:1", 1)), NOW);
    assert_eq!(good.heartbeats[0].ttl, Duration::from_millis(1500));
    assert!(good.wishes.is_empty() && good.algorithms.is_empty());
    for wrong in [
        registered(1.5, 0.0, "192.0.2.20:1", 1),
        registered(0.0, 1.0, "192.0.2.20:1", 1),
        registered(1e9, 1.0, "192.0.2.20:1", 1),
        registered(1.5, 1.0, "nothing", 1),
        registered(1.5, 1.0, "192.0.2.20:1", 0),
        json!({ "operator": { "state": "asleep", "deadline": null, "weight": null } }),
        json!({ "operator": { "state": "active", "deadline": null, "weight": 0 } }),
        json!({ "operator": { "state": "draining", "deadline": -1, "weight": 1 } }),
    ] {
        let told = read(&answer(&wrong), NOW);
        assert!(
            told.heartbeats.is_empty() && told.wishes.is_empty(),
            "{wrong}"
        );
    }
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(
        ttl in any::<f64>(),
        deadline in any::<f64>(),
        address in ".{0,20}",
        weight: u32,
    ) {
        let backend = Backend {
            id: address.clone(),
            address: "192.0.2.20:1".parse().unwrap(),
            registration: Some(Registration { address, weight, ttl, expires_in: 1.0 }),
            operator: Operator {
                state: "draining".to_owned(),
                deadline: Some(deadline),
                weight: Some(weight),
            },
        };
        let name = "web".to_owned();
        let upstreams = Upstreams { upstreams: vec![Upstream { name, operator: None, backends: vec![backend] }] };
        let _told = read(&upstreams, NOW);
    }
}
