//! The Ketama ring: where a key lies, and whose the points are from there on.
//!
//! The points are those of NGINX and of `pingora-ketama` (160 for each unit of
//! weight, a chain of CRC-32 of the address), which a test compares them with.
//! Its search is another: `pingora-ketama` halves the whole ring, and with
//! 1,000 backends each of those steps is a cache miss. Here a table tells where
//! the points begin whose hashes share their upper half, so each point keeps the
//! lower half only, beside its owner: 1,000 backends take less than a megabyte,
//! and a key costs two looks.

use std::net::SocketAddr;

use crc32fast::Hasher;

/// Points for each unit of weight.
const POINTS: u32 = 160;

/// Slices of the hash space: one for each upper half of a hash.
const SLICES: usize = 1 << u16::BITS;

#[derive(Debug)]
pub(super) struct Ring {
    /// In rising order of their hashes, each of which is there once: the lower half of the hash,
    /// then the number of the backend.
    points: Box<[u32]>,
    /// The first point of each slice, and the end.
    slices: Box<[u32]>,
}

impl Ring {
    /// The ring of these backends with their weights; a backend's number is its position.
    pub(super) fn new(backends: impl Iterator<Item = (SocketAddr, u32)>) -> Self {
        let mut points = Vec::new();
        for ((address, weight), owner) in backends.zip(0_u16..) {
            points.extend(hashes(address, weight).map(|hash| (hash, owner)));
        }
        points.sort_unstable();
        // Of two backends with the same point the first one has it.
        points.dedup_by_key(|(hash, _)| *hash);
        let pack = |&(hash, owner): &(u32, u16)| hash << u16::BITS | u32::from(owner);
        Self {
            points: points.iter().map(pack).collect(),
            slices: slices(&points),
        }
    }

    /// The number of points.
    pub(super) const fn len(&self) -> usize {
        self.points.len()
    }

    /// The point that a key belongs to; 0 on an empty ring.
    pub(super) fn point_of(&self, key: &[u8]) -> usize {
        let (slice, lower) = halves(crc32fast::hash(key));
        let slice = usize::from(slice);
        let (from, to) = (self.slices[slice] as usize, self.slices[slice + 1] as usize);
        let points = self.points[from..to].iter();
        let below = |&&point: &&u32| halves(point).0 < lower;
        let point = from + points.take_while(below).count();
        if point < self.len() { point } else { 0 }
    }

    /// The number of the backend at a point.
    pub(super) fn owner(&self, point: usize) -> usize {
        usize::from(halves(self.points[point]).1)
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
fn slices(points: &[(u32, u16)]) -> Box<[u32]> {
    let mut begins = Vec::with_capacity(SLICES + 1);
    for (point, (hash, _)) in points.iter().enumerate() {
        // All slices up to this point's begin with it, unless they have begun.
        let slice = usize::from(halves(*hash).0);
        begins.resize(begins.len().max(slice + 1), point as u32);
    }
    begins.resize(SLICES + 1, points.len() as u32);
    begins.into()
}

#[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
const fn halves(number: u32) -> (u16, u16) {
    ((number >> u16::BITS) as u16, number as u16)
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
        let keys = (0_u32..).map(u32::to_le_bytes);
        let highest = keys.take(100_000).max_by_key(|key| crc32fast::hash(key));
        assert_eq!(ring.point_of(&highest.unwrap()), 0);
        assert!(ring.len() <= 160 && ring.len() > 150);
    }
}
