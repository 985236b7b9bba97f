//! By the hash key in a Maglev table (Eisenbud et al., NSDI 2016).
//!
//! Every backend has its own permutation of the table's entries and claims the
//! next free one whenever its turn comes; turns come in proportion to the
//! weights. The result is almost perfectly even, one look decides, and when a
//! backend leaves, hardly more than its own entries change hands. The order of
//! turns follows the hash of the addresses, so instances that list the backends
//! differently build the same table.
//!
//! The table has 65,537 entries (a prime, 128 KiB). The paper asks for a
//! hundred entries for each backend to keep shares within 1 %, which holds up
//! to 655 equal backends; 16,384, the most an upstream has, get 4 each. A
//! weight below a 65,537th of the total may get none and is then used only when
//! others are out.
//!
//! The keys of a backend that is out are placed again, by hashes that follow
//! from the key; the others stay.

use super::order::tell_order;
use super::{Balancer, Measure, Pick, Request};
use crate::upstream::draw::{Draws, scale};
use crate::upstream::eligible::Candidates;
use crate::upstream::hash_key::bytes_key;
use crate::upstream::member::Member;

const ENTRIES: u32 = 65_537;
/// Entries looked at for one key.
const LOOKS: usize = 8;

#[derive(Debug)]
pub(super) struct Maglev(Box<[u16]>);

impl Maglev {
    pub(super) fn new(members: &[Member]) -> Self {
        Self(table(members))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the result is below the table's length"
    )]
    fn entry(&self, hash: u64) -> Option<usize> {
        let at = scale(hash, self.0.len() as u64) as usize;
        self.0.get(at).copied().map(usize::from)
    }

    /// Whose the entries are that the key leads to: its own, and then what follows from it.
    fn looks(&self, key: u64, draws: &mut Draws) -> impl Iterator<Item = usize> {
        let mut hash = key;
        (0..LOOKS).map_while(move |_| {
            let index = self.entry(hash);
            hash = draws.next();
            index
        })
    }
}

impl Balancer for Maglev {
    fn pick(&self, candidates: &Candidates<'_>, request: &mut Request<'_>) -> Option<Pick> {
        let key = request.key();
        let mut draws = Draws::new(key);
        let found = self
            .looks(key, &mut draws)
            .find(|&index| candidates.is_eligible(index));
        found
            .or_else(|| candidates.draw_by_weight(&mut draws))
            .map(Pick::of)
    }

    fn measure(&self) -> Measure {
        Measure::Order
    }

    fn score(
        &self,
        candidates: &Candidates<'_>,
        request: &Request<'_>,
        tell: &mut dyn FnMut(usize, f64),
    ) {
        let key = request.key();
        let mut draws = Draws::new(key);
        tell_order(candidates.len(), self.looks(key, &mut draws), tell);
    }
}

/// One backend's claim on the table.
struct Claim {
    index: u16,
    weight: u64,
    /// Turns earned, in units of the heaviest weight.
    credit: u64,
    next: u32,
    skip: u32,
}

impl Claim {
    fn new(index: u16, member: &Member) -> Self {
        let hash = address_hash(member);
        let below = |half: u64, bound: u32| {
            u32::try_from(half % u64::from(bound)).expect("a remainder of a u32")
        };
        Self {
            index,
            weight: u64::from(member.weight),
            credit: 0,
            next: below(hash >> 32, ENTRIES),
            skip: below(hash & 0xffff_ffff, ENTRIES - 1) + 1,
        }
    }

    /// Takes the next entry of its permutation that is free. There must be one.
    fn take(&mut self, table: &mut [Option<u16>]) {
        loop {
            let entry = &mut table[self.next as usize];
            self.next = (self.next + self.skip) % ENTRIES;
            if entry.is_none() {
                *entry = Some(self.index);
                return;
            }
        }
    }
}

fn table(members: &[Member]) -> Box<[u16]> {
    let mut claims: Vec<Claim> = (0..)
        .zip(members)
        .map(|(index, member)| Claim::new(index, member))
        .collect();
    claims.sort_by_key(|claim| address_hash(&members[usize::from(claim.index)]));
    let Some(heaviest) = claims.iter().map(|claim| claim.weight).max() else {
        return Box::default();
    };
    let mut table = vec![None; ENTRIES as usize];
    let mut free = table.len();
    while free > 0 {
        for claim in &mut claims {
            claim.credit += claim.weight;
            if claim.credit >= heaviest && free > 0 {
                claim.credit -= heaviest;
                claim.take(&mut table);
                free -= 1;
            }
        }
    }
    table.into_iter().flatten().collect()
}

fn address_hash(member: &Member) -> u64 {
    bytes_key(member.endpoint.address().to_string().as_bytes())
}
