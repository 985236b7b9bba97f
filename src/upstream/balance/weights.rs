//! Weights made small enough for tables.

/// The weights in their smallest whole ratio. Where even that sums up to more than `limit`, they
/// are scaled down to about `limit` and rounded, each to at least 1; a share is then off by up to
/// half a part in `limit`, and that of a weight that would round to nothing is larger.
pub(super) fn reduced(weights: &[u32], limit: u32) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights.iter().map(|&w| u64::from(w / divisor)).sum();
    let limit = u64::from(limit);
    weights
        .iter()
        .map(|&weight| {
            let weight = weight / divisor;
            if total <= limit {
                return weight;
            }
            let scaled = (u64::from(weight) * limit + total / 2) / total;
            u32::try_from(scaled).unwrap_or(weight).max(1)
        })
        .collect()
}

fn gcd(left: u32, right: u32) -> u32 {
    if right == 0 {
        left
    } else {
        gcd(right, left % right)
    }
}

#[cfg(test)]
mod tests {
    use super::reduced;

    #[test]
    fn divides_by_the_common_divisor() {
        assert_eq!(reduced(&[100, 300, 200], 1_000), [1, 3, 2]);
        assert_eq!(reduced(&[], 10), [0_u32; 0]);
    }

    #[test]
    fn scales_what_is_too_large() {
        assert_eq!(reduced(&[65_535, 65_534, 1], 1_000), [500, 500, 1]);
    }
}
