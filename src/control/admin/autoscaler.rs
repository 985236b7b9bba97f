//! The calls about the autoscaler: what it sees, decides and does, and pausing it.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Note, Refused, json, noted};
use super::api::Api;
use super::code::Code;
use super::input;
use crate::control::autoscale::board::{KEPT, Point, Told};
use crate::request::query;

/// Every target.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Autoscaler")]
pub(super) struct Targets {
    /// Sorted by upstream; those that were not looked at yet are left out.
    targets: Vec<Told>,
}

/// A target's past in numbers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AutoscalerHistory")]
pub(super) struct History {
    /// One for each look, the oldest first.
    points: Vec<Point>,
}

/// `GET /api/v1/autoscaler`.
pub(super) async fn list<T: Send + Sync>(
    State(api): State<Arc<Api<T>>>,
    uri: Uri,
) -> Result<Response, Refused> {
    let hint = format!("such as ?recent=10, from 0 to {KEPT}");
    let decisions = parameter(&uri, "recent", KEPT, |number| *number <= KEPT, &hint)?;
    let targets = api.seen.autoscaler.all(decisions);
    Ok(json(StatusCode::OK, &Targets { targets }))
}

/// `GET /api/v1/autoscaler/{u}/history`.
pub(super) async fn history<T: Send + Sync>(
    State(api): State<Arc<Api<T>>>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refused> {
    let name = input::upstream(path)?;
    let hint = "such as ?after=1767225600.5, in seconds since 1970";
    let is_time = |seconds: &f64| seconds.is_finite() && *seconds >= 0.0;
    let after = parameter(&uri, "after", 0.0, is_time, hint)?;
    let points = api.seen.autoscaler.points(&name, after);
    let points = points.ok_or_else(|| unscaled(&name))?;
    Ok(json(StatusCode::OK, &History { points }))
}

/// The one query parameter that a call takes; where it is given twice, the last counts.
fn parameter<N: FromStr>(
    uri: &Uri,
    name: &str,
    otherwise: N,
    fits: impl Fn(&N) -> bool,
    hint: &str,
) -> Result<N, Refused> {
    let mut number = otherwise;
    for (key, value) in query(uri.query()) {
        if !key.is(name) {
            let message = format!("there is a query parameter other than `{name}`");
            return Err(Refused::invalid(message, hint));
        }
        let read = value.decoded().parse().ok().filter(&fits);
        number = read.ok_or_else(|| {
            let message = format!("`{name}` is out of bounds or no number");
            Refused::invalid(message, hint)
        })?;
    }
    Ok(number)
}

fn unscaled(name: &str) -> Refused {
    let message = format!("upstream `{name}` is not scaled");
    let hint = "GET /api/v1/autoscaler lists those that are";
    Refused::new(Code::UnknownUpstream, message, hint)
}

/// `PATCH /api/v1/autoscaler/{u}`.
pub(super) async fn patch<T: Send + Sync>(
    State(api): State<Arc<Api<T>>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let name = input::upstream(path)?;
    let paused = input::pause(&input::json(request).await?)?;
    let changed = api.seen.autoscaler.pause(&name, paused);
    let changed = changed.ok_or_else(|| unscaled(&name))?;
    let note = Note {
        text: format!(
            "{name}: autoscaler {}",
            if paused { "paused" } else { "goes on" }
        ),
        is_routine: !changed,
    };
    let answer = json(StatusCode::OK, &input::PauseBody { paused });
    Ok(noted(answer, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_within_its_bounds_and_no_other_is_taken() {
        let read = |query: &str| {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            parameter(&uri, "recent", 7_usize, |number| *number <= 100, "so")
        };
        assert_eq!(read(""), Ok(7));
        assert_eq!(read("recent=0"), Ok(0));
        assert_eq!(read("recent=100"), Ok(100));
        for wrong in ["recent=101", "recent=-1", "recent=", "recent=x", "other=1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
