//! Where a request would go, and why, without sending it.
//!
//! `evenkeel explain` asks a configuration, `GET /api/v1/explain` the published
//! snapshot; both tell it in one form, a [`Report`], as JSON or as text. Of a
//! configuration the report says who could serve the request; of a snapshot, with
//! the backends as they are at this moment, who would.

pub use report::Report;

mod backends;
pub mod report;
pub mod sample;
mod settings;
mod text;

use crate::config::{Action, Config, Split};
use crate::reject::Reject;
use crate::route::{Explanation, RouteMatch, Router, Verdict};
use crate::snapshot::{Destination, Snapshot};
use report::{Asked, Ending, RouteLine, Ruling};
use sample::{Decision, Occasion, Outcome, Routed, Sample};

/// Routes for another host or path that are told one by one.
const LISTED_ELSEWHERE: usize = 20;

/// What would become of a request by a configuration alone.
pub(crate) fn of_config(config: &Config, sample: &Sample) -> Report {
    let decision = sample.decide(config, &Router::new(&config.routes));
    let (mut report, forwarded) = begin(config, sample, &decision);
    if let Some(matched) = forwarded {
        let splits = splits(config, matched);
        report.upstreams = splits
            .iter()
            .map(|split| {
                settings::upstream(&config.upstreams[split.upstream], share(split, splits))
            })
            .collect();
    }
    report
}

/// What would become of a request at this moment. It takes no backend's slot and nobody's turn.
pub(crate) fn of_snapshot<T>(snapshot: &Snapshot<T>, sample: &Sample, at: Occasion) -> Report {
    let config = snapshot.config();
    let decision = sample.decide(config, snapshot.router());
    let (mut report, forwarded) = begin(config, sample, &decision);
    let (Some(matched), Decision::Routed(routed)) = (forwarded, &decision) else {
        return report;
    };
    let splits = splits(config, matched);
    let facts = sample.facts(&routed.host, &routed.path);
    let route = &config.routes[matched.route];
    let destination = snapshot.destination(route, splits, &facts, || at.unix_now, || at.random);
    let destination: Destination = match destination {
        Ok(destination) => destination,
        Err(reject) => {
            report.outcome = refuse(reject, "`algo` names no algorithm".to_owned());
            return report;
        }
    };
    let case = backends::Case {
        facts: &facts,
        destination,
        at,
    };
    let upstream = |split: &Split| {
        let settings = &config.upstreams[split.upstream];
        let part = settings::upstream(settings, share(split, splits));
        backends::fill(part, split.upstream, snapshot, &case)
    };
    report.upstreams = splits.iter().map(upstream).collect();
    report
}

/// The report but for the upstreams, and the route if it forwards the request.
fn begin(config: &Config, sample: &Sample, decision: &Decision) -> (Report, Option<RouteMatch>) {
    let listener = config.listeners.get(sample.listener);
    let mut report = Report {
        request: Asked {
            method: sample.method.to_string(),
            url: sample.uri.to_string(),
            listener: listener.map(|listener| listener.name.clone()),
            client: sample.client,
            host: None,
            path: None,
        },
        routes: Vec::new(),
        routes_left_out: 0,
        route: None,
        outcome: refuse(Reject::NoRoute, "no route matches".to_owned()),
        upstreams: Vec::new(),
    };
    match decision {
        Decision::Refused(reject, why) => {
            report.outcome = refuse(*reject, why.clone());
            (report, None)
        }
        Decision::Routed(routed) => {
            let forwarded = tell(&mut report, config, routed);
            (report, forwarded)
        }
    }
}

fn tell(report: &mut Report, config: &Config, routed: &Routed) -> Option<RouteMatch> {
    report.request.host = Some(routed.host.clone());
    report.request.path = Some(routed.path.clone());
    (report.routes, report.routes_left_out) = lines(&routed.explanation);
    let (matched, outcome) = routed.outcome.as_ref()?;
    report.route = Some(config.routes[matched.route].name.clone());
    report.outcome = match outcome {
        Outcome::Forward(path) => Ending::Forward { path: path.clone() },
        Outcome::Unrewritable(why) => {
            refuse(Reject::BadRequest, format!("after the rewrite, {why}"))
        }
        Outcome::Respond(status) => Ending::Respond { status: *status },
        Outcome::Redirect(status, location) => Ending::Redirect {
            status: *status,
            location: location.clone(),
        },
    };
    matches!(outcome, Outcome::Forward(_)).then_some(*matched)
}

fn refuse(reject: Reject, why: String) -> Ending {
    Ending::Refuse {
        status: reject.status().as_u16(),
        reason: reject.label().to_owned(),
        why,
    }
}

/// The routes in the order in which they are considered, and how many more there are.
fn lines(explanation: &Explanation) -> (Vec<RouteLine>, usize) {
    let mut elsewhere = 0_usize;
    let mut lines = Vec::new();
    for one in &explanation.considered {
        let ruling = match one.verdict {
            Verdict::Won(_) => Ruling::Serves,
            Verdict::Outranked => Ruling::Outranked,
            Verdict::Unmet(_) => Ruling::Unmet,
            Verdict::Elsewhere(_) => {
                elsewhere += 1;
                Ruling::Elsewhere
            }
        };
        if ruling == Ruling::Elsewhere && elsewhere > LISTED_ELSEWHERE {
            continue;
        }
        lines.push(RouteLine {
            name: one.name.clone(),
            specificity: one.specificity.clone(),
            ruling,
            why: one.verdict.to_string(),
        });
    }
    (lines, elsewhere.saturating_sub(LISTED_ELSEWHERE))
}

fn splits(config: &Config, matched: RouteMatch) -> &[Split] {
    match &config.routes[matched.route].action {
        Action::Forward(splits) => splits,
        Action::Respond { .. } | Action::Redirect { .. } => &[],
    }
}

/// The share of the route's requests that goes to this upstream.
fn share(split: &Split, splits: &[Split]) -> f64 {
    let total: u64 = splits.iter().map(|split| u64::from(split.weight)).sum();
    f64::from(split.weight) / (total as f64).max(1.0)
}

#[cfg(test)]
mod tests;
