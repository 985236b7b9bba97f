//! The two probes: whether the process lives, and whether it should get traffic.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::json;
use super::api::Api;
use crate::clock::{self, Moment};
use crate::config::Action;
use crate::control::lifecycle::Phase;
use crate::snapshot::{Group, Snapshot};

/// The process runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Liveness {
    /// Always true.
    live: bool,
}

/// Whether the process should get traffic.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Readiness {
    /// Whether it should.
    pub(super) ready: bool,
    /// Why not.
    pub(super) reasons: Vec<Reason>,
    /// What is amiss although it is ready.
    pub(super) warnings: Vec<Reason>,
}

/// Why the process should get no traffic, or less.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Reason {
    /// For programs.
    pub(super) code: ReasonCode,
    /// The upstream it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<String>,
}

/// Why, in a word.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReasonCode {
    /// No backend of the upstream is available.
    NoAvailableBackend,
    /// The process drains.
    Draining,
}

/// `GET /livez`.
pub(super) async fn livez() -> Response {
    json(StatusCode::OK, &Liveness { live: true })
}

/// `GET /readyz`.
pub(super) async fn readyz<T>(State(api): State<Arc<Api<T>>>) -> Response {
    let phase = api.lifecycle.phase();
    let readiness = readiness(&api.published.load(), phase, clock::now());
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &readiness)
}

/// Whether the process should get traffic: it does not drain, and of the upstreams that routes
/// lead to, one at least has an available backend.
///
/// One upstream without a backend is a warning. Every balancer before the same backends would see
/// the same, and if all of them left for it, the other upstreams would be gone with it.
fn readiness<T>(snapshot: &Snapshot<T>, phase: Phase, now: Moment) -> Readiness {
    let routes = snapshot.config().routes.iter();
    let is_used = |position: usize| {
        routes.clone().any(|route| match &route.action {
            Action::Forward(splits) => splits.iter().any(|split| split.upstream == position),
            Action::Respond { .. } | Action::Redirect { .. } => false,
        })
    };
    let groups = snapshot.groups().iter().enumerate();
    let used: Vec<&Group<T>> = groups
        .filter(|(position, _)| is_used(*position))
        .map(|(_, group)| group)
        .collect();
    let lacking: Vec<Reason> = used
        .iter()
        .filter(|group| !has_available(group, now))
        .map(|group| Reason {
            code: ReasonCode::NoAvailableBackend,
            upstream: Some(group.upstream.name().to_owned()),
        })
        .collect();
    let is_useless = !used.is_empty() && lacking.len() == used.len();
    let (mut reasons, warnings) = if is_useless {
        (lacking, Vec::new())
    } else {
        (Vec::new(), lacking)
    };
    if phase != Phase::Serving {
        reasons.push(Reason {
            code: ReasonCode::Draining,
            upstream: None,
        });
    }
    Readiness {
        ready: reasons.is_empty(),
        reasons,
        warnings,
    }
}

fn has_available<T>(group: &Group<T>, now: Moment) -> bool {
    let upstream = &group.upstream;
    (0..upstream.members().len())
        .filter_map(|member| upstream.status(member, now))
        .any(|status| status.state.is_available())
}
