//! What Prometheus answers, as its HTTP API documents it.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::{QueryError, quoted};
use super::transport::Reply;

/// A time in seconds since 1970, and the value as text.
type Sample = (f64, String);

/// The result of a query.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    Vector(Vec<Series>),
    Matrix(Vec<Range>),
    Scalar(Sample),
    String(IgnoredAny),
}

/// A series at one time.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    /// A native histogram has none.
    value: Option<Sample>,
}

/// A series over time.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    /// A native histogram has none.
    values: Option<Vec<Sample>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: Status,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
}

/// What a failure says of itself; the rest of it may be anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    error_type: Option<String>,
    error: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

impl From<Sample> for Series {
    fn from(sample: Sample) -> Self {
        Self {
            value: Some(sample),
        }
    }
}

impl Series {
    /// Its value, if that is a number and not further than `max_age` from `now`, seconds since 1970.
    pub(super) fn value(&self, now: f64, max_age: Duration) -> Result<f64, QueryError> {
        let (at, text) = self.value.as_ref().ok_or(HISTOGRAM)?;
        let off = at - now;
        if off.abs() > max_age.as_secs_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
            return Err(QueryError::Stale(off.round() as i64));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(QueryError::NotFinite(quoted(text))),
        }
    }
}

impl Range {
    /// Its points that are numbers.
    pub(super) fn points(self) -> Result<Vec<(f64, f64)>, QueryError> {
        let values = self.values.ok_or(HISTOGRAM)?.into_iter();
        let points = values.filter_map(|(at, text)| Some((at, text.parse::<f64>().ok()?)));
        Ok(points.filter(|(_, value)| value.is_finite()).collect())
    }
}

const HISTOGRAM: QueryError = QueryError::WrongType("a native histogram");

/// The data of an answer, if it is a whole one. `server` is who gave it.
pub(super) fn read(server: &str, reply: &Reply) -> Result<Data, QueryError> {
    let foreign = |what: String| QueryError::Foreign {
        server: server.to_owned(),
        what,
    };
    if !reply.status.is_success() {
        return Err(refusal(server, reply));
    }
    let envelope: Envelope = serde_json::from_slice(&reply.body)
        .map_err(|error| foreign(quoted(&format!("the body is not its JSON: {error}"))))?;
    if envelope.status == Status::Error {
        let said = said(envelope.error_type.as_deref(), envelope.error.as_deref());
        return Err(match envelope.error_type.as_deref() {
            Some("bad_data" | "execution") => QueryError::BadQuery(said),
            _ => QueryError::Server {
                server: server.to_owned(),
                said,
            },
        });
    }
    let warnings = envelope.warnings.unwrap_or_default();
    if !warnings.is_empty() {
        return Err(QueryError::Partial(quoted(&warnings.join("; "))));
    }
    envelope
        .data
        .ok_or_else(|| foreign("the body has no data".to_owned()))
}

/// What a status other than success means.
fn refusal(server: &str, reply: &Reply) -> QueryError {
    let status = reply.status;
    let refusal = serde_json::from_slice::<Refusal>(&reply.body).ok();
    let words = match &refusal {
        Some(refusal) => said(refusal.error_type.as_deref(), Some(&refusal.error)),
        None => quoted(&String::from_utf8_lossy(&reply.body)),
    };
    let said = if words.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {words}")
    };
    let server = server.to_owned();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => QueryError::Denied { server, said },
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if refusal.is_some() => {
            QueryError::BadQuery(said)
        }
        StatusCode::TOO_MANY_REQUESTS => QueryError::Server { server, said },
        _ if status.is_server_error() => QueryError::Server { server, said },
        _ if status.is_redirection() => QueryError::Redirected {
            server,
            to: quoted(reply.location.as_deref().unwrap_or("somewhere")),
        },
        _ => QueryError::Foreign { server, what: said },
    }
}

fn said(kind: Option<&str>, error: Option<&str>) -> String {
    let parts: Vec<&str> = [kind, error].into_iter().flatten().collect();
    quoted(&parts.join(": "))
}
