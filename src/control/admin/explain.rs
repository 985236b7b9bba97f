//! The calls that explain: one request that somebody thinks of, and the picks that were made.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Refused, json};
use super::api::Api;
use crate::clock;
use crate::config::Config;
use crate::control::explain;
use crate::control::explain::sample::{BadSample, Occasion, Sample};
use crate::observe::decisions::{ARMED_FOR, CAPACITY, Decision};
use crate::request::query;

/// Headers that a request may be explained with; as many as a listener takes.
pub(super) const MAX_HEADERS: usize = 256;

/// Picks that are told unless another number is asked for.
const DEFAULT_COUNT: usize = 50;

const EXAMPLE: &str = "such as ?method=GET&url=http://example.com/a&header=X-User:ann";

/// The last sampled picks.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Decided<'d> {
    /// Seconds for which picks are sampled from now on.
    armed_for: f64,
    /// The newest first.
    decisions: Vec<&'d Decision>,
}

/// The parameters of a request to explain, as they were given.
#[derive(Debug, Default)]
struct Parameters {
    method: Option<String>,
    url: Option<String>,
    client: Option<String>,
    listener: Option<String>,
    headers: Vec<String>,
}

/// `GET /api/v1/explain`: where a request would go at this moment.
pub(super) async fn explain<T>(
    State(api): State<Arc<Api<T>>>,
    uri: Uri,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    let parameters = parameters(&uri)?;
    let snapshot = api.published.load();
    let sample = parameters.sample(snapshot.config())?;
    let occasion = Occasion {
        now: clock::now(),
        unix_now: clock::unix_seconds(),
        random: rand::random(),
    };
    let report = explain::of_snapshot(&snapshot, &sample, occasion);
    Ok(json(StatusCode::OK, &report))
}

/// `GET /api/v1/decisions`: the last sampled picks. Asking for them has them sampled for a while.
pub(super) async fn decisions<T>(
    State(api): State<Arc<Api<T>>>,
    uri: Uri,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    let count = count(&uri)?;
    let last = api.seen.decisions.look(count, clock::now());
    let decided = Decided {
        armed_for: ARMED_FOR.as_secs_f64(),
        decisions: last.iter().map(AsRef::as_ref).collect(),
    };
    Ok(json(StatusCode::OK, &decided))
}

fn count(uri: &Uri) -> Result<usize, Refused> {
    let hint = format!("such as ?n={DEFAULT_COUNT}, from 1 to {CAPACITY}");
    let mut count = DEFAULT_COUNT;
    for (name, value) in query(uri.query()) {
        if !name.is("n") {
            let message = "there is a query parameter other than `n`";
            return Err(Refused::invalid(message, hint));
        }
        count = match value.decoded().parse() {
            Ok(number) if (1..=CAPACITY).contains(&number) => number,
            _ => return Err(Refused::invalid("`n` is out of bounds or no number", hint)),
        };
    }
    Ok(count)
}

fn parameters(uri: &Uri) -> Result<Parameters, Refused> {
    let mut parameters = Parameters::default();
    for (name, value) in query(uri.query()) {
        let name = name.decoded();
        let value = value.decoded().into_owned();
        let slot = match name.as_ref() {
            "method" => &mut parameters.method,
            "url" => &mut parameters.url,
            "client" => &mut parameters.client,
            "listener" => &mut parameters.listener,
            "header" if parameters.headers.len() == MAX_HEADERS => {
                let hint = format!("at most {MAX_HEADERS}");
                return Err(Refused::invalid("there are too many headers", hint));
            }
            "header" => {
                parameters.headers.push(value);
                continue;
            }
            _ => {
                let message = format!("there is no query parameter `{name}`");
                let hint = "there are `method`, `url`, `header`, `client` and `listener`";
                return Err(Refused::invalid(message, hint));
            }
        };
        if slot.replace(value).is_some() {
            let message = format!("`{name}` is given twice");
            return Err(Refused::invalid(message, "only `header` may be repeated"));
        }
    }
    Ok(parameters)
}

impl Parameters {
    fn sample(&self, config: &Config) -> Result<Sample, Refused> {
        let Some(url) = &self.url else {
            return Err(Refused::invalid("`url` is missing", EXAMPLE));
        };
        let method = self.method.as_deref().unwrap_or("GET");
        let listener = self.listener.as_deref();
        let mut sample = Sample::new(config, method, url, listener)?;
        if let Some(client) = &self.client {
            sample.client = client.parse().map_err(|_| {
                let message = format!("`{client}` is no IP address");
                Refused::invalid(message, "`client` is where the request comes from")
            })?;
        }
        for line in &self.headers {
            sample.add_line(line)?;
        }
        Ok(sample)
    }
}

impl From<BadSample> for Refused {
    fn from(bad: BadSample) -> Self {
        Self::invalid(bad.to_string(), EXAMPLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/x?{query}").parse().unwrap()
    }

    #[test]
    fn a_request_is_read_from_the_query() {
        let read = parameters(&uri(
            "method=PUT&url=http://a/%2Fb?c=d%26e&header=A:%20b&header=A:c&client=::1&listener=l",
        ));
        let read = read.unwrap();
        assert_eq!(read.method.as_deref(), Some("PUT"));
        assert_eq!(read.url.as_deref(), Some("http://a//b?c=d&e"));
        assert_eq!(read.headers, ["A: b", "A:c"]);
        assert_eq!(read.client.as_deref(), Some("::1"));
        assert_eq!(read.listener.as_deref(), Some("l"));
    }

    #[test]
    fn as_many_picks_as_are_asked_for_within_bounds() {
        assert_eq!(count(&uri("")), Ok(50));
        assert_eq!(count(&uri("n=256")), Ok(256));
        for wrong in ["n=0", "n=257", "n=", "n=1.5", "m=1"] {
            assert!(count(&uri(wrong)).is_err(), "{wrong}");
        }
    }
}
