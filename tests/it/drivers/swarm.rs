//! The replicas of a service of a swarm.

use evenkeel::config;
use evenkeel::control::autoscale::driver::Sizer;
use serde_json::{Value, json};

use super::{endpoint, overdue, sizer};
use crate::support::Engine;
use crate::support::engine::call::{Call, Fault};

fn service(mode: &Value) -> Value {
    json!({
        "ID": "s1", "Version": { "Index": 19 },
        "Spec": {
            "Name": "app_web", "Mode": mode, "Labels": {},
            "TaskTemplate": { "ContainerSpec": { "Image": "web" }, "NobodyKnows": { "b": 1, "a": 2 } },
        },
    })
}

fn swarm(replicas: u32) -> (Engine, Box<dyn Sizer>) {
    let engine = Engine::on_tcp();
    let mode = json!({ "Replicated": { "Replicas": replicas } });
    engine.with(|all| all.serve("app_web", service(&mode)));
    let sizer = sizer(&config::Driver::Swarm {
        endpoint: endpoint(&engine),
        service: "app_web".to_owned(),
    });
    (engine, sizer)
}

#[tokio::test]
async fn one_number_is_changed_and_the_rest_is_sent_back_as_it_came() {
    let (engine, sizer) = swarm(2);
    assert_eq!(sizer.size().await, Ok(Some(2)));
    sizer.resize(2, 5).await.expect("all is well");
    let mut wanted = service(&json!({ "Replicated": { "Replicas": 5 } }));
    wanted["Version"]["Index"] = json!(20);
    assert_eq!(engine.with(|all| all.service("app_web").clone()), wanted);
    let asked = engine.asked();
    let update = asked.last().expect("asked");
    assert_eq!(update.path, "/services/s1/update?version=19");
    assert_eq!(
        update.body.to_string(),
        wanted["Spec"].to_string(),
        "in the same order"
    );
    assert_eq!(sizer.size().await, Ok(Some(5)));
    sizer.resize(5, 5).await.expect("all is well");
    assert_eq!(
        engine.changes(),
        [Call::Update],
        "what is so already is not asked for"
    );
}

#[tokio::test]
async fn what_a_manager_refuses_is_told_and_may_be_tried_again() {
    let (engine, sizer) = swarm(2);
    engine.with(|all| {
        all.fail(
            Call::Update,
            Fault::Refused(500, "update out of sequence"),
            1,
        );
    });
    let error = sizer
        .resize(2, 3)
        .await
        .expect_err("somebody else was faster");
    assert!(error.is_temporary(), "{error}");
    assert!(
        error.to_string().contains("update out of sequence"),
        "{error}"
    );
    engine.with(|all| all.fail(Call::Service, Fault::Cut, 1));
    let error = sizer.size().await.expect_err("nobody answers");
    assert_eq!(error.label(), "unreachable");
    engine.with(|all| {
        all.fail(
            Call::Service,
            Fault::Refused(503, "This node is not a swarm manager."),
            1,
        );
    });
    let error = sizer.size().await.expect_err("it is no manager");
    assert!(error.to_string().contains("not a swarm manager"), "{error}");
    engine.with(|all| all.fail(Call::Update, Fault::Hangs, 1));
    let count = engine.changes().len();
    let is_stuck = || engine.changes().len() > count;
    let error = overdue(sizer.resize(2, 3), is_stuck)
        .await
        .expect_err("it hangs");
    assert_eq!(error.label(), "timeout");
    sizer.resize(2, 3).await.expect("all is well again");
}

#[tokio::test]
async fn a_service_without_replicas_cannot_be_sized() {
    let (engine, sizer) = swarm(2);
    engine.with(|all| all.serve("app_web", service(&json!({ "Global": {} }))));
    for outcome in [sizer.size().await.map(|_| ()), sizer.resize(1, 2).await] {
        let error = outcome.expect_err("it runs on every node");
        assert!(error.to_string().contains("`replicated`"), "{error}");
        assert!(!error.is_temporary());
    }
    assert_eq!(engine.changes(), []);
    engine.with(|all| all.serve("app_web", json!({ "ID": 5 })));
    let error = sizer.size().await.expect_err("it is no service");
    assert_eq!(error.label(), "nonsense");
}
