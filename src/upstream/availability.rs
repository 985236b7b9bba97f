//! How many backends of each tier are available.
//!
//! Every selection needs the answer for the panic threshold, but it changes only
//! when a backend changes its state. It is counted once for each such change and
//! remembered together with the group's count of changes; a selection compares
//! the two and mostly finds the memory valid.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::group::Group;
use super::member::Member;
use super::tier::Tier;
use crate::state::Reason;

/// The backends of a tier that are available.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Up {
    /// How many.
    pub(crate) count: u32,
    /// How many could be: all but those that the operator or their own silence has taken out, and
    /// those that no check has found up yet.
    pub(crate) of: u32,
    /// The sum of the weights of those that are available.
    pub(crate) weight: u64,
}

/// The last count. `version` is the group's count of changes (upper half) and the number of
/// primaries and backups that are available (16 bits each); the rest are separate words, so a
/// reader may see them one change late.
#[derive(Debug)]
pub(crate) struct Availability {
    counted: AtomicU64,
    weights: [AtomicU64; 2],
    possible: [AtomicU32; 2],
}

impl Availability {
    pub(crate) fn new(tiers: &[Tier; 2], members: &[Member], group: &Group) -> Self {
        let new = Self {
            counted: AtomicU64::new(0),
            weights: [const { AtomicU64::new(0) }; 2],
            possible: [const { AtomicU32::new(0) }; 2],
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
        let up = |tier: usize, counted: u64| Up {
            count: u32::try_from(counted & 0xffff).unwrap_or(u32::MAX),
            of: self.possible[tier].load(Ordering::Relaxed),
            weight: self.weights[tier].load(Ordering::Relaxed),
        };
        [up(0, counted >> 16), up(1, counted)]
    }

    /// `changes` was read before the states are, so a change in between makes the next reader count again.
    fn count(&self, tiers: &[Tier; 2], members: &[Member], changes: u32) -> u64 {
        let mut counted = u64::from(changes) << 32;
        for (index, shift) in [(0, 16), (1, 0)] {
            let (mut count, mut of, mut weight) = (0_u64, 0, 0);
            for member in tiers[index].members(members) {
                let condition = &member.endpoint.condition;
                let (state, reason) = (condition.state(), condition.reason());
                of += u32::from(state.is_counted() && reason != Reason::NotChecked);
                if state.is_available() {
                    count += 1;
                    weight += u64::from(member.weight);
                }
            }
            counted |= count << shift;
            self.weights[index].store(weight, Ordering::Relaxed);
            self.possible[index].store(of, Ordering::Relaxed);
        }
        self.counted.store(counted, Ordering::Release);
        counted
    }
}
