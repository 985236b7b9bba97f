//! Asks a Prometheus server, or what speaks its HTTP API, by `PromQL`.
//!
//! What comes back decides how many backends there are, so an answer counts only
//! when it is whole: one sample that is no number, a warning, or a time that is
//! long ago makes it an error, which says whose fault it is and what to do. Every
//! query has a connection of its own: there is one every few seconds, and a
//! connection that went stale in between would be one more thing to fail.
//! Nothing is tried again here; when to ask again is for `signals` to know.

use std::time::Duration;

pub use error::QueryError;

use answer::{Data, Range, Series};
use transport::{Place, Reply};

use crate::{clock, config};

mod answer;
mod error;
mod transport;

/// Below this the clocks of two machines would decide what is old.
const LEAST_MAX_AGE: Duration = Duration::from_secs(10);

/// Points asked for at once; Prometheus refuses more than 11,000.
const POINTS_AT_ONCE: u32 = 10_000;

/// Points of a whole range: eleven days at five seconds.
const MAX_POINTS: u32 = 200_000;

/// A Prometheus server.
#[derive(Debug)]
pub struct Client {
    place: Place,
    timeout: Duration,
    /// How far from the present the time of a sample may be.
    max_age: Duration,
}

impl Client {
    /// For queries every `interval`: samples that are more than two of it old are not believed.
    /// Fails when the address or the token cannot be used, or when it is `https://` and the machine
    /// has no certificates to trust.
    pub fn new(config: &config::Prometheus, interval: Duration) -> Result<Self, String> {
        Ok(Self {
            place: Place::new(config)?,
            timeout: config.timeout,
            max_age: (2 * interval).max(LEAST_MAX_AGE),
        })
    }

    /// The values of an instant vector at present, one for each series and never none; a scalar is
    /// one. All of them are numbers.
    pub async fn query(&self, promql: &str) -> Result<Vec<f64>, QueryError> {
        let data = self.ask("query", promql, &[]).await?;
        let now = clock::unix_millis() as f64 / 1000.0;
        let series = match data {
            Data::Vector(series) => series,
            Data::Scalar(sample) => vec![Series::from(sample)],
            Data::Matrix(_) => return Err(QueryError::WrongType("a range vector")),
            Data::String(_) => return Err(QueryError::WrongType("a string")),
        };
        if series.is_empty() {
            return Err(QueryError::NoData);
        }
        let values = series.iter();
        values.map(|one| one.value(now, self.max_age)).collect()
    }

    /// The points of the first series from `start` to `end`, seconds since 1970, `step` apart:
    /// times that grow, and values that are numbers. What is missing or no number is left out.
    pub async fn query_range(
        &self,
        promql: &str,
        start: f64,
        end: f64,
        step: Duration,
    ) -> Result<Vec<(f64, f64)>, QueryError> {
        let step = step.as_secs_f64();
        let count = point_count(start, end, step)?;
        let mut points: Vec<(f64, f64)> = Vec::new();
        for first in (0..count).step_by(POINTS_AT_ONCE as usize) {
            let last = (first + POINTS_AT_ONCE).min(count) - 1;
            let bounds = [
                ("start", start + step * f64::from(first)),
                ("end", start + step * f64::from(last)),
                ("step", step),
            ];
            let bounds = bounds.map(|(name, value)| (name, value.to_string()));
            let found = match self.ask("query_range", promql, &bounds).await? {
                Data::Matrix(ranges) => ranges.into_iter().next(),
                _ => return Err(self.foreign("a range query is answered without a range")),
            };
            for (at, value) in found.map(Range::points).transpose()?.unwrap_or_default() {
                if points.last().is_none_or(|(last, _)| *last < at) {
                    points.push((at, value));
                }
            }
        }
        if points.is_empty() {
            return Err(QueryError::NoData);
        }
        Ok(points)
    }

    fn foreign(&self, what: &str) -> QueryError {
        QueryError::Foreign {
            server: self.place.url().to_owned(),
            what: what.to_owned(),
        }
    }

    async fn ask(
        &self,
        call: &str,
        promql: &str,
        more: &[(&str, String)],
    ) -> Result<Data, QueryError> {
        // The server gives up when nobody waits any more.
        let limit = self.timeout.as_secs_f64().to_string();
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", promql)
            .append_pair("timeout", &limit)
            .extend_pairs(more)
            .finish();
        let asked = self.place.post(call, form);
        let reply = tokio::time::timeout(self.timeout, asked).await;
        let reply: Reply = reply.map_err(|_| QueryError::TimedOut {
            server: self.place.url().to_owned(),
            within: self.timeout,
        })??;
        answer::read(self.place.url(), &reply)
    }
}

/// The points from `start` to `end`, where there are some and not too many.
fn point_count(start: f64, end: f64, step: f64) -> Result<u32, QueryError> {
    let count = ((end - start) / step).floor() + 1.0;
    if step > 0.0 && (1.0..=f64::from(MAX_POINTS)).contains(&count) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and MAX_POINTS"
        )]
        return Ok(count as u32);
    }
    Err(QueryError::BadQuery(format!(
        "1 to {MAX_POINTS} points can be asked for, not those from {start} to {end} every {step} s"
    )))
}

#[cfg(test)]
mod tests;
