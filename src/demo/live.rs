//! The live line: what the balancer did in the last second.
//!
//! It is a pure function of two readings of counters that only grow, so it needs
//! no hook in the data plane and shows what `/metrics` shows.

use std::fmt;
use std::time::Duration;

use super::style::Style;

/// Counters since the start, over all routes and upstreams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Those of them answered with 500 or above, by a backend or in its stead.
    pub errors: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// Duration of requests: upper bounds in seconds, ascending, the last one infinite, each with
    /// the number of requests that took at most this long (cumulative, as in Prometheus).
    pub latency: Vec<(f64, u64)>,
    /// Requests sent to each backend, retries included, by its `host:port`.
    pub backends: Vec<(String, u64)>,
    /// Why backends do not get their full share now, by their `host:port`; those that do are absent.
    pub remarks: Vec<(String, String)>,
}

/// What happened between two readings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interval {
    requests_per_second: f64,
    p50: Option<Quantile>,
    p99: Option<Quantile>,
    /// Backends in the order of the later reading, each with its part of all picks.
    shares: Vec<(String, f64)>,
    remarks: Vec<(String, String)>,
    errors: u64,
    in_flight: u64,
}

/// A latency read from a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantile {
    /// About this many seconds.
    About(f64),
    /// More seconds than the last finite bound.
    Above(f64),
}

impl Interval {
    /// What happened from `before` to `after`, which is `elapsed` later.
    pub(super) fn between(before: &Totals, after: &Totals, elapsed: Duration) -> Self {
        let requests = after.requests.saturating_sub(before.requests);
        let latency = grown(&before.latency, &after.latency, |a, b| {
            a.total_cmp(b).is_eq()
        });
        let picks = grown(&before.backends, &after.backends, |a, b| a == b);
        let all_picks: u64 = picks.iter().map(|(_, picks)| picks).sum();
        let share = |picks: u64| {
            if all_picks == 0 {
                0.0
            } else {
                picks as f64 / all_picks as f64
            }
        };
        Self {
            requests_per_second: requests as f64 / elapsed.as_secs_f64().max(1e-3),
            p50: quantile(&latency, 0.50),
            p99: quantile(&latency, 0.99),
            shares: picks
                .into_iter()
                .map(|(name, picks)| (name, share(picks)))
                .collect(),
            remarks: after.remarks.clone(),
            errors: after.errors.saturating_sub(before.errors),
            in_flight: after.in_flight,
        }
    }

    /// Whether nothing happened and nothing is happening.
    pub(super) fn is_idle(&self) -> bool {
        self.requests_per_second <= 0.0 && self.in_flight == 0 && self.errors == 0
    }

    /// The line; `name` turns a backend's address into its name.
    pub(super) fn line(&self, style: Style, name: impl Fn(&str) -> String) -> String {
        if self.is_idle() {
            return style.dim("idle: no request in the last second");
        }
        let latency =
            |quantile: Option<Quantile>| quantile.map_or_else(|| "-".to_owned(), |q| q.to_string());
        let shares: Vec<String> = self
            .shares
            .iter()
            .map(|(backend, share)| {
                let remark = self.remarks.iter().find(|(other, _)| other == backend);
                let remark = remark.map_or_else(String::new, |(_, remark)| format!(" ({remark})"));
                let share = share * 100.0;
                format!(
                    "{} {share:>3.0}%{}",
                    style.bold(&name(backend)),
                    style.red(&remark)
                )
            })
            .collect();
        let errors = format!("errors {}", self.errors);
        format!(
            "{:>6.0} req/s | p50 {:>7} p99 {:>7} | {} | {} | in flight {}",
            self.requests_per_second,
            latency(self.p50),
            latency(self.p99),
            shares.join(" "),
            if self.errors > 0 {
                style.red(&errors)
            } else {
                errors
            },
            self.in_flight
        )
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, seconds) = match *self {
            Self::About(seconds) => ("", seconds),
            Self::Above(seconds) => (">", seconds),
        };
        let text = if seconds >= 0.9995 {
            format!("{sign}{seconds:.1} s")
        } else if seconds >= 0.00995 {
            format!("{sign}{:.0} ms", seconds * 1e3)
        } else {
            format!("{sign}{:.1} ms", seconds * 1e3)
        };
        f.pad(&text)
    }
}

/// By how much each counter grew; one that is new, or began anew, grew from zero.
fn grown<K: Clone>(
    before: &[(K, u64)],
    after: &[(K, u64)],
    same: impl Fn(&K, &K) -> bool,
) -> Vec<(K, u64)> {
    let earlier = |key: &K| {
        before
            .iter()
            .find(|(other, _)| same(other, key))
            .map_or(0, |(_, count)| *count)
    };
    after
        .iter()
        .map(|(key, count)| {
            (
                key.clone(),
                count.checked_sub(earlier(key)).unwrap_or(*count),
            )
        })
        .collect()
}

/// The `q`-quantile of a cumulative histogram, linear within a bucket as Prometheus's
/// `histogram_quantile` has it; `None` when it is empty.
fn quantile(buckets: &[(f64, u64)], q: f64) -> Option<Quantile> {
    let (_, total) = *buckets.last()?;
    if total == 0 {
        return None;
    }
    let rank = q * total as f64;
    let (mut lower, mut below) = (0.0, 0);
    for &(upper, count) in buckets {
        if count as f64 >= rank && count > below {
            if upper.is_infinite() {
                return Some(Quantile::Above(lower));
            }
            let part = (rank - below as f64) / (count - below) as f64;
            return Some(Quantile::About(lower + (upper - lower) * part));
        }
        (lower, below) = (upper, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn totals(requests: u64, latency: [u64; 4], backends: &[(&str, u64)]) -> Totals {
        let bounds = [0.001, 0.01, 0.1, f64::INFINITY];
        Totals {
            requests,
            latency: bounds.into_iter().zip(latency).collect(),
            backends: backends
                .iter()
                .map(|&(name, picks)| (name.to_owned(), picks))
                .collect(),
            ..Totals::default()
        }
    }

    fn line(interval: &Interval) -> String {
        interval.line(Style::PLAIN, str::to_owned)
    }

    #[test]
    fn the_line_shows_the_last_interval_only() {
        let before = totals(
            1_000,
            [1_000, 1_000, 1_000, 1_000],
            &[("a", 1_000), ("b", 0)],
        );
        let mut after = totals(
            1_100,
            [1_000, 1_050, 1_100, 1_100],
            &[("a", 1_025), ("b", 75)],
        );
        after.errors = 2;
        after.in_flight = 7;
        assert_eq!(
            line(&Interval::between(&before, &after, 2 * SECOND)),
            "    50 req/s | p50   10 ms p99   98 ms | a  25% b  75% | errors 2 | in flight 7"
        );
    }

    #[test]
    fn a_backend_that_is_out_says_why() {
        let mut after = totals(10, [10; 4], &[("a", 10), ("b", 0)]);
        after.remarks = vec![("b".to_owned(), "connect_failed".to_owned())];
        let interval = Interval::between(&Totals::default(), &after, SECOND);
        assert!(line(&interval).contains("| a 100% b   0% (connect_failed) |"));
    }

    #[test]
    fn nothing_is_idle() {
        let same = totals(5, [5, 5, 5, 5], &[("a", 5)]);
        let interval = Interval::between(&same, &same, SECOND);
        assert!(interval.is_idle());
        assert_eq!(line(&interval), "idle: no request in the last second");
    }

    #[test]
    fn requests_in_flight_alone_are_not_idle() {
        let mut busy = totals(0, [0; 4], &[("a", 0)]);
        busy.in_flight = 1;
        let interval = Interval::between(&Totals::default(), &busy, SECOND);
        assert_eq!(
            line(&interval),
            "     0 req/s | p50       - p99       - | a   0% | errors 0 | in flight 1"
        );
    }

    #[test]
    fn a_counter_that_is_new_or_began_anew_grew_from_zero() {
        let before = totals(0, [0; 4], &[("a", 100)]);
        let after = totals(40, [40; 4], &[("b", 30), ("a", 10)]);
        let shares = Interval::between(&before, &after, SECOND).shares;
        assert_eq!(shares, [("b".to_owned(), 0.75), ("a".to_owned(), 0.25)]);
    }

    #[test]
    fn no_elapsed_time_does_not_divide_by_zero() {
        let after = totals(1, [1; 4], &[]);
        assert!(
            Interval::between(&Totals::default(), &after, Duration::ZERO)
                .requests_per_second
                .is_finite()
        );
    }

    #[test]
    fn quantiles_are_linear_in_their_bucket() {
        let about = |buckets: &[(f64, u64)], q| match quantile(buckets, q) {
            Some(Quantile::About(seconds)) => seconds,
            other => panic!("{other:?}"),
        };
        let buckets = [(1.0, 0), (2.0, 10), (4.0, 20), (f64::INFINITY, 20)];
        assert!((about(&buckets, 0.5) - 2.0).abs() < 1e-9);
        assert!((about(&buckets, 0.75) - 3.0).abs() < 1e-9);
        assert!((about(&buckets, 0.25) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_beyond_the_bounds_says_so() {
        let buckets = [(10.0, 1), (f64::INFINITY, 2)];
        assert_eq!(quantile(&buckets, 0.99), Some(Quantile::Above(10.0)));
        assert_eq!(Quantile::Above(10.0).to_string(), ">10.0 s");
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[(f64::INFINITY, 0)], 0.5), None);
    }

    #[test]
    fn latencies_have_two_digits_or_so() {
        let text = |seconds| Quantile::About(seconds).to_string();
        assert_eq!(
            [0.00234, 0.0099, 0.00999, 0.0744, 0.9999, 2.5].map(text),
            ["2.3 ms", "9.9 ms", "10 ms", "74 ms", "1.0 s", "2.5 s"]
        );
    }
}
