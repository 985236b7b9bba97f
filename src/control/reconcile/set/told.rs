//! What was said about an upstream as a whole, and the tag that stands for all of it.

use std::hash::{Hash as _, Hasher as _};

use xxhash_rust::xxh3::Xxh3;

use super::{Effect, Set};
use crate::config::Choice;
use crate::control::reconcile::command::{Tag, Told};

impl Set {
    /// What the operator wants the upstream to choose by, where that is not as configured.
    pub(in crate::control::reconcile) const fn algorithm(&self) -> Option<Choice> {
        self.algorithm
    }

    /// Makes it choose by this; `None` is as configured.
    pub(in crate::control::reconcile) fn steer(&mut self, algorithm: Option<Choice>) -> Effect {
        let before = std::mem::replace(&mut self.algorithm, algorithm);
        Effect::rebuild_if(before != algorithm)
    }

    /// What was said about the upstream.
    pub(in crate::control::reconcile) fn told(&self) -> Told {
        Told {
            tag: self.tag(),
            configured: self.choice,
            algorithm: self.algorithm,
            backends: self.records(),
        }
    }

    /// Stands for all of it that a write can change.
    pub(in crate::control::reconcile) fn tag(&self) -> Tag {
        let mut hash = Xxh3::new();
        let algorithms = [Some(self.choice), self.algorithm];
        algorithms.map(|one| one.map(Choice::name)).hash(&mut hash);
        for one in self.resolved() {
            (&one.name, one.address, one.backend.weight).hash(&mut hash);
            let wish = self.wishes.get(&one.name).copied().unwrap_or_default();
            (wish.weight, wish.mode).hash(&mut hash);
        }
        Tag(hash.finish())
    }
}
