//! What stays of a set when its upstream is configured anew.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::Set;
use crate::config;
use crate::upstream::Resolved;

impl Set {
    /// Goes over to another configuration of the same upstream.
    ///
    /// What the operator said stays, except a weight where the file gives the backend another one
    /// than before: who spoke last about it is right. A backend that leaves the file takes along
    /// what was said about it. So it is with the algorithm. Registrations stay where the upstream still takes any, unless the
    /// file now has the backend or its address.
    pub(in crate::control::reconcile) fn reconfigure(
        &mut self,
        config: &config::Upstream,
        configured: Vec<Resolved>,
    ) {
        if config.algorithm != self.choice {
            self.choice = config.algorithm;
            self.algorithm = None;
        }
        let before = std::mem::replace(&mut self.configured, configured);
        self.registry = super::registry(config);
        if self.registry.is_none() {
            self.registered.clear();
        }
        if !self.registered.is_empty() {
            let names: HashSet<&str> = self.configured.iter().map(|one| &*one.name).collect();
            let addresses: HashSet<SocketAddr> =
                self.configured.iter().map(|one| one.address).collect();
            self.registered.retain(|id, one| {
                !names.contains(id.as_str()) && !addresses.contains(&one.resolved)
            });
        }
        if !self.wishes.is_empty() {
            self.revise_wishes(&before);
        }
    }

    fn revise_wishes(&mut self, before: &[Resolved]) {
        let before = weights(before);
        let after = weights(&self.configured);
        self.wishes.retain(|id, wish| {
            let (was, is) = (before.get(id.as_str()), after.get(id.as_str()));
            if is.is_some() && was != is {
                wish.weight = None;
            }
            was.is_none() || is.is_some()
        });
    }
}

/// The configured weights by id.
fn weights(configured: &[Resolved]) -> HashMap<&str, u32> {
    let weight = |one: &Resolved| one.backend.weight;
    configured
        .iter()
        .map(|one| (&*one.name, weight(one)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{set, weight};
    use super::*;
    use crate::clock::Moment;
    use crate::config::{Algorithm, Choice};
    use crate::control::reconcile::tests::{config, heartbeat, place, resolved_backends};
    use crate::control::reconcile::{Change, Weighing};
    use crate::upstream::Mode;
    use std::time::Duration;

    const NOW: Moment = Moment::from_micros(1_000_000);

    /// The set of the usual configuration after `change` was made to that.
    fn reconfigured(mut set: Set, change: impl FnOnce(&mut config::Upstream)) -> Set {
        let mut config = config(Some(3));
        change(&mut config.upstreams[0]);
        let configured = resolved_backends(&config).remove(0);
        set.reconfigure(&config.upstreams[0], configured);
        set
    }

    fn wishing(id: &str, weight: u32) -> Set {
        let mut set = set();
        let change = Change {
            weight: Some(Weighing::Fixed(weight)),
            mode: Some(Mode::Maintenance),
        };
        set.remember(id, change);
        set
    }

    fn report(set: &mut Set, id: &str, host: u8) {
        let heartbeat = heartbeat(id, host, Duration::from_secs(10));
        set.report(&heartbeat, NOW).expect("accepted");
    }

    fn has(set: &Set, id: &str) -> bool {
        set.resolved().iter().any(|one| one.name == id)
    }

    #[test]
    fn a_weight_of_the_operator_holds_until_the_file_changes_that_weight() {
        let id = "192.0.2.1:1";
        let other = reconfigured(wishing(id, 9), |one| one.backends[1].weight = 5);
        assert_eq!((weight(&other, id), weight(&other, "192.0.2.2:1")), (9, 5));
        let own = reconfigured(wishing(id, 9), |one| one.backends[0].weight = 4);
        assert_eq!(weight(&own, id), 4);
        assert_eq!(own.mode(id), Mode::Maintenance, "the file has no such key");
    }

    #[test]
    fn an_algorithm_of_the_operator_holds_until_the_file_changes_it() {
        let wanted = Some(Choice::Fixed(Algorithm::Maglev));
        let mut set = set();
        set.steer(wanted);
        let other = reconfigured(set, |one| one.backends[1].weight = 5);
        assert_eq!(other.algorithm(), wanted);
        let own = reconfigured(other, |one| {
            one.algorithm = Choice::Fixed(Algorithm::Random)
        });
        assert_eq!(own.algorithm(), None);
        assert_eq!(own.told().configured, Choice::Fixed(Algorithm::Random));
    }

    #[test]
    fn a_backend_that_leaves_the_file_takes_its_wishes_along() {
        let id = "192.0.2.1:1";
        let without = reconfigured(wishing(id, 9), |one| drop(one.backends.remove(0)));
        assert!(!has(&without, id));
        let back = reconfigured(without, |_| {});
        assert_eq!((weight(&back, id), back.mode(id)), (1, Mode::Active));
    }

    #[test]
    fn registrations_stay_where_the_upstream_takes_any() {
        let mut set = wishing("a", 7);
        report(&mut set, "a", 20);
        let same = reconfigured(set, |one| one.slow_start = Duration::from_secs(1));
        assert_eq!(weight(&same, "a"), 7);
        let closed = reconfigured(same, |one| one.discovery = None);
        assert!(!has(&closed, "a"));
    }

    #[test]
    fn the_file_speaks_for_a_registered_backend_that_it_now_has() {
        let mut set = set();
        report(&mut set, "a", 20);
        let taken = reconfigured(set, |one| {
            "192.0.2.20:1".clone_into(&mut one.backends[0].address);
        });
        assert!(!has(&taken, "a") && has(&taken, "192.0.2.20:1"));
        let records = taken.records();
        assert_eq!(records["192.0.2.20:1"].lease, None);
        assert!(taken.deadlines(&place("a").backend).is_none());
    }
}
