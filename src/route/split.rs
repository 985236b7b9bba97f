//! Weighted traffic splits.
//!
//! A random draw is exact in the long run and knows nothing of the client. The
//! stable choice gives the same client the same upstream: weighted rendezvous
//! hashing, in which each upstream scores `-ln(u) / weight` with `u` a uniform
//! number drawn from the hash of client and upstream, and the lowest score wins
//! (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005). When
//! one weight changes, only clients that move to or from that upstream move at
//! all, as few as the new shares require.

use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::Split;

/// The upstream for a uniformly random `draw`, in proportion to the weights;
/// `None` when no weight is positive.
#[must_use]
pub fn random(splits: &[Split], draw: u64) -> Option<usize> {
    let total: u64 = splits.iter().map(|split| u64::from(split.weight)).sum();
    // The high half of the product is a number below `total`.
    let mut point = (u128::from(draw) * u128::from(total)) >> 64;
    splits
        .iter()
        .find(|split| {
            let weight = u128::from(split.weight);
            let inside = point < weight;
            point = point.saturating_sub(weight);
            inside
        })
        .map(|split| split.upstream)
}

/// The upstream that the client of this `key` always gets; `None` when no weight
/// is positive.
///
/// `identity` is a number that an upstream keeps over reloads, such as
/// [`identity`] of its name: positions move when an upstream is added.
#[must_use]
pub fn stable(splits: &[Split], key: u64, identity: impl Fn(usize) -> u64) -> Option<usize> {
    splits
        .iter()
        .filter(|split| split.weight > 0)
        .map(|split| (score(key, identity(split.upstream), split.weight), split))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, split)| split.upstream)
}

/// A number for a name, the same in every process.
#[must_use]
pub fn identity(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The key of a client known by its address only.
#[must_use]
pub fn client_key(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => xxh3_64(&address.octets()),
        IpAddr::V6(address) => xxh3_64(&address.octets()),
    }
}

fn score(key: u64, identity: u64, weight: u32) -> f64 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&key.to_le_bytes());
    seed[8..].copy_from_slice(&identity.to_le_bytes());
    // 53 bits fill a double's mantissa; the half keeps the logarithm finite.
    let uniform = ((xxh3_64(&seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -uniform.ln() / f64::from(weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENTS: u64 = 20_000;

    fn splits(weights: &[u32]) -> Vec<Split> {
        let splits = weights.iter().enumerate();
        splits
            .map(|(upstream, &weight)| Split { upstream, weight })
            .collect()
    }

    fn id(upstream: usize) -> u64 {
        identity(&format!("upstream-{upstream}"))
    }

    fn assign(weights: &[u32]) -> Vec<usize> {
        let splits = splits(weights);
        (0..CLIENTS)
            .map(|key| stable(&splits, key, id).unwrap())
            .collect()
    }

    fn share(chosen: &[usize], upstream: usize) -> f64 {
        let count = chosen.iter().filter(|&&one| one == upstream).count();
        count as f64 / chosen.len() as f64
    }

    #[test]
    fn random_draws_follow_the_weights_exactly() {
        let splits = splits(&[95, 0, 5]);
        let step = u64::MAX / 10_000;
        let chosen: Vec<_> = (0..10_000)
            .map(|at| random(&splits, at * step + step / 2).unwrap())
            .collect();
        assert!((share(&chosen, 0) - 0.95).abs() < 0.001);
        assert!(share(&chosen, 1) == 0.0);
        assert_eq!(random(&splits, 0), Some(0));
        assert_eq!(random(&splits, u64::MAX), Some(2));
    }

    #[test]
    fn nothing_to_choose_from_is_none() {
        assert_eq!(random(&[], 7), None);
        assert_eq!(stable(&[], 7, id), None);
        assert_eq!(random(&splits(&[0, 0]), 7), None);
        assert_eq!(stable(&splits(&[0, 0]), 7, id), None);
    }

    #[test]
    fn stable_shares_follow_the_weights() {
        let chosen = assign(&[70, 20, 10, 0]);
        for (upstream, wanted) in [(0, 0.7), (1, 0.2), (2, 0.1), (3, 0.0)] {
            assert!((share(&chosen, upstream) - wanted).abs() < 0.015);
        }
    }

    #[test]
    fn a_changed_weight_moves_only_the_difference() {
        let before = assign(&[95, 5]);
        let after = assign(&[90, 10]);
        let moved: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
        assert!(moved.iter().all(|&(&from, &to)| (from, to) == (0, 1)));
        let moved_share = moved.len() as f64 / CLIENTS as f64;
        assert!((moved_share - 0.05).abs() < 0.01, "{moved_share}");
    }

    #[test]
    fn a_new_upstream_takes_from_the_others_only() {
        let before = assign(&[50, 50]);
        let after = assign(&[50, 50, 25]);
        for (from, to) in before.iter().zip(&after) {
            assert!(from == to || *to == 2);
        }
    }

    #[test]
    fn positions_do_not_matter_to_the_stable_choice() {
        let name = ["a", "b"];
        let moved = ["new", "a", "b"];
        for key in 0..500 {
            let before = stable(&splits(&[1, 1]), key, |at| identity(name[at])).unwrap();
            let after = [(1, 1), (2, 1)].map(|(upstream, weight)| Split { upstream, weight });
            let after = stable(&after, key, |at| identity(moved[at])).unwrap();
            assert_eq!(name[before], moved[after]);
        }
    }

    #[test]
    fn a_mapped_address_is_the_same_client() {
        let plain = client_key("192.0.2.1".parse().unwrap());
        assert_eq!(plain, client_key("::ffff:192.0.2.1".parse().unwrap()));
        assert_ne!(plain, client_key("192.0.2.2".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn only_positive_weights_are_chosen(
            weights in prop::collection::vec(0..=u32::MAX, 0..8),
            number: u64,
        ) {
            let splits = splits(&weights);
            for chosen in [random(&splits, number), stable(&splits, number, id)] {
                match chosen {
                    Some(upstream) => prop_assert!(weights[upstream] > 0),
                    None => prop_assert!(weights.iter().all(|&weight| weight == 0)),
                }
            }
        }
    }
}
