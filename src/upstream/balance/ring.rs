//! The Ketama ring: where a key lies, and whose the points are from there on.
//!
//! The points are those of NGINX and of `pingora-ketama` (160 for each unit of
//! weight, a chain of CRC-32 of the address), which a test compares them with.
//! Its search is another: `pingora-ketama` halves the whole ring, and with
//! 1,000 backends each of those steps is a cache miss. Here a table tells for
//! each slice of the hash space where its few points begin, which lie side by
//! side with their owners: two misses at the most.

use std::net::SocketAddr;

use crc32fast::Hasher;

/// Points for each unit of weight.
const POINTS: u32 = 160;

/// About so many points lie in a slice: a cache line has room for eight.
const POINTS_IN_SLICE: usize = 4;

/// Bits of a hash.
const BITS: u32 = u32::BITS;

/// Where a packed point has its hash: above the number of its owner.
const OWNER_BITS: u32 = u16::BITS;

#[derive(Debug)]
pub(super) struct Ring {
    /// In rising order of their hashes, each of which is there once.
    points: Box<[u64]>,
    /// The first point that is not below each slice; one entry more than there are slices.
    slices: Box<[u32]>,
    /// What leaves of a hash the number of its slice.
    shift: u32,
}

impl Ring {
    /// The ring of these backends with their weights; a backend's number is its position.
    pub(super) fn new(backends: impl Iterator<Item = (SocketAddr, u32)>) -> Self {
        let mut points = Vec::new();
        for ((address, weight), owner) in backends.zip(0_u16..) {
            let hashes = hashes(address, weight);
            points.extend(hashes.map(|hash| u64::from(hash) << OWNER_BITS | u64::from(owner)));
        }
        points.sort_unstable();
        // Of two backends with the same point the first one has it.
        points.dedup_by_key(|point| hash(*point));
        let slices = (points.len() / POINTS_IN_SLICE).next_power_of_two();
        let shift = BITS - slices.ilog2();
        Self {
            slices: begins(&points, shift),
            points: points.into(),
            shift,
        }
    }

    /// The number of points.
    pub(super) const fn len(&self) -> usize {
        self.points.len()
    }

    /// The point that a key belongs to; 0 on an empty ring.
    pub(super) fn point_of(&self, key: &[u8]) -> usize {
        let hash = crc32fast::hash(key);
        let slice = slice(hash, self.shift);
        let (from, to) = (self.slices[slice] as usize, self.slices[slice + 1] as usize);
        let below = |&&point: &&u64| self::hash(point) < hash;
        let point = from + self.points[from..to].iter().take_while(below).count();
        if point < self.len() { point } else { 0 }
    }

    /// The number of the backend at a point.
    pub(super) fn owner(&self, point: usize) -> usize {
        usize::from(owner(self.points[point]))
    }
}

/// The points of one backend: each is the checksum of the address and the point before it.
fn hashes(address: SocketAddr, weight: u32) -> impl Iterator<Item = u32> {
    let mut hasher = Hasher::new();
    hasher.update(format!("{}\0{}", address.ip(), address.port()).as_bytes());
    (0..weight * POINTS).scan(0_u32, move |before, _| {
        let mut hasher = hasher.clone();
        hasher.update(&before.to_le_bytes());
        *before = hasher.finalize();
        Some(*before)
    })
}

/// Where the points of each slice begin, and the end.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a ring has fewer points than there are hashes"
)]
fn begins(points: &[u64], shift: u32) -> Box<[u32]> {
    let count = 1_usize << (BITS - shift);
    let mut point = 0;
    let mut starts: Vec<u32> = (0..count)
        .map(|number| {
            while point < points.len() && slice(hash(points[point]), shift) < number {
                point += 1;
            }
            point as u32
        })
        .collect();
    starts.push(points.len() as u32);
    starts.into()
}

/// On a ring of one slice everything is shifted out.
fn slice(hash: u32, shift: u32) -> usize {
    hash.checked_shr(shift).unwrap_or(0) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "packed that way")]
const fn hash(point: u64) -> u32 {
    (point >> OWNER_BITS) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "packed that way")]
const fn owner(point: u64) -> u16 {
    point as u16
}

#[cfg(test)]
mod tests {
    use pingora_ketama::{Bucket, Continuum};
    use proptest::prelude::*;

    use super::*;

    fn address(number: u16) -> SocketAddr {
        let [high, low] = number.to_be_bytes();
        SocketAddr::from(([10, 0, high, low], 8_000 + number % 7))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn keys_lie_where_pingoras_ring_has_them(
            weights in prop::collection::vec(1_u32..4, 1..60),
            keys in prop::collection::vec(any::<u64>(), 200),
        ) {
            let backends: Vec<_> = (0..).map(address).zip(weights).collect();
            let buckets: Vec<_> = backends.iter().map(|&(a, w)| Bucket::new(a, w)).collect();
            let theirs = Continuum::new(&buckets);
            let ours = Ring::new(backends.iter().copied());
            let mut same = 0;
            for key in &keys {
                let key = key.to_le_bytes();
                let owner = ours.owner(ours.point_of(&key));
                same += usize::from(theirs.node(&key) == Some(backends[owner].0));
            }
            // Whose a point is that two backends have is by chance with theirs.
            prop_assert!(same + 1 >= keys.len(), "{} of {}", same, keys.len());
        }
    }

    #[test]
    fn an_empty_ring_has_no_point_and_a_small_one_goes_round() {
        let empty = Ring::new(std::iter::empty());
        assert_eq!((empty.len(), empty.point_of(b"key")), (0, 0));
        let ring = Ring::new(std::iter::once((address(1), 1)));
        let last = hash(*ring.points.last().unwrap());
        let beyond = (0_u32..).map(u32::to_le_bytes);
        let mut beyond = beyond.filter(|key| crc32fast::hash(key) > last);
        assert_eq!(ring.point_of(&beyond.next().unwrap()), 0);
        assert!(ring.len() <= 160 && ring.len() > 150);
    }
}
