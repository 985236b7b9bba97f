//! Going over to a new configuration.
//!
//! Whatever can fail has been done by then: the configuration was read, its
//! files and names were looked up. So this cannot, and a request sees either
//! the one configuration or the other.

use std::collections::HashMap;
use std::sync::Arc;

use super::command::position;
use super::origin::{Load, Loads, Origin};
use super::set::Set;
use super::{Reconciler, signer};
use crate::clock::Moment;
use crate::config;
use crate::upstream::Resolved;

impl<T> Reconciler<T> {
    /// The way to give it another configuration.
    #[must_use]
    pub fn loads(&self) -> Loads<T> {
        Loads::new(self.loads.0.clone())
    }

    /// Goes over to another configuration.
    ///
    /// Upstreams are the same where their names are: those that stay keep their registrations, what
    /// the operator wants of their backends, and their live state.
    pub(super) fn succeed(&mut self, load: Load<T>, now: Moment) {
        let Load { origin, done } = load;
        let before = std::mem::replace(&mut self.origin, origin);
        let names = before.config.upstreams.iter().map(|one| one.name.clone());
        let known = names.zip(std::mem::take(&mut self.sets)).collect();
        self.sets = sets(&mut self.origin, known);
        if before.config.server.secret != self.origin.config.server.secret {
            self.signer = signer(&self.origin.config, &self.lasting);
        }
        self.look = self.sets.iter().filter_map(Set::next_look).min();
        self.publish(&[], now);
        // Whoever asked may be gone.
        let _ = done.send(());
    }

    /// Looks after the backends that left.
    pub(super) fn see_off(&mut self, now: Moment) {
        let (config, positions) = (Arc::clone(&self.origin.config), &self.positions);
        let is_back = |upstream: &str, backend: &str| {
            let found = position(&config, upstream);
            found.is_ok_and(|upstream| positions[upstream].contains_key(backend))
        };
        self.departed.see_off(now, &self.lasting.metrics, is_back);
    }
}

/// The set of each upstream: that of `known` by its name, or a new one. First sightings are taken.
pub(super) fn sets<T>(origin: &mut Origin<T>, mut known: HashMap<String, Set>) -> Vec<Set> {
    let upstreams = origin.config.upstreams.iter().zip(&origin.configured);
    let set = |(upstream, configured): (&config::Upstream, &Vec<Resolved>)| {
        let configured = configured.clone();
        match known.remove(&upstream.name) {
            Some(mut set) => {
                set.reconfigure(upstream, configured);
                set
            }
            None => Set::new(upstream, configured),
        }
    };
    let mut sets: Vec<Set> = upstreams.map(set).collect();
    for sighting in std::mem::take(&mut origin.sightings) {
        if let Ok(upstream) = position(&origin.config, &sighting.upstream) {
            sets[upstream].find(&sighting.source, sighting.found);
        }
    }
    sets
}

#[cfg(test)]
mod tests;
