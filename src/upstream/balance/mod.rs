//! The algorithms: which of the eligible backends gets the request.
//!
//! Each is one [`Balancer`] in one file. A balancer is built for the members of
//! one tier and holds only what it needs beside the endpoints' live state: a
//! counter, a table, a ring. `build` makes one from its name; one contract test
//! runs over all.

use super::choice::Purpose;
use super::draw::Draws;
use super::eligible::Candidates;
use super::hash_key;
use crate::config::HashKey;
use crate::request::Facts;

pub use measure::Measure;

pub(crate) mod build;
mod consistent_hash;
mod ip_hash;
mod least_connections;
mod lowest;
mod maglev;
mod measure;
mod order;
mod power_of_two;
mod random;
mod ring;
mod round_robin;
mod turns;
mod weighted_response_time;
mod weighted_round_robin;
mod weights;

/// Chooses among the eligible candidates.
pub(crate) trait Balancer: Send + Sync + std::fmt::Debug {
    /// The choice; `None` when no candidate is eligible.
    ///
    /// The candidates are those of the tier this balancer was built for. Neither allocates nor
    /// waits. The chosen one was eligible when it was looked at; whether it still is shows when
    /// its slot is taken.
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick>;

    /// What [`Self::score`] tells.
    fn measure(&self) -> Measure;

    /// Tells the candidates' positions with what `pick` would compare at this moment, eligible or
    /// not; of those that it would not look at, nothing. For people: it may look at all of them.
    fn score(
        &self,
        candidates: &Candidates<'_>,
        request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    );
}

/// A balancer's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// Position among the candidates.
    pub(crate) index: usize,
    /// Whether it was chosen to be measured, not for its merits.
    pub(crate) exploring: bool,
}

impl Pick {
    pub(crate) const fn of(index: usize) -> Self {
        Self {
            index,
            exploring: false,
        }
    }
}

/// What a balancer may use of the request.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    facts: &'a Facts<'a>,
    hash_key: &'a HashKey,
    /// Randomness.
    pub(crate) draws: Draws,
    /// Turns that a decision which takes none has looked at.
    foreseen: Option<u64>,
}

impl<'a> Request<'a> {
    /// `hash_key` is what the upstream hashes, `random` where the draws begin.
    pub(crate) fn new(
        facts: &'a Facts<'a>,
        hash_key: &'a HashKey,
        random: u64,
        purpose: Purpose,
    ) -> Self {
        Self {
            facts,
            hash_key,
            draws: Draws::new(random),
            foreseen: match purpose {
                Purpose::Serve => None,
                Purpose::Foresee => Some(0),
            },
        }
    }

    /// The hash that `consistent_hash` and `maglev` place.
    pub(crate) fn key(&self) -> u64 {
        hash_key::of(self.hash_key, self.facts)
    }

    /// The hash of the client's address.
    pub(crate) fn client_key(&self) -> u64 {
        hash_key::of(&HashKey::ClientIp, self.facts)
    }
}
