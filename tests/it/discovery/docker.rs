//! Containers, as an Engine that the test makes up lists them. `tests/docker/run` asks a real one.

use super::{answers, names, shown, start, under_load, wait_for, wait_for_up, was_down_once};
use crate::support::deadline::{Stopwatch, wait_until};
use crate::support::engine::container;
use crate::support::{Backend, Engine, Evenkeel, Folder};

/// In time for `docker compose up --scale`.
const SOON: u64 = 2;

fn watching(engine: &Engine) -> Evenkeel {
    let endpoint = engine.endpoint();
    start(&format!(
        "discovery: {{ type: docker, endpoint: \"{endpoint}\" }}"
    ))
}

#[test]
fn containers_come_and_go_under_load_and_no_request_fails() {
    let [a, b, c] = ["a", "b", "c"].map(Backend::named);
    let folder = Folder::new();
    let engine = Engine::on_socket(&folder.path("docker.sock"));
    let all = [&a, &b, &c].map(|backend| container("app", backend.address(), &[]));
    engine.set(&all[..1]);
    let evenkeel = watching(&engine);
    assert_eq!(names(&answers(&evenkeel, 10)), ["a"]);
    // Once more after the events have begun; from then on only they tell.
    engine.wait_for_lists(3);
    under_load(&evenkeel, |_| {
        let watch = Stopwatch::start();
        engine.set(&all);
        engine.tell("start");
        wait_for(&evenkeel, 3);
        assert!(watch.elapsed().as_secs() < SOON, "{:?}", watch.elapsed());
        c.wait_for(50);
        engine.set(&all[2..]);
        engine.tell("die");
        wait_for(&evenkeel, 1);
        let count = c.count();
        c.wait_for(count + 50);
    });
    assert_eq!(names(&answers(&evenkeel, 10)), ["c"]);
}

#[test]
fn the_engine_is_asked_for_running_and_healthy_containers_with_the_label() {
    let engine = Engine::on_tcp();
    let a = Backend::named("a");
    let labels = [("evenkeel.weight", "3"), ("evenkeel.zone", "east")];
    let b = Backend::named("b");
    engine.set(&[
        container("one", a.address(), &labels),
        container("two", b.address(), &[]),
        container(
            "off",
            "127.0.0.9:1".parse().expect("an address"),
            &[("evenkeel.port", "http")],
        ),
    ]);
    let evenkeel = watching(&engine);
    let shares = answers(&evenkeel, 40);
    assert_eq!((shares["a"], shares["b"]), (30, 10));
    let shown = shown(&evenkeel);
    let id = a.address().to_string();
    let one = shown
        .iter()
        .find(|one| one["id"] == id)
        .expect("it is shown");
    let endpoint = engine.endpoint().replace("tcp://", "");
    let source = format!("docker:{endpoint}/evenkeel.upstream=main");
    assert_eq!(one["discovered_by"], source);
    assert_eq!(one["zone"], "east");
    wait_until("the third is told", || {
        evenkeel.log().contains("container off is left out")
    });
    let requests = engine.requests();
    let list = requests
        .iter()
        .find(|path| path.contains("/containers/"))
        .expect("listed");
    for filter in [
        "%22status%22%3A%5B%22running%22%5D",
        "%22health%22%3A%5B%22healthy%22%2C%22none%22%5D",
        "%22label%22%3A%5B%22evenkeel.upstream%3Dmain%22%5D",
    ] {
        assert!(list.contains(filter), "{list}");
    }
}

#[test]
fn a_container_that_was_told_to_stop_gets_no_new_request_before_it_has() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let engine = Engine::on_tcp();
    engine.set(&[
        container("one", a.address(), &[]),
        container("two", b.address(), &[]),
    ]);
    let evenkeel = watching(&engine);
    engine.wait_for_lists(3);
    engine.tell_of("one", "kill", "1");
    engine.wait_for_lists(4);
    wait_for(&evenkeel, 2);
    engine.tell_of("one", "kill", "15");
    wait_for(&evenkeel, 1);
    assert_eq!(names(&answers(&evenkeel, 10)), ["b"]);
    engine.tell_of("one", "die", "");
    engine.tell_of("one", "start", "");
    wait_for(&evenkeel, 2);
    assert_eq!(names(&answers(&evenkeel, 10)), ["a", "b"]);
}

#[test]
fn what_happened_before_the_events_began_is_found_too() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let engine = Engine::on_tcp();
    engine.set(&[container("a", a.address(), &[])]);
    let evenkeel = watching(&engine);
    wait_for(&evenkeel, 1);
    let watch = Stopwatch::start();
    engine.set(&[container("b", b.address(), &[])]);
    wait_until("it is found without an event", || {
        shown(&evenkeel)
            .iter()
            .any(|one| one["id"] == b.address().to_string())
    });
    assert!(watch.elapsed().as_secs() < SOON, "{:?}", watch.elapsed());
}

#[test]
fn a_stream_of_events_that_is_cut_begins_again() {
    let [a, b, c] = ["a", "b", "c"].map(Backend::named);
    let engine = Engine::on_tcp();
    engine.set(&[container("a", a.address(), &[])]);
    let evenkeel = watching(&engine);
    engine.wait_for_lists(3);
    engine.cut();
    engine.set(&[container("b", b.address(), &[])]);
    wait_until("what happened meanwhile is found", || {
        names(&answers(&evenkeel, 4)) == ["b"]
    });
    let lists = engine.lists();
    engine.wait_for_lists(lists + 1);
    engine.set(&[container("c", c.address(), &[])]);
    engine.tell("start");
    wait_until("it listens again", || {
        names(&answers(&evenkeel, 4)) == ["c"]
    });
}

#[test]
fn an_engine_that_is_away_takes_no_backend_with_it() {
    let [a, b] = ["a", "b"].map(Backend::named);
    let engine = Engine::on_tcp();
    engine.set(&[container("a", a.address(), &[])]);
    let evenkeel = watching(&engine);
    wait_for_up(&evenkeel, true);
    under_load(&evenkeel, |load| {
        engine.go_away(true);
        wait_for_up(&evenkeel, false);
        load.more(50);
        engine.set(&[container("b", b.address(), &[])]);
        engine.go_away(false);
        wait_for_up(&evenkeel, true);
        b.wait_for(50);
    });
    was_down_once(&evenkeel);
}
