use proptest::prelude::*;

use super::*;
use crate::control::reconcile::tests::{config, heartbeat, place, resolved_backends};

const START: Moment = Moment::from_micros(1_000_000_000);
const TTL: Duration = Duration::from_secs(10);

/// Two configured backends, and room for three that register.
pub(super) fn set() -> Set {
    let config = config(Some(3));
    Set::new(&config.upstreams[0], resolved_backends(&config).remove(0))
}

fn report(set: &mut Set, id: &str, host: u8, now: Moment) -> Result<(Reported, Effect), Refusal> {
    set.report(&heartbeat(id, host, TTL), now)
}

fn names(set: &Set) -> Vec<String> {
    set.resolved().into_iter().map(|one| one.name).collect()
}

pub(super) fn weight(set: &Set, id: &str) -> u32 {
    let found = set.resolved().into_iter().find(|one| one.name == id);
    found.expect("it is there").backend.weight
}

fn after(seconds: u64) -> Moment {
    START.after(Duration::from_secs(seconds))
}

#[test]
fn a_heartbeat_registers_once_and_then_renews() {
    let mut set = set();
    let first = report(&mut set, "b", 20, START);
    assert_eq!(first, Ok((Reported::Registered, Effect::Rebuild)));
    let second = report(&mut set, "b", 20, after(3));
    assert_eq!(second, Ok((Reported::Renewed, Effect::None)));
    assert_eq!(set.deadlines("b").unwrap().0, after(13));
    report(&mut set, "a", 21, after(3)).unwrap();
    assert_eq!(names(&set), ["192.0.2.1:1", "192.0.2.2:1", "a", "b"]);
}

#[test]
fn another_address_or_weight_rebuilds_and_none_stays_as_it_is() {
    let mut set = set();
    report(&mut set, "a", 20, START).unwrap();
    let moved = report(&mut set, "a", 21, START);
    assert_eq!(moved, Ok((Reported::Renewed, Effect::Rebuild)));
    let heavier = Heartbeat {
        weight: Some(4),
        ..heartbeat("a", 21, TTL)
    };
    assert_eq!(set.report(&heavier, START).unwrap().1, Effect::Rebuild);
    assert_eq!(set.report(&heavier, START).unwrap().1, Effect::None);
    assert_eq!(report(&mut set, "a", 21, START).unwrap().1, Effect::None);
    assert_eq!(weight(&set, "a"), 4);
}

#[test]
fn one_that_comes_back_after_its_deadline_registers_again_where_it_was() {
    let mut set = set();
    report(&mut set, "a", 20, START).unwrap();
    let late = report(&mut set, "a", 20, after(10));
    assert_eq!(late, Ok((Reported::Registered, Effect::None)));
}

#[test]
fn the_configuration_cannot_be_spoken_for() {
    let mut set = set();
    let id = "192.0.2.1:1";
    let own = report(&mut set, id, 20, START);
    assert_eq!(own, Err(Refusal::Configured(place(id))));
    let address = report(&mut set, "a", 1, START);
    assert!(matches!(address, Err(Refusal::AddressTaken { holder, .. }) if holder == id));
    assert_eq!(set.leave(&place(id)), Err(Refusal::Configured(place(id))));
    assert_eq!(
        set.leave(&place("x")),
        Err(Refusal::UnknownBackend(place("x")))
    );
}

#[test]
fn an_upstream_without_a_registry_takes_nobody() {
    let config = config(None);
    let mut set = Set::new(&config.upstreams[0], Vec::new());
    let refused = report(&mut set, "a", 20, START);
    assert_eq!(refused, Err(Refusal::NoRegistry("web".to_owned())));
}

#[test]
fn an_address_belongs_to_one_backend_for_as_long_as_it_lives() {
    let mut set = set();
    report(&mut set, "a", 20, START).unwrap();
    let rival = report(&mut set, "b", 20, after(9));
    assert!(matches!(rival, Err(Refusal::AddressTaken { holder, .. }) if holder == "a"));
    let heir = report(&mut set, "b", 20, after(10));
    assert_eq!(heir, Ok((Reported::Registered, Effect::Rebuild)));
    assert_eq!(names(&set)[2..], ["b"]);
}

#[test]
fn the_bound_holds_and_expired_ones_make_room() {
    let mut set = set();
    for (host, id) in (20..).zip(["a", "b", "c"]) {
        report(&mut set, id, host, START).unwrap();
    }
    let full = Err(Refusal::Full {
        upstream: "web".to_owned(),
        limit: 3,
    });
    assert_eq!(report(&mut set, "d", 30, after(9)), full);
    assert_eq!(names(&set).len(), 5);
    report(&mut set, "b", 21, after(9)).unwrap();
    report(&mut set, "d", 30, after(10)).unwrap();
    assert_eq!(names(&set)[2..], ["b", "d"]);
}

#[test]
fn a_name_keeps_its_address_while_that_is_one_of_them_or_unknown() {
    let mut set = set();
    let addresses = |hosts: &[u8]| Heartbeat {
        address: "backend.internal:1".to_owned(),
        resolved: hosts
            .iter()
            .flat_map(|&host| heartbeat("a", host, TTL).resolved)
            .collect(),
        ..heartbeat("a", 0, TTL)
    };
    let unknown = set.report(&addresses(&[]), START);
    assert_eq!(
        unknown,
        Err(Refusal::Unresolved("backend.internal:1".to_owned()))
    );
    assert_eq!(
        set.report(&addresses(&[21, 20]), START).unwrap().1,
        Effect::Rebuild
    );
    for same in [&[20, 21][..], &[]] {
        assert_eq!(set.report(&addresses(same), START).unwrap().1, Effect::None);
    }
    assert_eq!(
        set.report(&addresses(&[20]), START).unwrap().1,
        Effect::Rebuild
    );
}

#[test]
fn the_operators_weight_stands_above_the_backends_own() {
    let mut set = set();
    report(&mut set, "a", 20, START).unwrap();
    let change = |weight| Change {
        weight: Some(weight),
        mode: None,
    };
    let nine = Weighing::Fixed(9);
    for id in ["a", "192.0.2.1:1"] {
        assert_eq!(set.amend(&place(id), change(nine)), Ok(Effect::Rebuild));
        assert_eq!(set.amend(&place(id), change(nine)), Ok(Effect::None));
        assert_eq!(weight(&set, id), 9);
    }
    let claim = Heartbeat {
        weight: Some(2),
        ..heartbeat("a", 20, TTL)
    };
    set.report(&claim, START).unwrap();
    assert_eq!(weight(&set, "a"), 9);
    assert_eq!(
        set.amend(&place("a"), change(Weighing::Own)),
        Ok(Effect::Rebuild)
    );
    assert_eq!(weight(&set, "a"), 2);
    let unknown = set.amend(&place("x"), change(Weighing::Own));
    assert_eq!(unknown, Err(Refusal::UnknownBackend(place("x"))));
}

#[test]
fn what_the_operator_asked_outlives_an_expiry_but_not_a_farewell() {
    let mut set = set();
    let change = Change {
        weight: None,
        mode: Some(Mode::Maintenance),
    };
    report(&mut set, "a", 20, START).unwrap();
    assert_eq!(set.amend(&place("a"), change), Ok(Effect::None));
    assert_eq!(set.sweep(after(15), |_| true), (Effect::Rebuild, None));
    report(&mut set, "a", 20, after(20)).unwrap();
    assert_eq!(set.mode("a"), Mode::Maintenance);
    assert_eq!(set.leave(&place("a")), Ok(Effect::Rebuild));
    report(&mut set, "a", 20, after(20)).unwrap();
    assert_eq!(set.mode("a"), Mode::Active);
}

#[test]
fn whoever_comes_by_a_forgotten_id_is_another() {
    let mut set = set();
    let change = Change {
        weight: Some(Weighing::Fixed(9)),
        mode: Some(Mode::Maintenance),
    };
    report(&mut set, "a", 20, START).unwrap();
    set.amend(&place("a"), change).unwrap();
    set.sweep(after(15), |_| true);
    assert_eq!(set.forget("a"), Effect::Rebuild, "also where it is away");
    assert_eq!(set.forget("a"), Effect::None);
    report(&mut set, "a", 20, after(20)).unwrap();
    assert_eq!((set.mode("a"), weight(&set, "a")), (Mode::Active, 1));
}

#[test]
fn an_expired_backend_lingers_until_it_is_idle_or_a_minute_has_passed() {
    let mut set = set();
    report(&mut set, "idle", 20, START).unwrap();
    report(&mut set, "busy", 21, START).unwrap();
    let is_idle = |id: &str| id == "idle";
    assert_eq!(
        set.sweep(after(14), is_idle),
        (Effect::None, Some(after(15)))
    );
    assert_eq!(
        set.sweep(after(15), is_idle),
        (Effect::Rebuild, Some(after(70)))
    );
    assert_eq!(names(&set)[2..], ["busy"]);
    assert_eq!(
        set.sweep(after(69), is_idle),
        (Effect::None, Some(after(70)))
    );
    assert_eq!(set.sweep(after(70), is_idle), (Effect::Rebuild, None));
    assert_eq!(names(&set).len(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Report {
        id: u8,
        host: u8,
        weight: Option<u32>,
    },
    Leave(u8),
    Weigh(u8, Option<u32>),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..6_u8;
    prop_oneof![
        4 => (id.clone(), 20..26_u8, proptest::option::of(1..9_u32))
            .prop_map(|(id, host, weight)| Step::Report { id, host, weight }),
        1 => id.clone().prop_map(Step::Leave),
        1 => (id, proptest::option::of(1..9_u32)).prop_map(|(id, weight)| Step::Weigh(id, weight)),
        2 => (0..20_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens: the bound holds, no address stands twice, the configured ones stay, and
    /// without a rebuild nothing about the set has changed.
    #[test]
    fn a_set_stays_sound(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut set, mut now) = (set(), START);
        for step in steps {
            let before = set.resolved();
            let effect = match step {
                Step::Report { id, host, weight } => {
                    let heartbeat = Heartbeat { weight, ..heartbeat(&id.to_string(), host, TTL) };
                    set.report(&heartbeat, now).map_or(Effect::None, |done| done.1)
                }
                Step::Leave(id) => set.leave(&place(&id.to_string())).unwrap_or(Effect::None),
                Step::Weigh(id, weight) => {
                    let weight = weight.map_or(Weighing::Own, Weighing::Fixed);
                    let change = Change { weight: Some(weight), mode: None };
                    set.amend(&place(&id.to_string()), change).unwrap_or(Effect::None)
                }
                Step::Pass(seconds) => {
                    now = now.after(Duration::from_secs(seconds));
                    let (effect, look) = set.sweep(now, |id| id.len() % 2 == 0);
                    prop_assert!(look.is_none_or(|look| look > now));
                    effect
                }
            };
            let all = set.resolved();
            let key = |all: &[Resolved]| -> Vec<_> {
                all.iter().map(|one| (one.name.clone(), one.address, one.backend.weight)).collect()
            };
            if effect == Effect::None {
                prop_assert_eq!(key(&before), key(&all));
            }
            prop_assert!((2..=5).contains(&all.len()));
            let addresses: HashSet<SocketAddr> = all.iter().map(|one| one.address).collect();
            prop_assert_eq!(addresses.len(), all.len());
        }
    }
}
