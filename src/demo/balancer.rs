//! The balancer of the demo: the real server, in this process.

use std::sync::Arc;

use super::live::Totals;
use crate::config;
use crate::control::reload::Source;
use crate::observe::metrics::Metrics;
use crate::server::{Interrupt, Options, Server};
use crate::state::Reason;

/// A balancer that is put together, to be run by the demo.
pub struct Balancer {
    /// Reads its counters; called once a second from another thread.
    pub totals: Box<dyn Fn() -> Totals + Send>,
    /// Serves until the process is asked to stop (Ctrl-C, SIGTERM), and drains. It blocks, and may end the process itself.
    pub run: Box<dyn FnOnce() -> Result<(), String>>,
}

/// Puts a balancer together from a configuration's text.
///
/// The process's environment is left out: the demo's configuration is complete.
pub fn start(text: &str) -> Result<Balancer, String> {
    let config = config::load(text, "demo", &|_| None).map_err(|errors| errors.to_string())?;
    let options = Options {
        interrupt: Interrupt::Drain,
        source: Source {
            path: None,
            text: text.to_owned(),
        },
        ..Options::default()
    };
    let server = Server::new(config, options).map_err(|error| error.to_string())?;
    let metrics = server.metrics();
    Ok(Balancer {
        totals: Box::new(move || totals(&metrics)),
        run: Box::new(move || {
            server.run();
            Ok(())
        }),
    })
}

/// Adds the counters up over all routes and upstreams.
fn totals(metrics: &Arc<Metrics>) -> Totals {
    let mut totals = Totals::default();
    for family in metrics.gather() {
        for metric in family.get_metric() {
            let label = |name: &str| {
                let found = metric.get_label().iter().find(|label| label.name() == name);
                found.map_or("", |label| label.value())
            };
            match family.name() {
                "evenkeel_requests_total" => {
                    let count = whole(metric.get_counter().get_value());
                    totals.requests += count;
                    if label("code").starts_with('5') {
                        totals.errors += count;
                    }
                }
                "evenkeel_backend_in_flight" => {
                    totals.in_flight += whole(metric.get_gauge().get_value());
                }
                "evenkeel_backend_state_reason" if label("reason") != Reason::Healthy.label() => {
                    let backend = label("backend").to_owned();
                    totals.remarks.push((backend, label("reason").to_owned()));
                }
                "evenkeel_request_duration_seconds" => add(&mut totals, metric.get_histogram()),
                "evenkeel_backend_picks_total" => {
                    let count = whole(metric.get_counter().get_value());
                    let backend = label("backend");
                    match totals.backends.iter_mut().find(|(name, _)| name == backend) {
                        Some((_, picks)) => *picks += count,
                        None => totals.backends.push((backend.to_owned(), count)),
                    }
                }
                _ => {}
            }
        }
    }
    totals
}

fn add(totals: &mut Totals, histogram: &prometheus::proto::Histogram) {
    let finite = histogram.get_bucket().iter();
    let finite = finite.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let all = finite
        .filter(|(bound, _)| bound.is_finite())
        .chain([(f64::INFINITY, histogram.get_sample_count())]);
    for (bound, count) in all {
        let same = |entry: &&mut (f64, u64)| entry.0.total_cmp(&bound).is_eq();
        match totals.latency.iter_mut().find(same) {
            Some((_, sum)) => *sum += count,
            None => totals.latency.push((bound, count)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and gauges of counts are whole and not negative"
)]
const fn whole(count: f64) -> u64 {
    count as u64
}
