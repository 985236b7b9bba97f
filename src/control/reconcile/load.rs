//! Going over to a new configuration.
//!
//! Whatever can fail has been done by then: the configuration was read, its
//! files and names were looked up. So this cannot, and a request sees either
//! the one configuration or the other.

use std::sync::Arc;

use super::command::position;
use super::origin::{Load, Loads};
use super::set::Set;
use super::{Reconciler, signer};
use crate::clock::Moment;

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
        self.sets = self.origin.sets(known);
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

#[cfg(test)]
mod tests;
