//! What the load of an upstream is told by: queries to Prometheus, and what the balancer itself
//! sees.
//!
//! Every signal becomes a load in full backends, so that all of them compare. A
//! signal that cannot be read says why instead, and never a number that might
//! stand for "nothing to do": no traffic and no measurement look alike, and only
//! one of them is a reason to stop a backend.
//!
//! A query that fails is not asked again at once. The waits follow the full
//! jitter of Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog,
//! 2015), so that many balancers do not come back to a Prometheus together.
//! Where only the data are not good enough, it is asked as ever: the answer cost
//! little, and the next one may be good.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

pub use live::{Live, Recent};

use super::decide::Reading;
use super::prometheus::{Client, QueryError};
use crate::clock::Moment;
use crate::config::{ScaleTarget, Signal, SignalKind};
use backoff::Backoff;

mod backoff;
mod live;

/// The signals of one target.
#[derive(Debug)]
pub struct Signals {
    sources: Vec<Source>,
    prometheus: Option<Arc<Client>>,
}

/// One signal.
#[derive(Debug)]
struct Source {
    measure: Measure,
    backoff: Backoff,
}

#[derive(Debug)]
enum Measure {
    Query {
        promql: String,
        full: f64,
        /// What to check where it finds nothing.
        hint: Option<String>,
    },
    Requests(f64),
    InFlight(f64),
    Queue(f64),
    P95(Duration),
}

impl Signals {
    /// Those of a target, in its order. `prometheus` is asked where a signal needs it.
    #[must_use]
    pub fn new(target: &ScaleTarget, prometheus: Option<Arc<Client>>) -> Self {
        let source = |signal: &Signal| Source {
            measure: measure(&signal.kind, &target.upstream),
            backoff: Backoff::default(),
        };
        Self {
            sources: target.signals.iter().map(source).collect(),
            prometheus,
        }
    }

    /// What all of them say, in the order of the target's. All queries run at the same time and end
    /// with Prometheus's timeout. `random` decides when a query that fails is asked again. Cancelled,
    /// a query that fails meanwhile is asked again at once.
    pub async fn read(&mut self, live: &Live, now: Moment, random: u64) -> Vec<Reading> {
        let client = self.prometheus.as_deref();
        let sources = self.sources.iter_mut().zip(0_u64..);
        let readings = sources.map(|(source, index)| {
            let roll = roll(random, index);
            async move {
                match source.read(client, live, now, roll).await {
                    Ok(reading) => reading,
                    Err(why) => Reading::Failed(why),
                }
            }
        });
        join_all(readings).await
    }
}

impl Source {
    async fn read(
        &mut self,
        client: Option<&Client>,
        live: &Live,
        now: Moment,
        roll: f64,
    ) -> Result<Reading, String> {
        match &self.measure {
            Measure::Query { promql, full, hint } => {
                let client = client.ok_or("no `autoscaler.prometheus` is configured")?;
                if let Some(why) = self.backoff.reason(now) {
                    return Err(why.to_owned());
                }
                let answer = client.query(promql).await;
                let error = match answer {
                    Ok(values) => {
                        self.backoff.reset();
                        return total(&values, *full);
                    }
                    Err(error) => error,
                };
                let why = match (&error, hint) {
                    (QueryError::NoData, Some(hint)) => hint.clone(),
                    _ => error.to_string(),
                };
                if error.is_of_the_data() {
                    self.backoff.reset();
                } else {
                    self.backoff.failed(&why, now, roll);
                }
                Err(why)
            }
            Measure::Requests(full) => shared(live, |recent| recent.requests / full),
            Measure::InFlight(full) => shared(live, |recent| recent.in_flight / full),
            Measure::Queue(full) => shared(live, |recent| recent.waiting / full),
            Measure::P95(full) => slowness(live, *full),
        }
    }
}

/// The processor time of the containers that carry the label `evenkeel.upstream` with this name, one
/// sample for each, 1 where it uses all of its limit.
///
/// cAdvisor tells the time by container and, if it is told to, by processor, and the limit as a
/// quota of microseconds in a period; containers without a limit have no quota and no sample.
/// `irate` compares the last two scrapes: `rate` divides by the whole window, which makes a
/// container that is younger than it look idle. The window has room for two scrapes that are a
/// minute apart; a container that is gone counts for at most so long. `max` leaves one where two
/// jobs scrape the same cAdvisor.
#[must_use]
pub fn cpu_query(upstream: &str) -> String {
    let name = upstream.replace('\\', "\\\\").replace('"', "\\\"");
    let of = format!("{{container_label_evenkeel_upstream=\"{name}\"}}");
    format!(
        "max by (id) (sum without (cpu) (irate(container_cpu_usage_seconds_total{of}[2m]))) / on (id) \
         max by (id) (container_spec_cpu_quota{of} / container_spec_cpu_period{of})"
    )
}

fn measure(kind: &SignalKind, upstream: &str) -> Measure {
    match kind {
        SignalKind::Cpu { query: None } => Measure::Query {
            promql: cpu_query(upstream),
            full: 1.0,
            hint: Some(format!(
                "Prometheus has no CPU time and limit of containers labelled `evenkeel.upstream={upstream}`: \
                 check that it scrapes cAdvisor, that cAdvisor keeps this label, and that the containers have a CPU limit"
            )),
        },
        SignalKind::Cpu { query: Some(query) } => Measure::Query {
            promql: query.clone(),
            full: 1.0,
            hint: None,
        },
        SignalKind::Query { query, full } => Measure::Query {
            promql: query.clone(),
            full: *full,
            hint: None,
        },
        SignalKind::Requests { full } => Measure::Requests(*full),
        SignalKind::InFlight { full } => Measure::InFlight(*full),
        SignalKind::Queue { full } => Measure::Queue(*full),
        SignalKind::P95 { full } => Measure::P95(*full),
    }
}

/// The samples of a query, one for each backend.
fn total(values: &[f64], full: f64) -> Result<Reading, String> {
    if let Some(value) = values.iter().find(|value| **value < 0.0) {
        // Beside others it would hide their load.
        return Err(format!(
            "a sample is {value}, and no load is negative: check the query"
        ));
    }
    let reporting = u32::try_from(values.len()).unwrap_or(u32::MAX);
    measured(values.iter().sum::<f64>() / full, reporting)
}

/// A measure that grows with the traffic, over all that serve.
fn shared(live: &Live, load: impl FnOnce(&Recent) -> f64) -> Result<Reading, String> {
    let (serving, recent) = traffic(live)?;
    measured(load(recent), serving)
}

/// Response times, which do not add up: each of those that serve is as full as they are slow.
fn slowness(live: &Live, full: Duration) -> Result<Reading, String> {
    let (serving, recent) = traffic(live)?;
    let p95 = match recent.p95 {
        Some(p95) => p95,
        None if recent.is_idle() => 0.0,
        // Backends that hang are no idle ones.
        None => return Err("requests are under way and none was answered".to_owned()),
    };
    measured(p95 / full.as_secs_f64() * f64::from(serving), serving)
}

fn traffic(live: &Live) -> Result<(u32, &Recent), String> {
    if live.serving == 0 {
        return Err("no backend serves".to_owned());
    }
    let recent = live.recent.as_ref();
    let recent = recent.ok_or("the traffic of the last ten seconds is not measured")?;
    Ok((live.serving, recent))
}

fn measured(load: f64, reporting: u32) -> Result<Reading, String> {
    if load.is_finite() && load >= 0.0 {
        Ok(Reading::Measured { load, reporting })
    } else {
        Err(format!("it comes to {load}, which is no load"))
    }
}

/// A number in 0..1 for each index, by one random number: splitmix64 (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014).
fn roll(random: u64, index: u64) -> f64 {
    let mut z = random.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
