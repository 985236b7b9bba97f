//! How much a backend's mean response time varies by chance.
//!
//! Where one request in twenty takes twenty times longer than the others, the
//! means of twenty requests differ by a factor of two with nobody to blame. How
//! much is to be expected shows in how means differ from one time to the next.
//! Logarithms are compared, because what counts is by which factor they differ.

use super::tally::Sample;

/// Assumed before anything was measured: about that of exponential times.
const FIRST: f64 = 0.5;
/// What a comparison adds to the average at least; the first few add as much as they are.
const SMOOTHING: f64 = 0.1;
/// Comparisons that tell something.
const ENOUGH: u32 = 3;
/// A squared difference beyond so many times the average is a change and not chance; so much of it
/// counts all the same, should it have been chance.
const MOST: f64 = 9.0;

/// Variance of the logarithm of one request's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scatter {
    variance: f64,
    compared: u32,
}

impl Default for Scatter {
    fn default() -> Self {
        Self {
            variance: FIRST,
            compared: 0,
        }
    }
}

impl Scatter {
    /// Takes in that a backend's mean was the one and then the other.
    pub(crate) fn add(&mut self, before: Sample, after: Sample) {
        if before.mean <= 0.0 || after.mean <= 0.0 {
            return;
        }
        let factor = (after.mean / before.mean).ln();
        let seen = factor * factor / expected(1.0, before.requests, after.requests);
        self.compared = self.compared.saturating_add(1);
        let share = (1.0 / (f64::from(self.compared) + 1.0)).max(SMOOTHING);
        self.variance += share * (seen.min(self.variance * MOST) - self.variance);
    }

    /// Whether it rests on more than an assumption and a chance or two.
    pub(crate) const fn is_known(self) -> bool {
        self.compared >= ENOUGH
    }

    /// The standard error of the logarithm of the factor between two means of so many requests.
    pub(crate) fn error(self, requests: u32, others: u32) -> f64 {
        expected(self.variance, requests, others).sqrt()
    }

    /// What is usual among these, so that the one whose speed has just changed does not count.
    pub(crate) fn usual(among: impl Iterator<Item = Self>) -> Option<Self> {
        let mut among: Vec<Self> = among.collect();
        let middle = among.len().checked_sub(1)? / 2;
        among.sort_unstable_by(|a, b| a.variance.total_cmp(&b.variance));
        Some(among[middle])
    }
}

/// Variance of the logarithm of the factor between two means.
fn expected(variance: f64, requests: u32, others: u32) -> f64 {
    let share = |requests: u32| 1.0 / f64::from(requests.max(1));
    variance * (share(requests) + share(others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::draw::Draws;

    fn sample(requests: u32, mean: f64) -> Sample {
        Sample { requests, mean }
    }

    /// Means of requests of which one in twenty takes twenty times longer.
    fn measured(requests: u32) -> Scatter {
        let mut draws = Draws::new(1);
        let mut mean = || {
            let large = (0..requests).filter(|_| draws.below(20) == 0).count();
            sample(requests, 1.0 + 19.0 * large as f64 / f64::from(requests))
        };
        let mut scatter = Scatter::default();
        let mut before = mean();
        for _ in 0..1_000 {
            let after = mean();
            scatter.add(before, after);
            before = after;
        }
        scatter
    }

    #[test]
    fn finds_the_variance_whatever_the_number_of_requests() {
        // The times' own variance is 17.1, their mean 1.95: 4.5 relative to its square.
        for requests in [100, 1_000] {
            let error = measured(requests).error(requests, requests);
            let wanted = (4.5 * 2.0 / f64::from(requests)).sqrt();
            assert!((error / wanted - 1.0).abs() < 0.4, "{error} of {wanted}");
        }
    }

    #[test]
    fn a_change_counts_little() {
        let mut scatter = Scatter::default();
        for mean in [10.0, 11.0, 9.0, 10.0, 11.0, 10.0, 9.0, 10.0, 11.0, 10.0] {
            scatter.add(sample(100, 10.0), sample(100, mean));
        }
        let before = scatter.error(100, 100);
        scatter.add(sample(100, 10.0), sample(100, 1_000.0));
        assert!(scatter.error(100, 100) < before * 1.5);
    }

    #[test]
    fn the_usual_is_the_lower_middle() {
        let of = |variance| Scatter {
            variance,
            compared: 0,
        };
        let usual = |variances: &[f64]| {
            Scatter::usual(variances.iter().map(|&variance| of(variance))).map(|s| s.variance)
        };
        assert_eq!(usual(&[]), None);
        assert_eq!(usual(&[3.0, 1.0]), Some(1.0));
        assert_eq!(usual(&[3.0, 9.0, 1.0]), Some(3.0));
    }
}
