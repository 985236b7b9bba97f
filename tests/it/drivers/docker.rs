//! The containers of a compose service.

use evenkeel::config;
use evenkeel::control::autoscale::driver::{Driver, DriverError, InstanceState};
use serde_json::{Value, json};

use super::{driver, endpoint, overdue};
use crate::support::engine::call::{Call, Fault};
use crate::support::engine::container::{IMAGE, address, composed};
use crate::support::engine::containers::Containers;
use crate::support::{Engine, Folder};

fn of(engine: &Engine) -> Box<dyn Driver> {
    in_project(engine, Some("app"))
}

fn in_project(engine: &Engine, project: Option<&str>) -> Box<dyn Driver> {
    driver(&config::Driver::Docker {
        endpoint: endpoint(engine),
        project: project.map(str::to_owned),
        service: "web".to_owned(),
    })
}

/// With `count` containers of the service `web` in the project `app`.
fn engine(count: u32) -> Engine {
    let engine = Engine::on_tcp();
    engine.with(|all| all.up("app", "web", count, &[]));
    engine
}

/// The containers' names and what they do.
fn there(engine: &Engine) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    engine.with(|all| {
        let one = |one: &Value| (text(&one["Name"]), text(&one["State"]["Status"]));
        all.all().iter().map(one).collect()
    })
}

fn names(engine: &Engine) -> Vec<String> {
    there(engine).into_iter().map(|(name, _)| name).collect()
}

async fn ids(driver: &dyn Driver) -> Vec<String> {
    let seen = driver.observe().await.expect("the Engine answers");
    seen.into_iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn a_new_container_is_a_copy_with_the_next_number() {
    let folder = Folder::new();
    let engine = Engine::on_socket(&folder.path("docker.sock"));
    engine.with(|all| all.up("app", "web", 2, &[("evenkeel.port", "5000")]));
    let driver = of(&engine);
    let made = driver.create().await.expect("all is well");
    assert_eq!((made.name.as_str(), made.number), ("app-web-3", 3));
    assert_eq!(made.state, InstanceState::Running);
    assert_eq!(made.addresses, [address(&made.id)]);
    assert_eq!(engine.changes(), [Call::Create, Call::Start]);

    let asked = engine.asked();
    let create = asked.iter().find(|asked| asked.call == Call::Create);
    let create = create.expect("it was made");
    assert!(create.path.contains("name=app-web-3"), "{}", create.path);
    let mut wanted = composed("app", "web", 3, &[("evenkeel.port", "5000")]);
    wanted["Labels"]["evenkeel.autoscaler"] = json!("main");
    for (part, value) in wanted.as_object().expect("an object") {
        assert_eq!(&create.body[part], value, "{part}");
    }
    assert!(create.body["Hostname"].is_null(), "each has its own");
    assert_eq!(create.body["Image"], IMAGE, "a tag may mean another by now");

    let seen = driver.observe().await.expect("the Engine answers");
    let numbers: Vec<u32> = seen.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(seen[2], made);
}

#[tokio::test]
async fn the_template_is_the_first_one_that_runs_and_compose_made() {
    let engine = engine(3);
    engine.with(|all| {
        all.change("app-web-1", |one| {
            one["Config"]["Labels"]["evenkeel.autoscaler"] = json!("main");
        });
        all.crash("app-web-2", 1);
        for (number, name) in ["app-web-1", "app-web-2", "app-web-3"]
            .into_iter()
            .enumerate()
        {
            all.change(name, |one| {
                one["Config"]["Env"] = json!([format!("FROM={}", number + 1)]);
            });
        }
    });
    let driver = of(&engine);
    driver.create().await.expect("all is well");
    let env = |engine: &Engine| {
        let last = engine.with(|all| all.all().last().cloned());
        last.expect("one was made")["Config"]["Env"][0].clone()
    };
    assert_eq!(env(&engine), "FROM=3");
    engine.with(|all| all.crash("app-web-3", 1));
    driver.create().await.expect("all is well");
    assert_eq!(
        env(&engine),
        "FROM=1",
        "one that runs rather than one that Compose made"
    );
}

#[tokio::test]
async fn a_name_that_is_taken_is_passed_over() {
    let engine = engine(1);
    // Without the upstream's label: not ours, but in the way.
    engine.with(|all| {
        for number in [2, 3] {
            let mut body = composed("app", "web", number, &[]);
            body["Labels"]["evenkeel.upstream"] = json!("another");
            all.make(&format!("app-web-{number}"), &body);
        }
    });
    let made = of(&engine).create().await.expect("a name is free");
    assert_eq!((made.name.as_str(), made.number), ("app-web-4", 4));
    engine.with(|all| all.fail(Call::Create, Fault::Refused(409, "Conflict."), 1000));
    let error = of(&engine).create().await.expect_err("all are taken");
    assert!(matches!(error, DriverError::Impossible(_)), "{error}");
    let tried = engine
        .changes()
        .iter()
        .filter(|call| **call == Call::Create)
        .count();
    assert_eq!(tried, 3 + 20, "no more names are tried");
}

#[tokio::test]
async fn what_is_not_ours_is_neither_seen_nor_touched() {
    let engine = engine(1);
    let others = engine.with(|all| {
        let labels = [
            ("evenkeel.upstream", "another"),
            ("com.docker.compose.service", "db"),
            ("com.docker.compose.project", "prod"),
            ("com.docker.compose.oneoff", "True"),
        ];
        labels.map(|(label, value)| {
            let body = composed("app", "web", 7, &[(label, value)]);
            all.make(&format!("other-{value}"), &body)
        })
    });
    let driver = of(&engine);
    assert_eq!(ids(&*driver).await.len(), 1);
    for id in &others {
        for outcome in [driver.remove(id).await, driver.resume(id).await.map(|_| ())] {
            let error = outcome.expect_err("it is not ours");
            assert!(matches!(error, DriverError::Foreign { .. }), "{error}");
        }
    }
    let strange = driver.remove("../app-web-1?force=true").await;
    assert_eq!(strange, Ok(()), "there is no such container");
    assert_eq!(engine.changes(), []);
}

#[tokio::test]
async fn a_container_that_cannot_be_made_leaves_nothing() {
    let refused = [
        (500, "no space left", true),
        (404, "No such image", false),
        (400, "bad parameter", false),
    ];
    for (status, said, is_temporary) in refused {
        let engine = engine(1);
        engine.with(|all| all.fail(Call::Create, Fault::Refused(status, said), 1));
        let driver = of(&engine);
        let error = driver.create().await.expect_err("it is refused");
        assert_eq!(error.is_temporary(), is_temporary, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(engine.changes(), [Call::Create], "it is tried once");
        assert_eq!(names(&engine), ["/app-web-1"]);
        driver.create().await.expect("all is well again");
    }
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Create, Fault::Cut, 1));
    let error = of(&engine).create().await.expect_err("nobody answers");
    assert_eq!(error.label(), "unreachable", "{error}");
}

#[tokio::test]
async fn a_container_that_does_not_start_is_taken_away() {
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Start, Fault::Refused(500, "no such runtime"), 1));
    let driver = of(&engine);
    let error = driver.create().await.expect_err("it does not start");
    assert!(error.to_string().contains("no such runtime"), "{error}");
    assert_eq!(engine.changes(), [Call::Create, Call::Start, Call::Remove]);
    assert_eq!(names(&engine), ["/app-web-1"]);
    // Not even that: it is reported, and can be taken away or started.
    engine.with(|all| {
        all.fail(Call::Start, Fault::Refused(500, "no such runtime"), 1);
        all.fail(Call::Remove, Fault::Refused(500, "busy"), 1);
    });
    driver.create().await.expect_err("it does not start");
    let seen = driver.observe().await.expect("the Engine answers");
    assert_eq!(seen[1].state, InstanceState::Created);
    driver.remove(&seen[1].id).await.expect("all is well again");
    assert_eq!(names(&engine), ["/app-web-1"]);
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_is_a_start() {
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Start, Fault::DoneAndCut, 1));
    let made = of(&engine).create().await.expect("it runs");
    assert_eq!(made.state, InstanceState::Running);
    assert_eq!(engine.changes(), [Call::Create, Call::Start]);
}

#[tokio::test]
async fn calls_that_hang_are_given_up() {
    for call in [Call::List, Call::Inspect, Call::Create, Call::Start] {
        let engine = engine(1);
        engine.with(|all| all.fail(call, Fault::Hangs, 1));
        let driver = of(&engine);
        let is_stuck = || engine.asked().iter().any(|asked| asked.call == call);
        let error = overdue(driver.create(), is_stuck)
            .await
            .expect_err("it hangs");
        assert_eq!(error.label(), "timeout", "{call:?}: {error}");
        assert!(error.is_temporary());
        assert_eq!(names(&engine), ["/app-web-1"], "{call:?}");
        driver.create().await.expect("all is well again");
    }
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Start, Fault::DoneAndHangs, 1));
    let is_stuck = || engine.asked().iter().any(|asked| asked.call == Call::Start);
    let driver = of(&engine);
    let made = overdue(driver.create(), is_stuck).await.expect("it runs");
    assert_eq!(made.state, InstanceState::Running);
}

#[tokio::test]
async fn a_stop_that_hangs_leaves_the_container() {
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Stop, Fault::Hangs, 1));
    let driver = of(&engine);
    let all = ids(&*driver).await;
    let is_stuck = || engine.changes().contains(&Call::Stop);
    let error = overdue(driver.remove(&all[0]), is_stuck)
        .await
        .expect_err("it hangs");
    assert_eq!(error.label(), "timeout");
    assert_eq!(
        engine.changes(),
        [Call::Stop],
        "one that may still serve stays"
    );
    engine.with(|all| {
        all.fail(Call::Stop, Fault::Hangs, 5);
        all.heal();
    });
    driver.remove(&all[0]).await.expect("all is well again");
    assert_eq!(names(&engine), Vec::<String>::new());
}

#[tokio::test]
async fn a_container_whose_making_was_cut_off_is_found_again() {
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Create, Fault::DoneAndCut, 1));
    let driver = of(&engine);
    driver.create().await.expect_err("nothing was answered");
    let seen = driver.observe().await.expect("the Engine answers");
    let left = &seen[1];
    assert_eq!(
        (left.name.as_str(), left.state),
        ("app-web-2", InstanceState::Created)
    );
    let started = driver.resume(&left.id).await.expect("it can be started");
    assert_eq!(started.state, InstanceState::Running);
    assert_eq!(started.id, left.id);
    let gone = driver.resume("0123").await.expect_err("there is none");
    assert!(!gone.is_temporary(), "{gone}");
}

#[tokio::test]
async fn how_a_container_ended_is_told() {
    let engine = engine(1);
    engine.with(|all| all.exits_with(Some(3)));
    let driver = of(&engine);
    let made = driver.create().await.expect("it was started");
    assert_eq!(made.state, InstanceState::Exited { code: 3 });
    let seen = driver.observe().await.expect("the Engine answers");
    assert_eq!(seen[1].state, InstanceState::Exited { code: 3 });
    engine.with(|all| {
        all.change("app-web-1", |one| {
            one["State"]["Status"] = json!("restarting");
            one["State"]["ExitCode"] = json!(137);
            one["RestartCount"] = json!(4);
        });
    });
    let seen = driver.observe().await.expect("the Engine answers");
    assert_eq!(seen[0].state, InstanceState::Restarting { code: 137 });
    assert_eq!(seen[0].restarts, 4);
}

#[tokio::test]
async fn a_container_is_stopped_with_its_own_grace_and_removed_with_its_volumes() {
    let engine = engine(2);
    let driver = of(&engine);
    let all = ids(&*driver).await;
    driver.remove(&all[1]).await.expect("all is well");
    assert_eq!(names(&engine), ["/app-web-1"]);
    let asked = engine.asked();
    let path = |call| {
        asked
            .iter()
            .find(|asked| asked.call == call)
            .expect("asked")
            .path
            .clone()
    };
    assert!(
        path(Call::Stop).ends_with("/stop?t=5"),
        "{}",
        path(Call::Stop)
    );
    assert!(
        path(Call::Remove).contains("v=true"),
        "{}",
        path(Call::Remove)
    );
    assert!(
        !path(Call::Remove).contains("force=true"),
        "{}",
        path(Call::Remove)
    );
    driver.remove(&all[1]).await.expect("gone already");
    assert_eq!(engine.changes(), [Call::Stop, Call::Remove]);
}

#[tokio::test]
async fn a_container_that_goes_meanwhile_is_gone() {
    let outcomes = [
        (Call::Stop, Fault::Refused(404, "No such container")),
        (Call::Stop, Fault::Refused(304, "")),
        (Call::Remove, Fault::Refused(404, "No such container")),
        (
            Call::Remove,
            Fault::Refused(409, "removal of container abc is already in progress"),
        ),
    ];
    for (call, fault) in outcomes {
        let engine = engine(1);
        engine.with(|all| {
            all.crash("app-web-1", 0);
            all.fail(call, fault, 1);
        });
        let driver = of(&engine);
        let all = ids(&*driver).await;
        assert_eq!(driver.remove(&all[0]).await, Ok(()), "{call:?} {fault:?}");
    }
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Stop, Fault::Refused(500, "cannot stop"), 1));
    let driver = of(&engine);
    let all = ids(&*driver).await;
    let error = driver
        .remove(&all[0])
        .await
        .expect_err("it was not stopped");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(
        engine.changes(),
        [Call::Stop],
        "one that may still serve stays"
    );
}

#[tokio::test]
async fn a_proxy_that_knows_no_such_call_hides_no_container() {
    let engine = engine(1);
    engine.with(|all| all.fail(Call::Inspect, Fault::Refused(404, "page not found"), 1));
    let error = of(&engine).observe().await.expect_err("it is there");
    assert_eq!(error.label(), "refused", "{error}");
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn a_list_that_lags_behind_brings_nothing_back() {
    let engine = engine(3);
    let driver = of(&engine);
    let all = ids(&*driver).await;
    engine.with(Containers::freeze_lists);
    driver.remove(&all[2]).await.expect("all is well");
    engine.with(|all| all.crash("app-web-2", 9));
    let seen = driver.observe().await.expect("the Engine answers");
    let states: Vec<InstanceState> = seen.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [InstanceState::Running, InstanceState::Exited { code: 9 }]
    );
    // The list lacks the new one: its name is taken when the next is made.
    driver.create().await.expect("all is well");
    let made = driver.create().await.expect("all is well");
    assert_eq!(made.name, "app-web-4");
}

#[tokio::test]
async fn what_a_list_lacks_that_was_made_is_there_all_the_same() {
    let engine = engine(1);
    let driver = of(&engine);
    ids(&*driver).await;
    engine.with(Containers::freeze_lists);
    let made = driver.create().await.expect("all is well");
    assert_eq!(ids(&*driver).await[1], made.id);
    driver.remove(&made.id).await.expect("all is well");
    assert_eq!(ids(&*driver).await.len(), 1);
}

#[tokio::test]
async fn a_list_that_goes_on_to_have_what_is_not_there_is_not_believed() {
    let engine = engine(2);
    let gone = Fault::Refused(404, "No such container: abc");
    engine.with(|all| all.fail(Call::Inspect, gone, 1));
    let driver = of(&engine);
    let error = driver.observe().await.expect_err("it contradicts itself");
    assert_eq!(error.label(), "nonsense", "{error}");
    assert_eq!(engine.lists(), 2, "it is asked for once more, and no more");
    assert_eq!(ids(&*driver).await.len(), 2);
}

#[tokio::test]
async fn what_was_made_without_an_answer_is_not_made_twice() {
    let engine = engine(1);
    let driver = of(&engine);
    ids(&*driver).await;
    engine.with(|all| all.fail(Call::Create, Fault::DoneLater, 1));
    driver.create().await.expect_err("nothing was answered");
    let error = driver.create().await.expect_err("it is being made");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(names(&engine), ["/app-web-1"]);
    // It comes between the look and the next call: whoever asked for one more did not count it.
    engine.with(Containers::heal);
    driver.create().await.expect_err("it has come meanwhile");
    assert_eq!(names(&engine), ["/app-web-1", "/app-web-2"]);
    // The list lacks one whose answer was lost: its name is found.
    engine.with(|all| {
        all.freeze_lists();
        all.fail(Call::Create, Fault::DoneAndCut, 1);
    });
    driver.create().await.expect_err("nothing was answered");
    let made = driver.create().await.expect("it is there already");
    assert_eq!((made.number, made.state), (3, InstanceState::Running));
    assert_eq!(names(&engine).len(), 3);
}

#[tokio::test]
async fn a_service_without_containers_is_copied_from_memory() {
    let engine = engine(1);
    let driver = of(&engine);
    let all = ids(&*driver).await;
    driver.remove(&all[0]).await.expect("all is well");
    assert_eq!(ids(&*driver).await, Vec::<String>::new());
    let made = driver.create().await.expect("it is remembered");
    assert_eq!(made.name, "app-web-1");
    driver.remove(&made.id).await.expect("all is well");
    let error = of(&engine).create().await.expect_err("nothing is known");
    assert!(error.to_string().contains("`docker compose up`"), "{error}");
}

#[tokio::test]
async fn the_project_may_be_left_out_where_there_is_one() {
    let engine = engine(1);
    let driver = in_project(&engine, None);
    assert_eq!(
        driver.create().await.expect("all is well").name,
        "app-web-2"
    );
    engine.with(|all| all.up("prod", "web", 1, &[]));
    let error = driver.create().await.expect_err("there are two");
    assert!(
        error.to_string().contains("app, prod; say which `project`"),
        "{error}"
    );
    assert_eq!(ids(&*in_project(&engine, Some("prod"))).await.len(), 1);
}

#[tokio::test]
async fn what_only_one_container_can_have_is_refused_before_anything_is_made() {
    let engine = engine(1);
    engine.with(|all| {
        all.change("app-web-1", |one| {
            one["HostConfig"]["PortBindings"] =
                json!({ "5000/tcp": [{ "HostIp": "", "HostPort": "8080" }] });
        });
    });
    let error = of(&engine).create().await.expect_err("the port is taken");
    assert!(matches!(error, DriverError::Impossible(_)), "{error}");
    assert!(
        error.to_string().contains("port 8080 of the host"),
        "{error}"
    );
    assert_eq!(engine.changes(), []);
}

#[tokio::test]
async fn an_engine_that_goes_away_and_comes_back_needs_no_restart() {
    let folder = Folder::new();
    let path = folder.path("docker.sock");
    let driver = driver(&config::Driver::Docker {
        endpoint: config::Endpoint::Unix(path.clone()),
        project: None,
        service: "web".to_owned(),
    });
    let error = driver.observe().await.expect_err("there is no socket");
    assert_eq!(error.label(), "unreachable");
    assert!(error.to_string().contains("docker.sock"), "{error}");
    let engine = Engine::on_socket(&path);
    engine.with(|all| all.up("app", "web", 1, &[]));
    assert_eq!(ids(&*driver).await.len(), 1);
    engine.go_away(true);
    let error = driver.observe().await.expect_err("nobody answers");
    assert!(error.is_temporary(), "{error}");
    engine.go_away(false);
    assert_eq!(ids(&*driver).await.len(), 1);
}
