//! The primaries or the backups of an upstream, with the balancers built for them.

use std::ops::Range;
use std::sync::Arc;

use super::balance::{Balancer, build};
use super::draw::Alias;
use super::member::Member;
use crate::config::Algorithm;

const ALGORITHMS: usize = Algorithm::ALL.len();

/// Members that stand in for each other before another tier is asked.
#[derive(Debug)]
pub(crate) struct Tier {
    range: Range<usize>,
    weight: u64,
    alias: Arc<Alias>,
    balancers: [Option<Arc<dyn Balancer>>; ALGORITHMS],
}

impl Tier {
    /// The tier of `members[range]`. What `previous` holds is taken over where its members were
    /// the same, so that turns go on where they were.
    pub(crate) fn new(
        members: &[Member],
        range: Range<usize>,
        algorithms: impl Iterator<Item = Algorithm>,
        previous: Option<(&Self, &[Member])>,
        seed: u64,
    ) -> Self {
        let own = &members[range.clone()];
        let previous = previous
            .filter(|(tier, members)| same(own, tier.members(members)))
            .map(|(tier, _)| tier);
        let mut balancers = [const { None }; ALGORITHMS];
        for algorithm in algorithms {
            let index = algorithm as usize;
            let kept = previous.and_then(|tier| tier.balancers[index].clone());
            balancers[index] = Some(kept.unwrap_or_else(|| build::balancer(algorithm, own, seed)));
        }
        let weights: Vec<u32> = own.iter().map(|member| member.weight).collect();
        Self {
            range,
            weight: weights.iter().map(|&weight| u64::from(weight)).sum(),
            alias: previous.map_or_else(
                || Arc::new(Alias::new(&weights)),
                |tier| Arc::clone(&tier.alias),
            ),
            balancers,
        }
    }

    /// Its own among all of the upstream's members.
    pub(crate) fn members<'a>(&self, members: &'a [Member]) -> &'a [Member] {
        &members[self.range.clone()]
    }

    /// Position of its first member.
    pub(crate) const fn offset(&self) -> usize {
        self.range.start
    }

    pub(crate) fn alias(&self) -> &Alias {
        &self.alias
    }

    /// The sum of the weights.
    pub(crate) const fn weight(&self) -> u64 {
        self.weight
    }

    /// The balancer of an algorithm, if it was built.
    pub(crate) fn balancer(&self, algorithm: Algorithm) -> Option<&dyn Balancer> {
        self.balancers[algorithm as usize].as_deref()
    }
}

fn same(left: &[Member], right: &[Member]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left.weight == right.weight && left.endpoint.address() == right.endpoint.address()
        })
}
