use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::config::{self, Algorithm, Choice};

const TTL: Duration = Duration::from_secs(10);
const NOW: Moment = Moment::from_micros(1_000_000_000);

/// One upstream `web` with two backends, and a registry of this size; one upstream `fixed`.
pub(in crate::control) fn config(registry: Option<usize>) -> Config {
    let text = "listeners: [{ name: l, address: '127.0.0.1:1' }]\n\
        routes: [{ name: r, upstream: web }]\n\
        upstreams:\n\
        \x20 web: { backends: [{ address: '192.0.2.1:1' }, { address: '192.0.2.2:1', weight: 3 }] }\n\
        \x20 fixed: { backends: [{ address: '192.0.2.9:1' }] }\n";
    let mut config = crate::config::load(text, "test", &|_| None).expect("valid");
    let upstreams = &mut config.upstreams;
    // Sorted by name.
    upstreams.swap(0, 1);
    upstreams[0].discovery.registry = registry;
    for route in &mut config.routes {
        if let crate::config::Action::Forward(splits) = &mut route.action {
            splits[0].upstream = 0;
        }
    }
    config
}

pub(in crate::control) fn resolved_backends(config: &Config) -> Vec<Vec<Resolved>> {
    let one = |backend: &crate::config::Backend| Resolved {
        address: backend.address.parse().expect("an address"),
        name: backend.address.clone(),
        backend: backend.clone(),
    };
    let upstreams = config.upstreams.iter();
    upstreams
        .map(|upstream| upstream.backends.iter().map(one).collect())
        .collect()
}

pub(in crate::control) fn place(backend: &str) -> Place {
    Place {
        upstream: "web".to_owned(),
        backend: backend.to_owned(),
    }
}

pub(in crate::control) fn heartbeat(id: &str, host: u8, ttl: Duration) -> Heartbeat {
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 1));
    Heartbeat {
        place: place(id),
        address: address.to_string(),
        resolved: vec![address],
        weight: None,
        ttl,
    }
}

/// A reconciler of [`config`] whose transports are the upstreams' positions.
pub(in crate::control) fn reconciler() -> (Reconciler<usize>, Commands) {
    heir(&Inherited::default())
}

/// One that takes over.
pub(in crate::control) fn heir(inherited: &Inherited) -> (Reconciler<usize>, Commands) {
    of(config(Some(3)), inherited)
}

fn of(config: Config, inherited: &Inherited) -> (Reconciler<usize>, Commands) {
    let origin = Origin {
        configured: resolved_backends(&config),
        sightings: Vec::new(),
        config: Arc::new(config),
        transports: Box::new(|upstream, _| upstream),
    };
    let lasting = Lasting {
        metrics: Arc::new(Metrics::new()),
        journal: Journal::default(),
        random: [7; 32],
        seed: 1,
    };
    Reconciler::new(origin, lasting, inherited, NOW)
}

fn report(heartbeat: Heartbeat) -> (Command, oneshot::Receiver<Result<Reported, Refusal>>) {
    let (answer, answered) = oneshot::channel();
    (Command::Report(heartbeat, answer), answered)
}

/// Carries out one command of each kind that answers with `()`.
fn obey(
    reconciler: &mut Reconciler<usize>,
    now: Moment,
    command: impl FnOnce(Answer<()>) -> Command,
) -> Result<(), Refusal> {
    let (answer, mut answered) = oneshot::channel();
    reconciler.settle(&mut vec![command(answer)], now);
    answered.try_recv().expect("answered")
}

fn beat(reconciler: &mut Reconciler<usize>, id: &str, host: u8, now: Moment) -> Reported {
    let (command, mut answered) = report(heartbeat(id, host, TTL));
    reconciler.settle(&mut vec![command], now);
    answered.try_recv().expect("answered").expect("accepted")
}

fn names(reconciler: &Reconciler<usize>) -> Vec<String> {
    let snapshot = reconciler.published().load();
    let members = snapshot.groups()[0].upstream.members().iter();
    members
        .map(|member| member.endpoint.name().to_owned())
        .collect()
}

fn publications(reconciler: &Reconciler<usize>) -> u64 {
    *reconciler.published().changes().borrow()
}

fn after(seconds: u64) -> Moment {
    NOW.after(Duration::from_secs(seconds))
}

#[test]
fn the_first_snapshot_is_the_configuration() {
    let (reconciler, _) = reconciler();
    assert_eq!(names(&reconciler), ["192.0.2.1:1", "192.0.2.2:1"]);
    assert_eq!(publications(&reconciler), 0);
    let transports = |group: usize| {
        reconciler.published().load().groups()[group]
            .transports
            .to_vec()
    };
    assert_eq!((transports(0), transports(1)), (vec![0, 0], vec![1]));
}

#[test]
fn a_registration_is_published_and_a_renewal_is_not() {
    let (mut reconciler, _) = reconciler();
    assert_eq!(beat(&mut reconciler, "a", 20, NOW), Reported::Registered);
    assert_eq!(names(&reconciler)[2..], ["a"]);
    assert_eq!(publications(&reconciler), 1);
    assert_eq!(beat(&mut reconciler, "a", 20, after(3)), Reported::Renewed);
    assert_eq!(publications(&reconciler), 1);
}

#[test]
fn what_piled_up_costs_one_snapshot() {
    let (mut reconciler, _) = reconciler();
    let commands = ["a", "b", "c", "d"].into_iter().zip(20..);
    let (mut batch, answers): (Vec<_>, Vec<_>) = commands
        .map(|(id, host)| report(heartbeat(id, host, TTL)))
        .unzip();
    reconciler.settle(&mut batch, NOW);
    let accepted = answers
        .into_iter()
        .map(|mut answered| answered.try_recv().expect("answered").is_ok());
    assert_eq!(accepted.collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(names(&reconciler).len(), 5);
    assert_eq!(publications(&reconciler), 1);
}

#[test]
fn live_state_survives_what_happens_to_others() {
    let (mut reconciler, _) = reconciler();
    beat(&mut reconciler, "a", 20, NOW);
    let before = reconciler.published().load();
    let endpoint = |snapshot: &Snapshot<usize>, position: usize| {
        Arc::clone(&snapshot.groups()[0].upstream.members()[position].endpoint)
    };
    let change = Change {
        weight: Some(Weighing::Fixed(7)),
        mode: None,
    };
    obey(&mut reconciler, NOW, |answer| {
        Command::Amend(place("192.0.2.1:1"), change, answer)
    })
    .expect("accepted");
    beat(&mut reconciler, "b", 21, NOW);
    let now = reconciler.published().load();
    for position in 0..3 {
        assert!(Arc::ptr_eq(
            &endpoint(&before, position),
            &endpoint(&now, position)
        ));
    }
    assert_eq!(now.groups()[0].upstream.members()[0].weight, 7);
    obey(&mut reconciler, NOW, |answer| {
        Command::Leave(place("a"), answer)
    })
    .expect("accepted");
    assert_eq!(names(&reconciler)[2..], ["b"]);
}

#[test]
fn an_expired_backend_is_removed_once_it_was_looked_at() {
    let (mut reconciler, _) = reconciler();
    beat(&mut reconciler, "a", 20, NOW);
    assert_eq!(reconciler.look, Some(after(15)));
    beat(&mut reconciler, "a", 20, after(9));
    reconciler.settle(&mut Vec::new(), after(15));
    assert_eq!(reconciler.look, Some(after(24)), "the renewal counts");
    assert_eq!(names(&reconciler).len(), 3);
    reconciler.settle(&mut Vec::new(), after(24));
    assert_eq!((names(&reconciler).len(), reconciler.look), (2, None));
    assert_eq!(publications(&reconciler), 2);
}

#[test]
fn one_that_takes_over_begins_with_what_the_other_was_told() {
    let until = after(30);
    let draining = Change {
        weight: Some(Weighing::Fixed(9)),
        mode: Some(Mode::Draining { until }),
    };
    let maintenance = Change {
        mode: Some(Mode::Maintenance),
        ..Change::default()
    };
    let heavy = Heartbeat {
        weight: Some(4),
        ..heartbeat("a", 20, TTL)
    };
    let lost = Heartbeat {
        place: Place {
            upstream: "fixed".to_owned(),
            backend: "z".to_owned(),
        },
        ..heartbeat("z", 22, TTL)
    };
    let inherited = Inherited {
        heartbeats: vec![heavy, lost, heartbeat("b", 21, TTL)],
        wishes: vec![
            (place("a"), draining),
            (place("192.0.2.1:1"), maintenance),
            (place("away"), maintenance),
        ],
        algorithms: vec![("web".to_owned(), Choice::Fixed(Algorithm::Maglev))],
    };
    let (mut reconciler, _) = heir(&inherited);
    let expected = ["192.0.2.1:1", "192.0.2.2:1", "a", "b"];
    assert_eq!(names(&reconciler), expected, "and none is lost");
    assert_eq!(
        publications(&reconciler),
        0,
        "the first snapshot has it all"
    );
    assert_eq!(algorithm(&reconciler), Algorithm::Maglev);
    assert_eq!(reconciler.look, Some(after(15)));
    let state = |reconciler: &Reconciler<usize>, member: usize, now: Moment| {
        let snapshot = reconciler.published().load();
        let status = snapshot.groups()[0].upstream.status(member, now);
        status.expect("it is there").state.label()
    };
    let states = [0, 1, 2, 3].map(|member| state(&reconciler, member, NOW));
    assert_eq!(
        states,
        ["maintenance", "up", "draining", "up"],
        "none warms up"
    );
    assert_eq!(state(&reconciler, 3, after(10)), "expired");
    let records = reconciler.sets[0].records();
    let a = &records["a"];
    assert_eq!(a.lease.as_ref().map(|lease| lease.weight), Some(4));
    assert_eq!((a.weight, a.mode), (Some(9), Mode::Draining { until }));
    assert_eq!(records["192.0.2.2:1"].lease, None);
    beat(&mut reconciler, "away", 30, NOW);
    assert_eq!(names(&reconciler)[3], "away");
    assert_eq!(state(&reconciler, 3, NOW), "maintenance");
}

#[test]
fn what_is_found_is_published_when_it_changes_and_is_known_by_its_source() {
    let config = {
        let mut config = config(Some(3));
        config.upstreams[0].discovery.sources = vec![config::Source {
            id: "dns:app".to_owned(),
            max_backends: 10,
            kind: config::SourceKind::File(config::FileSource {
                path: "unused".into(),
                interval: TTL,
            }),
        }];
        config
    };
    let (mut reconciler, _) = of(config, &Inherited::default());
    let tell = |reconciler: &mut Reconciler<usize>, hosts: &[u8]| {
        let (answer, mut answered) = oneshot::channel();
        let found = hosts
            .iter()
            .map(|host| Found::at(SocketAddr::from(([192, 0, 2, *host], 1))));
        let sighting = Sighting {
            upstream: "web".to_owned(),
            source: "dns:app".to_owned(),
            found: found.collect(),
        };
        reconciler.settle(&mut vec![Command::Find(sighting, answer)], NOW);
        answered.try_recv().expect("answered").expect("taken")
    };
    // The first one is configured.
    assert_eq!(tell(&mut reconciler, &[1, 50, 51]).joined, 3);
    assert_eq!(names(&reconciler)[2..], ["192.0.2.50:1", "192.0.2.51:1"]);
    assert_eq!(publications(&reconciler), 1);
    let before = reconciler.published().load();
    tell(&mut reconciler, &[51, 1, 50]);
    assert_eq!(publications(&reconciler), 1, "the same set");
    let endpoint = Arc::clone(&before.groups()[0].upstream.members()[3].endpoint);
    let change = Change {
        weight: Some(Weighing::Fixed(7)),
        mode: Some(Mode::Maintenance),
    };
    obey(&mut reconciler, NOW, |answer| {
        Command::Amend(place("192.0.2.51:1"), change, answer)
    })
    .expect("accepted");
    assert_eq!(tell(&mut reconciler, &[51]).left, 2);
    let after = reconciler.published().load();
    let member = &after.groups()[0].upstream.members()[2];
    assert!(Arc::ptr_eq(&member.endpoint, &endpoint), "its live state");
    assert_eq!(member.weight, 7);
    let records = reconciler.sets[0].records();
    let record = &records["192.0.2.51:1"];
    assert_eq!(record.found_by.as_deref(), Some("dns:app"));
    assert_eq!((record.weight, record.mode), (Some(7), Mode::Maintenance));
    assert_eq!(records["192.0.2.1:1"].found_by, None);
    let leave = obey(&mut reconciler, NOW, |answer| {
        Command::Leave(place("192.0.2.51:1"), answer)
    });
    assert!(matches!(leave, Err(Refusal::Discovered { source_id, .. }) if source_id == "dns:app"));
    // A backend may speak for itself.
    beat(&mut reconciler, "own", 51, NOW);
    assert_eq!(names(&reconciler)[2..], ["own"]);
}

#[test]
fn what_is_held_needs_no_heartbeat() {
    let (mut reconciler, _) = reconciler();
    beat(&mut reconciler, "a", 20, NOW);
    beat(&mut reconciler, "b", 21, after(2));
    obey(&mut reconciler, after(11), Command::Hold).expect("accepted");
    reconciler.settle(&mut Vec::new(), after(3600));
    assert_eq!(names(&reconciler)[2..], ["b"], "an expired one is not held");
    let status = reconciler.published().load().groups()[0]
        .upstream
        .status(2, after(3600));
    assert_eq!(status.expect("it is there").state.label(), "up");
}

#[test]
fn refusals_change_nothing() {
    let (mut reconciler, _) = reconciler();
    let elsewhere = Place {
        upstream: "nowhere".to_owned(),
        backend: "a".to_owned(),
    };
    let unknown = obey(&mut reconciler, NOW, |answer| {
        Command::Leave(elsewhere, answer)
    });
    assert_eq!(unknown, Err(Refusal::UnknownUpstream("nowhere".to_owned())));
    let missing = obey(&mut reconciler, NOW, |answer| {
        Command::Amend(place("a"), Change::default(), answer)
    });
    assert_eq!(missing, Err(Refusal::UnknownBackend(place("a"))));
    assert_eq!(publications(&reconciler), 0);
}

#[tokio::test]
async fn it_answers_until_nobody_can_ask() {
    let (mut reconciler, commands) = reconciler();
    let published = Arc::clone(reconciler.published());
    let task = tokio::spawn(async move { reconciler.run().await });
    let reported = commands.report(heartbeat("a", 20, TTL)).await;
    assert_eq!(reported, Ok(Reported::Registered));
    assert_eq!(published.load().groups()[0].upstream.members().len(), 3);
    assert_eq!(commands.leave(place("a")).await, Ok(()));
    assert_eq!(published.load().groups()[0].upstream.members().len(), 2);
    drop(commands);
    task.await.expect("it ends by itself");
}

fn steer(reconciler: &mut Reconciler<usize>, algorithm: Option<Algorithm>) {
    let choice = algorithm.map(Choice::Fixed);
    let done = obey(reconciler, NOW, |answer| {
        Command::Steer("web".to_owned(), choice, answer)
    });
    done.expect("web is there");
}

fn algorithm(reconciler: &Reconciler<usize>) -> Algorithm {
    reconciler.published().load().groups()[0]
        .upstream
        .algorithm()
}

#[test]
fn an_algorithm_is_in_force_at_once_and_survives_every_rebuild() {
    let (mut reconciler, _) = reconciler();
    for &wanted in Algorithm::ALL {
        steer(&mut reconciler, Some(wanted));
        assert_eq!(algorithm(&reconciler), wanted);
        beat(&mut reconciler, wanted.name(), wanted as u8 + 20, NOW);
        let place = place(wanted.name());
        let left = obey(&mut reconciler, NOW, |answer| Command::Leave(place, answer));
        assert_eq!(left, Ok(()));
        assert_eq!(algorithm(&reconciler), wanted);
    }
    let published = publications(&reconciler);
    steer(&mut reconciler, Some(Algorithm::Maglev));
    assert_eq!(publications(&reconciler), published, "it is so already");
    steer(&mut reconciler, None);
    let config = reconciler.published().load();
    assert_eq!(config.config().upstreams[0].algorithm, Choice::Adaptive);
    let unknown = obey(&mut reconciler, NOW, |answer| {
        Command::Steer("x".to_owned(), None, answer)
    });
    assert_eq!(unknown, Err(Refusal::UnknownUpstream("x".to_owned())));
}

fn told(reconciler: &mut Reconciler<usize>, upstream: &str) -> Told {
    let (answer, mut answered) = oneshot::channel();
    let command = Command::Recall(upstream.to_owned(), answer);
    reconciler.settle(&mut vec![command], NOW);
    answered.try_recv().expect("answered").expect("known")
}

#[test]
fn a_command_is_carried_out_only_while_the_upstream_is_as_it_was_seen() {
    let (mut reconciler, _) = reconciler();
    let seen = told(&mut reconciler, "web").tag;
    let elsewhere = told(&mut reconciler, "fixed").tag;
    assert_ne!(seen, elsewhere);
    let weigh = |reconciler: &mut Reconciler<usize>, tags: &[Tag], weight| {
        let change = Change {
            weight: Some(Weighing::Fixed(weight)),
            mode: None,
        };
        obey(reconciler, NOW, |answer| {
            let amend = Command::Amend(place("192.0.2.1:1"), change, answer);
            Command::Provided(tags.into(), Box::new(amend))
        })
    };
    assert_eq!(weigh(&mut reconciler, &[elsewhere, seen], 5), Ok(()));
    let changed = Err(Refusal::Changed("web".to_owned()));
    assert_eq!(weigh(&mut reconciler, &[seen], 6), changed, "it is stale");
    let now = told(&mut reconciler, "web");
    assert_eq!(now.backends["192.0.2.1:1"].weight, Some(5));
    assert_eq!(told(&mut reconciler, "fixed").tag, elsewhere);
    steer(&mut reconciler, Some(Algorithm::Random));
    assert_ne!(told(&mut reconciler, "web").tag, now.tag);
    steer(&mut reconciler, None);
    assert_eq!(told(&mut reconciler, "web").tag, now.tag);
    beat(&mut reconciler, "a", 20, NOW);
    let registered = told(&mut reconciler, "web").tag;
    assert_ne!(registered, now.tag);
    beat(&mut reconciler, "a", 20, after(1));
    assert_eq!(told(&mut reconciler, "web").tag, registered, "renewed only");
}

#[test]
fn whoever_gives_conditional_commands_is_answered_by_each_kind() {
    let (mut reconciler, _) = reconciler();
    let stale = || Arc::from([Tag(0)]);
    let refused = |command: Command| Command::Provided(stale(), Box::new(command));
    let (command, mut answered) = report(heartbeat("a", 20, TTL));
    reconciler.settle(&mut vec![refused(command)], NOW);
    let changed = Refusal::Changed("web".to_owned());
    assert_eq!(answered.try_recv().expect("answered"), Err(changed.clone()));
    let left = obey(&mut reconciler, NOW, |answer| {
        refused(Command::Leave(place("a"), answer))
    });
    assert_eq!(left, Err(changed));
    let held = obey(&mut reconciler, NOW, |answer| {
        refused(Command::Hold(answer))
    });
    assert_eq!(held, Ok(()), "it is about no upstream");
    assert_eq!(publications(&reconciler), 0);
}
