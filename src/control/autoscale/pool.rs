//! The backends of a target, as the driver and as the balancer see them.
//!
//! The driver knows what runs, the balancer what serves; they meet at the
//! address. Both views are a moment old, so an instance that nobody has found
//! yet counts as on its way, and one that a person has drained counts as
//! neither serving nor failing.

use std::cmp::Reverse;
use std::net::SocketAddr;

use super::decide::Pool;
use super::driver::{Instance, InstanceState};
use crate::clock::Moment;
use crate::snapshot::Group;
use crate::state::{Reason, State};

/// A backend of the target's upstream, as it is published. Backups are not of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its id.
    pub(super) id: String,
    pub(super) address: SocketAddr,
    pub(super) state: State,
    /// Whether any check of it has come back; always where there are none.
    pub(super) is_judged: bool,
    pub(super) in_flight: u32,
}

impl Seen {
    /// Whether it serves, or would if its operator let it.
    pub(super) const fn serves(&self) -> bool {
        matches!(
            self.state,
            State::Up | State::Suspect | State::Warming | State::Draining | State::Maintenance
        )
    }
}

/// The backends of an upstream.
pub(super) fn seen<T>(group: &Group<T>, now: Moment) -> Vec<Seen> {
    let members = group.upstream.members().iter().enumerate();
    let primaries = members.filter(|(_, member)| !member.backup);
    let seen = primaries.filter_map(|(position, member)| {
        let status = group.upstream.status(position, now)?;
        Some(Seen {
            id: member.endpoint.name().to_owned(),
            address: member.endpoint.address(),
            state: status.state,
            is_judged: status.reason != Reason::NotChecked,
            in_flight: member.endpoint.in_flight(),
        })
    });
    seen.collect()
}

/// The backend that an instance is.
pub(super) fn backend<'s>(instance: &Instance, seen: &'s [Seen]) -> Option<&'s Seen> {
    let ip = |seen: &&Seen| instance.addresses.contains(&seen.address.ip());
    seen.iter().find(ip)
}

/// What an instance is to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Ready,
    Warming,
    Failing,
    /// Its operator has taken it out.
    Aside,
    /// It does not run any more.
    Over,
}

/// What an instance is to the pool. A backend that is down before it ever served is on its way for
/// as long as `young` says.
pub(super) fn part(instance: &Instance, seen: &[Seen], young: bool) -> Part {
    match instance.state {
        InstanceState::Exited { .. } | InstanceState::Removing => return Part::Over,
        InstanceState::Restarting { .. } => return Part::Failing,
        InstanceState::Paused => return Part::Aside,
        InstanceState::Created | InstanceState::Starting | InstanceState::Running => {}
    }
    match backend(instance, seen).map(|seen| seen.state) {
        Some(State::Up | State::Suspect) => Part::Ready,
        Some(State::Warming) => Part::Warming,
        Some(State::Draining | State::Maintenance) => Part::Aside,
        None | Some(State::Down) if young => Part::Warming,
        _ => Part::Failing,
    }
}

/// The pool of single instances.
pub(super) fn of_instances(instances: &[(&Instance, Part)]) -> Pool {
    let count = |wanted: &[Part]| {
        let parts = instances.iter().filter(|(_, part)| wanted.contains(part));
        u32::try_from(parts.count()).unwrap_or(u32::MAX)
    };
    Pool {
        size: count(&[Part::Ready, Part::Warming, Part::Failing, Part::Aside]),
        ready: count(&[Part::Ready]),
        warming: count(&[Part::Warming]),
        failing: count(&[Part::Failing]),
    }
}

/// The pool of a platform that tells only its size, or not even that. A backend that is down is on
/// its way where it `may_come`; those that the platform has and nobody has found, while they are
/// `young`.
pub(super) fn of_backends(
    seen: &[Seen],
    size: Option<u32>,
    may_come: impl Fn(&Seen) -> bool,
    young: bool,
) -> Pool {
    let count = |wanted: &dyn Fn(&Seen) -> bool| {
        let found = seen.iter().filter(|seen| wanted(seen));
        u32::try_from(found.count()).unwrap_or(u32::MAX)
    };
    let comes = |seen: &Seen| seen.state == State::Down && may_come(seen);
    let ready = count(&|seen| matches!(seen.state, State::Up | State::Suspect));
    let warming = count(&|seen| seen.state == State::Warming || comes(seen));
    let failing = count(&|seen| {
        let out = [State::Down, State::Ejected, State::HalfOpen, State::Expired];
        out.contains(&seen.state) && !comes(seen)
    });
    let size = size.unwrap_or(ready + warming + failing);
    let unseen = unfound(seen, size);
    let (late, lost) = if young { (unseen, 0) } else { (0, unseen) };
    Pool {
        size,
        ready,
        warming: warming + late,
        failing: failing + lost,
    }
}

/// How many of `size` nobody has found.
pub(super) fn unfound(seen: &[Seen], size: u32) -> u32 {
    let aside = |seen: &&Seen| !matches!(seen.state, State::Draining | State::Maintenance);
    let found = seen.iter().filter(aside).count();
    size.saturating_sub(u32::try_from(found).unwrap_or(u32::MAX))
}

/// Those to end for a pool that is to lose so many: what fails first, then what does not serve yet,
/// then what is least loaded, and of several the youngest. What the platform itself made goes after
/// what was made here: it is what copies are made of, and nobody would take it away if its end were
/// cut off half way.
pub(super) fn victims<'i>(
    instances: &[(&'i Instance, Part)],
    seen: &[Seen],
    count: u32,
) -> Vec<&'i Instance> {
    let rank = |part: Part| match part {
        Part::Failing => 0,
        Part::Warming => 1,
        Part::Ready => 2,
        Part::Aside | Part::Over => 3,
    };
    let mut able: Vec<_> = instances
        .iter()
        .filter(|(_, part)| rank(*part) < 3)
        .collect();
    able.sort_by_key(|(instance, part)| {
        let load = backend(instance, seen).map_or(0, |seen| seen.in_flight);
        let age = (Reverse(instance.created), Reverse(instance.number));
        (rank(*part), !instance.own, load, age)
    });
    let chosen = able.into_iter().take(count as usize);
    chosen.map(|(instance, _)| *instance).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn instance(number: u8, state: InstanceState) -> Instance {
        Instance {
            id: format!("id-{number}"),
            name: format!("app-web-{number}"),
            number: number.into(),
            created: 1_000 + u64::from(number),
            state,
            addresses: vec![IpAddr::from([10, 0, 0, number])],
            restarts: 0,
            own: true,
        }
    }

    fn found(number: u8, state: State, in_flight: u32) -> Seen {
        let address = SocketAddr::from(([10, 0, 0, number], 5_000));
        Seen {
            id: address.to_string(),
            address,
            state,
            is_judged: true,
            in_flight,
        }
    }

    #[test]
    fn what_runs_and_what_serves_make_the_pool() {
        use InstanceState::{Created, Exited, Restarting, Running, Starting};
        let all = [
            instance(1, Running),
            instance(2, Running),
            instance(3, Running),
            instance(4, Starting),
            instance(5, Created),
            instance(6, Restarting { code: 1 }),
            instance(7, Exited { code: 1 }),
            instance(8, Running),
            instance(9, Running),
        ];
        let seen = [
            found(1, State::Up, 0),
            found(2, State::Warming, 0),
            found(3, State::Ejected, 0),
            found(8, State::Draining, 0),
            found(9, State::Suspect, 0),
        ];
        let parts: Vec<_> = all
            .iter()
            .map(|one| (one, part(one, &seen, true)))
            .collect();
        let pool = of_instances(&parts);
        assert_eq!((pool.size, pool.ready), (8, 2), "{parts:?}");
        assert_eq!((pool.warming, pool.failing), (3, 2), "{parts:?}");
        let old = all.iter().map(|one| part(one, &seen, false));
        assert_eq!(old.filter(|part| *part == Part::Failing).count(), 4);
    }

    #[test]
    fn who_is_not_found_yet_is_on_its_way() {
        let seen = [found(1, State::Up, 0), found(2, State::Down, 0)];
        let pool = |size, may_come, young| {
            let pool = of_backends(&seen, size, |_| may_come, young);
            (pool.size, pool.ready, pool.warming, pool.failing)
        };
        assert_eq!(pool(Some(4), false, true), (4, 1, 2, 1));
        assert_eq!(pool(Some(4), true, true), (4, 1, 3, 0), "not checked yet");
        assert_eq!(
            pool(Some(4), false, false),
            (4, 1, 0, 3),
            "they had their time"
        );
        assert_eq!(pool(None, false, true), (2, 1, 0, 1));
    }

    #[test]
    fn the_failing_go_first_then_the_idle_then_the_youngest() {
        let all: Vec<_> = (1..=5)
            .map(|n| instance(n, InstanceState::Running))
            .collect();
        let seen = [
            found(1, State::Up, 0),
            found(2, State::Up, 3),
            found(3, State::Up, 0),
            found(4, State::Ejected, 9),
            found(5, State::Maintenance, 0),
        ];
        let parts: Vec<_> = all
            .iter()
            .map(|one| (one, part(one, &seen, false)))
            .collect();
        let chosen = |count| -> Vec<u32> {
            let victims = victims(&parts, &seen, count);
            victims.iter().map(|one| one.number).collect()
        };
        assert_eq!(chosen(3), [4, 3, 1]);
        assert_eq!(chosen(9), [4, 3, 1, 2], "the operator's own is left alone");
    }

    #[test]
    fn what_the_platform_made_goes_last_of_those_that_serve() {
        let mut all: Vec<_> = (1..=3)
            .map(|n| instance(n, InstanceState::Running))
            .collect();
        all[2].own = false;
        let seen: Vec<Seen> = (1..=3)
            .map(|n| found(n, State::Up, 9 - u32::from(n)))
            .collect();
        let parts: Vec<_> = all
            .iter()
            .map(|one| (one, part(one, &seen, false)))
            .collect();
        let victims = victims(&parts, &seen, 2);
        let numbers: Vec<u32> = victims.iter().map(|one| one.number).collect();
        assert_eq!(numbers, [2, 1], "though 3 has least to do");
    }
}
