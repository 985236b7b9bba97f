//! Randomness from a seed, and draws in proportion to weights.

/// A sequence of random numbers that one seed determines (`SplitMix64`, Steele et al., OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Whether any number was drawn since it began with this seed.
    pub(crate) const fn have_begun(&self, seed: u64) -> bool {
        self.0 != seed
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is positive.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }

    /// A position in a list of `len` entries, which is positive.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the result is below a usize"
    )]
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }
}

/// Maps a random number to one below `bound` without a division.
pub(crate) fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// Draws positions in proportion to their weights in constant time (alias method, Vose 1991).
#[derive(Debug)]
pub(crate) struct Alias(Box<[Column]>);

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Below this of 2^32, the column stands for itself, else for `other`.
    own: u64,
    other: u32,
}

const WHOLE: u64 = 1 << 32;

impl Alias {
    pub(crate) fn new(weights: &[u32]) -> Self {
        let len = weights.len() as u64;
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut columns: Vec<Column> = (0..)
            .zip(weights)
            .map(|(index, _)| Column {
                own: WHOLE,
                other: index,
            })
            .collect();
        // A column's height times `len`, so that `total` is the average.
        let mut heights: Vec<u64> = weights.iter().map(|&w| u64::from(w) * len).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&index| heights[index] < total);
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            columns[low] = Column {
                own: share_of_whole(heights[low], total),
                other: u32::try_from(high).unwrap_or(u32::MAX),
            };
            heights[high] -= total - heights[low];
            if heights[high] < total {
                large.pop();
                small.push(high);
            }
        }
        Self(columns.into())
    }

    /// The position that a random number stands for; `None` of an empty table.
    pub(crate) fn position(&self, random: u64) -> Option<usize> {
        let index = ((random >> 32) * self.0.len() as u64) >> 32;
        let column = self.0.get(index as usize)?;
        Some(if random % WHOLE < column.own {
            index as usize
        } else {
            column.other as usize
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a height below the average is a share below 2^32"
)]
fn share_of_whole(height: u64, total: u64) -> u64 {
    (u128::from(height) * u128::from(WHOLE) / u128::from(total)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn columns_add_up_to_the_weights(
            weights in prop::collection::vec(1_u32..=65_535, 1..50),
        ) {
            let alias = Alias::new(&weights);
            let mut shares = vec![0_u64; weights.len()];
            for (index, column) in alias.0.iter().enumerate() {
                shares[index] += column.own;
                shares[column.other as usize] += WHOLE - column.own;
            }
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            for (share, &weight) in shares.iter().zip(&weights) {
                let found = *share as f64 / (WHOLE as f64 * weights.len() as f64);
                let wanted = f64::from(weight) / total as f64;
                prop_assert!((found - wanted).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn an_empty_table_gives_nothing() {
        assert_eq!(Alias::new(&[]).position(7), None);
    }

    #[test]
    fn scaled_numbers_stay_below_the_bound() {
        assert_eq!(scale(0, 10), 0);
        assert_eq!(scale(u64::MAX, 10), 9);
        assert_eq!(scale(u64::MAX, 0), 0);
    }
}
