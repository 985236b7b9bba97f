//! TLS to the Docker Engine: both sides know who the other is, or nothing is said.

use evenkeel::config::{ClientCert, Driver as Settings, Endpoint, EngineTls};
use evenkeel::control::autoscale::driver::{Means, means};
use serde_json::json;

use crate::support::deadline::wait_until;
use crate::support::engine::container;
use crate::support::tls_engine::{NAME, TlsEngine};
use crate::support::{Backend, Evenkeel};

/// The Engine with an authority, and a certificate of `whose`: "" is its own, "other-" another's.
fn endpoint(engine: &TlsEngine, authority: &str, whose: Option<&str>) -> Endpoint {
    let client_cert = whose.map(|whose| ClientCert {
        cert: engine.file(&format!("{whose}cert.pem")),
        key: engine.file(&format!("{whose}key.pem")),
    });
    let tls = EngineTls {
        sni: Some(NAME.to_owned()),
        ca: Some(engine.file(&format!("{authority}ca.pem"))),
        client_cert,
    };
    Endpoint::Tls(engine.address(), tls)
}

/// What becomes of looking at the containers, and at a service of the swarm.
async fn outcomes(endpoint: Endpoint) -> [Result<usize, String>; 2] {
    let docker = Settings::Docker {
        endpoint: endpoint.clone(),
        project: None,
        service: "web".to_owned(),
    };
    let swarm = Settings::Swarm {
        endpoint,
        service: "web".to_owned(),
    };
    let (Ok(Means::Instances(driver)), Ok(Means::Size(sizer))) =
        (means(&docker, "main"), means(&swarm, "main"))
    else {
        panic!("one knows instances, the other a number");
    };
    let seen = driver.observe().await.map(|seen| seen.len());
    let size = sizer
        .size()
        .await
        .map(|size| size.expect("it knows") as usize);
    [seen, size].map(|outcome| outcome.map_err(|error| error.to_string()))
}

fn engine() -> TlsEngine {
    let engine = TlsEngine::start();
    engine.engine.with(|all| {
        all.up("app", "web", 2, &[]);
        let service = json!({ "ID": "abc", "Version": { "Index": 7 },
            "Spec": { "Mode": { "Replicated": { "Replicas": 5 } } } });
        all.serve("web", service);
    });
    engine
}

#[tokio::test]
async fn the_drivers_speak_to_an_engine_that_knows_them() {
    let engine = engine();
    let outcomes = outcomes(endpoint(&engine, "", Some(""))).await;
    assert_eq!(outcomes, [Ok(2), Ok(5)]);
}

#[tokio::test]
async fn whoever_is_not_known_is_told_nothing_and_why() {
    let engine = engine();
    let Endpoint::Tls(address, tls) = endpoint(&engine, "", Some("")) else {
        panic!("it has TLS");
    };
    let another_name = EngineTls {
        sni: None,
        ..tls.clone()
    };
    let system = EngineTls {
        ca: None,
        ..tls.clone()
    };
    let absent = EngineTls {
        ca: Some("no/such/ca.pem".into()),
        ..tls.clone()
    };
    let mixed = ClientCert {
        cert: engine.file("cert.pem"),
        key: engine.file("other-key.pem"),
    };
    let mixed = EngineTls {
        client_cert: Some(mixed),
        ..tls
    };
    let tls = |tls| Endpoint::Tls(address.clone(), tls);
    let cases = [
        (endpoint(&engine, "other-", Some("")), "UnknownIssuer"),
        (tls(system), "UnknownIssuer"),
        (tls(another_name), "not valid for name"),
        (endpoint(&engine, "", None), "CertificateRequired"),
        (
            endpoint(&engine, "", Some("other-")),
            "received fatal alert",
        ),
        (tls(absent), "no/such/ca.pem cannot be used"),
        (tls(mixed), "the client's certificate cannot be used"),
        (Endpoint::Tcp(address.clone()), &address),
    ];
    for (endpoint, why) in cases {
        for outcome in outcomes(endpoint.clone()).await {
            let error = outcome.expect_err("it is not let in");
            assert!(error.contains(why), "{endpoint:?}: {error}");
        }
    }
    assert_eq!(engine.engine.requests(), [""; 0]);
}

#[test]
fn discovery_finds_containers_and_takes_a_renewed_certificate() {
    let a = Backend::named("a");
    let engine = TlsEngine::start();
    engine.engine.set(&[container("a", a.address(), &[])]);
    // Another's at first: the Engine does not let it in.
    let file = |name: &str| engine.file(name).display().to_string();
    let (cert, key) = (file("used-cert.pem"), file("used-key.pem"));
    let put = |whose: &str| {
        for part in ["cert.pem", "key.pem"] {
            let to = engine.file(&format!("used-{part}"));
            std::fs::copy(engine.file(&format!("{whose}{part}")), to).expect("it is writable");
        }
    };
    put("other-");
    let evenkeel = Evenkeel::start(&format!(
        "listeners: [{{ name: web, address: \"@web@\" }}]\n\
         routes: [{{ name: all, upstream: main }}]\n\
         upstreams:\n  main:\n    discovery:\n      type: docker\n      endpoint: \"tcp://{}\"\n      \
         tls: {{ sni: {NAME}, ca: {}, client_cert: {{ cert: {cert}, key: {key} }} }}\n\
         metrics: {{ address: \"@metrics@\" }}\n",
        engine.address(),
        file("ca.pem"),
    ));
    wait_until("it is told why", || {
        evenkeel.log().contains("received fatal alert")
    });
    assert_eq!(engine.engine.requests(), [""; 0]);
    put("");
    evenkeel.wait_for_metric("evenkeel_discovery_backends", &[], 1.0);
    engine.engine.wait_for_lists(2);
    engine.engine.set(&[]);
    engine.engine.tell("die");
    evenkeel.wait_for_metric("evenkeel_discovery_backends", &[], 0.0);
}
