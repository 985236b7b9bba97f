//! `GET /api/v1/status`: how the process is, in one sentence and some numbers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::json;
use super::api::Api;
use super::config::InForce;
use super::headline::{self, headline};
use super::round;
use crate::clock::{self, Moment};
use crate::control::lifecycle::Phase;
use crate::control::traffic::Pace;
use crate::snapshot::{Group, Snapshot};

/// How the process is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// Of the program.
    version: &'static str,
    /// When the process started, in seconds since 1970.
    started: f64,
    /// Seconds since then.
    uptime: f64,
    /// The configuration in force; null where the process runs without a file.
    config: Option<InForce>,
    /// The traffic of the last ten seconds.
    traffic: Traffic,
    /// How the whole is, in one sentence for people. Its words may change.
    health: String,
    /// How many upstreams there are.
    upstreams: usize,
}

/// The requests of clients over the last ten seconds.
#[derive(Debug, Serialize, JsonSchema)]
struct Traffic {
    /// Requests per second.
    rate: f64,
    /// Answers 500 to 599 per second, ours and backends'.
    errors: f64,
    /// The median of the times from a request to the end of its answer, in seconds; null when
    /// nothing was served.
    p50: Option<f64>,
    /// What 95 % of them do not exceed.
    p95: Option<f64>,
    /// What 99 % of them do not exceed.
    p99: Option<f64>,
    /// Requests in flight to backends at this moment.
    in_flight: usize,
    /// Connections of clients at this moment.
    connections: usize,
}

/// `GET /api/v1/status`.
pub(super) async fn status<T>(State(api): State<Arc<Api<T>>>) -> Response {
    let (snapshot, now) = (api.published.load(), clock::now());
    let groups = snapshot.groups();
    let in_flight = groups.iter().map(|group| group.upstream.in_flight()).sum();
    let connections = (api.seen.connections)();
    let is_draining = api.lifecycle.phase() != Phase::Serving;
    let evidence = |upstream: &str, backend: &str| api.seen.timeline.evidence(upstream, backend);
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        started: api.started.unix_millis as f64 / 1e3,
        uptime: round::seconds(now.since(api.started.at)),
        config: api
            .seen
            .reloads
            .as_ref()
            .map(|all| InForce::of(&all.status())),
        traffic: traffic(api.seen.traffic.requests(), in_flight, connections),
        health: headline(&pools(&snapshot, now), is_draining, &evidence),
        upstreams: groups.len(),
    };
    json(StatusCode::OK, &status)
}

fn traffic(pace: Pace, in_flight: usize, connections: usize) -> Traffic {
    Traffic {
        rate: round::rate(pace.requests),
        errors: round::rate(pace.errors),
        p50: pace.p50.map(round::fine),
        p95: pace.p95.map(round::fine),
        p99: pace.p99.map(round::fine),
        in_flight,
        connections,
    }
}

/// The upstreams, as the sentence is made from them.
fn pools<T>(snapshot: &Snapshot<T>, now: Moment) -> Vec<headline::Pool> {
    let upstreams = snapshot.config().upstreams.iter().zip(snapshot.groups());
    upstreams
        .map(|(config, group)| headline::Pool {
            name: config.name.clone(),
            panic_threshold: config.panic_threshold.ratio(),
            backends: backends(group, now),
        })
        .collect()
}

fn backends<T>(group: &Group<T>, now: Moment) -> Vec<headline::Backend> {
    let upstream = &group.upstream;
    let members = upstream.members().iter().enumerate();
    members
        .filter_map(|(position, member)| {
            let status = upstream.status(position, now)?;
            Some(headline::Backend {
                id: member.endpoint.name().to_owned(),
                state: status.state,
                reason: status.reason,
                since: now.since(status.since),
                backup: member.backup,
            })
        })
        .collect()
}
