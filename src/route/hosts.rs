//! The host half of the index: one hash look-up for the exact host, and one for
//! each of its suffixes whose length some route's wildcard has.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::paths::PathIndex;
use super::precedence::{HostKey, Rule, rank};

type Map = HashMap<Box<str>, PathIndex, BuildHasherDefault<OneShot>>;

/// The path indexes of all hosts.
#[derive(Debug)]
pub(super) struct Hosts {
    exact: Map,
    suffixes: Map,
    suffix_lengths: Lengths,
    any: PathIndex,
}

impl Hosts {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut groups: HashMap<HostKey<'_>, Vec<usize>> = HashMap::new();
        for (position, rule) in rules.iter().enumerate() {
            for host in rule.hosts() {
                let group = groups.entry(host).or_default();
                // A pattern listed twice counts once.
                if group.last() != Some(&position) {
                    group.push(position);
                }
            }
        }
        let mut built = Self {
            exact: Map::default(),
            suffixes: Map::default(),
            suffix_lengths: Lengths::default(),
            any: PathIndex::default(),
        };
        for (host, positions) in groups {
            built.insert(host, index_paths(rules, host, positions));
        }
        built
    }

    fn insert(&mut self, host: HostKey<'_>, index: PathIndex) {
        match host {
            HostKey::Exact(host) => {
                self.exact.insert(host.into(), index);
            }
            HostKey::Suffix(suffix) => {
                self.suffix_lengths.insert(suffix.len());
                self.suffixes.insert(suffix.into(), index);
            }
            HostKey::Any => self.any = index,
        }
    }

    /// The path indexes that apply to `host`, the most specific first.
    pub(super) fn indexes<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a PathIndex> {
        let suffixes = host
            .bytes()
            .enumerate()
            .skip(1)
            .filter(|&(at, byte)| byte == b'.' && self.suffix_lengths.contains(host.len() - at))
            .filter_map(|(at, _)| self.suffixes.get(&host[at..]));
        self.exact
            .get(host)
            .into_iter()
            .chain(suffixes)
            .chain([&self.any])
    }
}

fn index_paths(rules: &[Rule], host: HostKey<'_>, mut positions: Vec<usize>) -> PathIndex {
    positions.sort_by_key(|&position| rank(&rules[position], host, position));
    PathIndex::new(
        positions
            .into_iter()
            .map(|position| (position, rules[position].path.as_ref())),
    )
}

/// A set of suffix lengths; from 255 on they share a place, which costs a
/// look-up and no mistake.
#[derive(Debug, Default)]
struct Lengths([u64; 4]);

impl Lengths {
    fn place(length: usize) -> (usize, u64) {
        let length = length.min(255);
        (length / 64, 1 << (length % 64))
    }

    fn insert(&mut self, length: usize) {
        let (word, bit) = Self::place(length);
        self.0[word] |= bit;
    }

    fn contains(&self, length: usize) -> bool {
        let (word, bit) = Self::place(length);
        self.0[word] & bit != 0
    }
}

/// XXH3 over the whole string at once. The table's keys come from the
/// configuration, so a client can choose no collisions.
#[derive(Default)]
struct OneShot(u64);

impl Hasher for OneShot {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The end mark of a string; strings are hashed alone, so it tells nothing.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
