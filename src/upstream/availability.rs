//! How many backends of each tier are up.
//!
//! Every selection needs the answer for the panic threshold, but it changes only
//! when a breaker opens or closes. It is counted once for each such change and
//! remembered together with the group's count of changes; a selection compares
//! the two and mostly finds the memory valid.

use std::sync::atomic::{AtomicU64, Ordering};

use super::group::Group;
use super::member::Member;
use super::tier::Tier;

/// The backends of a tier that are up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Up {
    /// How many.
    pub(crate) count: u32,
    /// The sum of their weights.
    pub(crate) weight: u64,
}

/// The last count. `version` is the group's count of changes (upper half) and the number of
/// primaries and backups that are up (16 bits each); the weights are separate words, so a reader
/// may see them one change late, which blurs a load bound and nothing else.
#[derive(Debug)]
pub(crate) struct Availability {
    counted: AtomicU64,
    weights: [AtomicU64; 2],
}

impl Availability {
    pub(crate) fn new(tiers: &[Tier; 2], members: &[Member], group: &Group) -> Self {
        let new = Self {
            counted: AtomicU64::new(0),
            weights: [const { AtomicU64::new(0) }; 2],
        };
        new.count(tiers, members, group.changes());
        new
    }

    /// What is up in each tier.
    pub(crate) fn get(&self, tiers: &[Tier; 2], members: &[Member], group: &Group) -> [Up; 2] {
        let changes = group.changes();
        let mut counted = self.counted.load(Ordering::Acquire);
        if counted >> 32 != u64::from(changes) {
            counted = self.count(tiers, members, changes);
        }
        let [primaries, backups] = &self.weights;
        [
            up(counted >> 16, primaries.load(Ordering::Relaxed)),
            up(counted, backups.load(Ordering::Relaxed)),
        ]
    }

    /// `changes` was read before the states are, so a change in between makes the next reader count again.
    fn count(&self, tiers: &[Tier; 2], members: &[Member], changes: u32) -> u64 {
        let mut counted = u64::from(changes) << 32;
        for ((tier, total), shift) in tiers.iter().zip(&self.weights).zip([16, 0]) {
            let mut count = 0_u64;
            let mut weight = 0;
            for member in tier.members(members) {
                if member.endpoint.is_up() {
                    count += 1;
                    weight += u64::from(member.weight);
                }
            }
            counted |= count << shift;
            total.store(weight, Ordering::Relaxed);
        }
        self.counted.store(counted, Ordering::Release);
        counted
    }
}

fn up(counted: u64, weight: u64) -> Up {
    let count = u32::try_from(counted & 0xffff).unwrap_or(u32::MAX);
    Up { count, weight }
}
