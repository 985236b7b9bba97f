use std::time::Duration;

use super::super::tests::{config, heartbeat, place, reconciler, resolved_backends};
use super::super::{Change, Command, Found, Origin, Sighting, Weighing};
use super::*;
use crate::config::{Config, FileSource, Source, SourceKind};
use crate::state::State;
use crate::upstream::{Endpoint, Mode};
use tokio::sync::oneshot;

const NOW: Moment = Moment::from_micros(1_000_000_000);

fn load(reconciler: &mut Reconciler<usize>, config: Config, now: Moment) {
    let (done, mut loaded) = oneshot::channel();
    let origin = Origin {
        configured: resolved_backends(&config),
        sightings: Vec::new(),
        config: Arc::new(config),
        transports: Box::new(|upstream, _| 100 + upstream),
    };
    reconciler.succeed(Load { origin, done }, now);
    loaded.try_recv().expect("it is in force");
}

fn amend(reconciler: &mut Reconciler<usize>, backend: &str, change: Change) {
    let (answer, mut answered) = oneshot::channel();
    let command = Command::Amend(place(backend), change, answer);
    reconciler.settle(&mut vec![command], NOW);
    answered.try_recv().expect("answered").expect("accepted");
}

fn register(reconciler: &mut Reconciler<usize>, id: &str, host: u8) {
    let (answer, mut answered) = oneshot::channel();
    let heartbeat = heartbeat(id, host, Duration::from_secs(10));
    reconciler.settle(&mut vec![Command::Report(heartbeat, answer)], NOW);
    answered.try_recv().expect("answered").expect("accepted");
}

fn endpoint(reconciler: &Reconciler<usize>, upstream: &str, id: &str) -> Option<Arc<Endpoint>> {
    let snapshot = reconciler.published().load();
    let mut members = snapshot.group_named(upstream)?.upstream.members().iter();
    let member = members.find(|member| member.endpoint.name() == id)?;
    Some(Arc::clone(&member.endpoint))
}

fn state(reconciler: &Reconciler<usize>, id: &str) -> State {
    let snapshot = reconciler.published().load();
    let upstream = &snapshot.group_named("web").expect("it is there").upstream;
    let members = upstream.members().iter();
    let position = members
        .map(|member| member.endpoint.name())
        .position(|name| name == id);
    let status = upstream.status(position.expect("it is there"), NOW);
    status.expect("it is there").state
}

fn after(millis: u64) -> Moment {
    NOW.after(Duration::from_millis(millis))
}

#[test]
fn what_stays_keeps_its_state_registrations_and_wishes() {
    let (mut reconciler, _) = reconciler();
    register(&mut reconciler, "a", 20);
    let maintenance = Change {
        weight: Some(Weighing::Fixed(7)),
        mode: Some(Mode::Maintenance),
    };
    amend(&mut reconciler, "192.0.2.1:1", maintenance);
    let before = ["192.0.2.1:1", "a"].map(|id| endpoint(&reconciler, "web", id).unwrap());
    let mut next = config(Some(3));
    // Another order, another upstream, another backend and another weight of one.
    next.upstreams.swap(0, 1);
    next.upstreams[1].backends[1].weight = 8;
    let mut more = next.upstreams[0].clone();
    "more".clone_into(&mut more.name);
    next.upstreams.insert(0, more);
    load(&mut reconciler, next, NOW);
    for (id, before) in ["192.0.2.1:1", "a"].iter().zip(&before) {
        let now = endpoint(&reconciler, "web", id).expect("it stays");
        assert!(Arc::ptr_eq(before, &now), "{id}");
    }
    assert_eq!(state(&reconciler, "192.0.2.1:1"), State::Maintenance);
    let snapshot = reconciler.published().load();
    let web = snapshot.group_named("web").expect("it stays");
    let weights: Vec<u32> = web
        .upstream
        .members()
        .iter()
        .map(|one| one.weight)
        .collect();
    assert_eq!(weights, [7, 8, 1]);
    assert_eq!(
        web.transports[..],
        [102, 102, 102],
        "the ways are the new ones"
    );
    assert!(snapshot.group_named("more").is_some());
}

#[test]
fn deadlines_go_on_where_the_order_of_upstreams_changes() {
    let (mut reconciler, _) = reconciler();
    register(&mut reconciler, "a", 20);
    let mut next = config(Some(3));
    next.upstreams.swap(0, 1);
    load(&mut reconciler, next, NOW);
    reconciler.settle(&mut Vec::new(), after(14_000));
    assert!(endpoint(&reconciler, "web", "a").is_some());
    reconciler.settle(&mut Vec::new(), after(15_000));
    assert!(endpoint(&reconciler, "web", "a").is_none());
}

#[test]
fn a_removed_backend_is_seen_off_when_it_has_nothing_under_way() {
    let (mut reconciler, _) = reconciler();
    let id = "192.0.2.1:1";
    let metrics = Arc::clone(&reconciler.lasting.metrics);
    let old = reconciler.published().load();
    let gone = endpoint(&reconciler, "web", id).unwrap();
    let slot = gone.take_slot(10).expect("there is room");
    let mut next = config(Some(3));
    next.upstreams[0].backends.remove(0);
    next.server.drain_timeout = Duration::from_secs(2);
    load(&mut reconciler, next, NOW);
    let cut = gone.cut();
    tokio::pin!(cut);
    cut.as_mut().enable();
    let is_cut = |cut: &mut std::pin::Pin<&mut tokio::sync::futures::Notified<'_>>| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        cut.as_mut().poll(&mut context).is_ready()
    };
    let held = Arc::as_ptr(&metrics.backend("web", id));
    reconciler.settle(&mut Vec::new(), after(1_999));
    assert!(!is_cut(&mut cut), "it has its time");
    reconciler.settle(&mut Vec::new(), after(2_300));
    assert!(is_cut(&mut cut));
    assert_eq!(
        Arc::as_ptr(&metrics.backend("web", id)),
        held,
        "still under way"
    );
    drop(slot);
    reconciler.settle(&mut Vec::new(), after(3_000));
    assert_eq!(reconciler.departed.look(), None);
    let anew = Arc::as_ptr(&metrics.backend("web", id));
    assert_ne!(anew, held, "the series are gone, whoever holds them");
    drop(old);
}

#[test]
fn the_series_of_one_that_is_back_stay() {
    let (mut reconciler, _) = reconciler();
    let metrics = Arc::clone(&reconciler.lasting.metrics);
    let held = metrics.backend("web", "192.0.2.1:1");
    let mut without = config(Some(3));
    without.upstreams[0].backends.remove(0);
    load(&mut reconciler, without, NOW);
    load(&mut reconciler, config(Some(3)), NOW);
    reconciler.settle(&mut Vec::new(), after(1_000));
    assert_eq!(reconciler.departed.look(), None);
    assert!(Arc::ptr_eq(&held, &metrics.backend("web", "192.0.2.1:1")));
}

#[test]
fn the_backends_of_a_removed_upstream_leave_too() {
    let (mut reconciler, _) = reconciler();
    let mut next = config(Some(3));
    next.upstreams.remove(1);
    load(&mut reconciler, next, NOW);
    assert_eq!(reconciler.departed.look(), Some(after(250)));
    reconciler.settle(&mut Vec::new(), after(250));
    assert_eq!(reconciler.departed.look(), None);
}

#[test]
fn an_upstream_begins_with_what_its_new_sources_see() {
    let (mut reconciler, _) = reconciler();
    let mut next = config(None);
    next.upstreams[0].name = "new".to_owned();
    next.upstreams[0].backends.clear();
    next.upstreams[0].discovery.sources = vec![Source {
        id: "file:list".to_owned(),
        max_backends: 10,
        kind: SourceKind::File(FileSource {
            path: "unused".into(),
            interval: Duration::from_secs(1),
        }),
    }];
    let sighting = |upstream: &str, host: u8| Sighting {
        upstream: upstream.to_owned(),
        source: "file:list".to_owned(),
        found: vec![Found::at(([192, 0, 2, host], 1).into())],
    };
    let (done, _loaded) = oneshot::channel();
    let origin = Origin {
        configured: resolved_backends(&next),
        sightings: vec![sighting("new", 77), sighting("gone", 78)],
        config: Arc::new(next),
        transports: Box::new(|upstream, _| upstream),
    };
    reconciler.succeed(Load { origin, done }, NOW);
    let changes = reconciler.published().changes();
    assert!(endpoint(&reconciler, "new", "192.0.2.77:1").is_some());
    assert_eq!(*changes.borrow(), 1, "never published without it");
}

#[tokio::test]
async fn a_handle_loads() {
    let (mut reconciler, commands) = reconciler();
    let (loads, published) = (reconciler.loads(), Arc::clone(reconciler.published()));
    let task = tokio::spawn(async move { reconciler.run().await });
    let mut next = config(None);
    next.upstreams[0].backends.truncate(1);
    let origin = Origin {
        configured: resolved_backends(&next),
        sightings: Vec::new(),
        config: Arc::new(next),
        transports: Box::new(|upstream, _| upstream),
    };
    loads.load(origin).await.expect("it is in force");
    assert_eq!(published.load().groups()[0].upstream.members().len(), 1);
    drop(commands);
    task.await.expect("it ends by itself");
}
