//! An upstream's part with its backends as they are.

use super::report::{
    BackendPart, HealthPart, LivePart, PickPart, StickyPart, TierPart, UpstreamPart,
};
use super::sample::Occasion;
use super::settings;
use crate::request::{self, Facts};
use crate::snapshot::{By, Destination, Snapshot};
use crate::upstream::{Ask, Binding, Considered, Explanation, Source, Tried, Upstream};

/// Backends that are listed.
const MOST: usize = 1_000;

/// A request on its way to an upstream.
pub(super) struct Case<'r> {
    pub(super) facts: &'r Facts<'r>,
    pub(super) destination: Destination,
    pub(super) at: Occasion,
}

/// Fills in what the snapshot knows of the upstream at this position.
pub(super) fn fill<T>(
    part: UpstreamPart,
    position: usize,
    snapshot: &Snapshot<T>,
    case: &Case<'_>,
) -> UpstreamPart {
    let upstream = &snapshot.groups()[position].upstream;
    let explanation = explain(upstream, case);
    let hash_key = &snapshot.config().upstreams[position].hash_key;
    let is_chosen = case.destination.upstream == position;
    let id = |member: usize| upstream.members()[member].endpoint.name().to_owned();
    let pick = explanation.pick;
    UpstreamPart {
        chosen_by: is_chosen.then(|| by(case.destination.by).to_owned()),
        algorithm: explanation.algorithm.name().to_owned(),
        algorithm_by: Some(source(explanation.source).to_owned()),
        algorithm_why: why(upstream, explanation.source),
        hashes: settings::hashes(explanation.algorithm, hash_key),
        key: explanation.key.map(|key| format!("{key:016x}")),
        sticky: part
            .sticky
            .map(|sticky| stickiness(sticky, explanation.binding, &id)),
        health: Some(health(&explanation)),
        waiting: Some(explanation.waiting),
        measure: Some(explanation.measure.label().to_owned()),
        backends: explanation
            .backends
            .iter()
            .map(|one| backend(upstream, one))
            .collect(),
        left_out: explanation.left_out,
        pick: pick.ok().map(|foreseen| PickPart {
            backend: id(foreseen.member),
            reason: foreseen.reason.label().to_owned(),
            by_chance: foreseen.by_chance,
        }),
        unavailable: pick.err().map(|unavailable| unavailable.label().to_owned()),
        ..part
    }
}

fn explain(upstream: &Upstream, case: &Case<'_>) -> Explanation {
    let sticky = upstream
        .sticky_name()
        .and_then(|name| request::cookie(case.facts.headers, name));
    let ask = Ask {
        facts: case.facts,
        algorithm: case.destination.algorithm,
        tried: &Tried::new(),
        sticky,
        now: case.at.now,
        unix_now: case.at.unix_now,
        random: case.at.random,
        queued: false,
    };
    upstream.explain(&ask, MOST)
}

const fn by(by: By) -> &'static str {
    match by {
        By::Route => "route",
        By::Cookie => "cookie",
        By::Client => "client",
        By::Draw => "draw",
    }
}

const fn source(source: Source) -> &'static str {
    match source {
        Source::Configured => "configured",
        Source::Adaptive => "adaptive",
        Source::Request => "request",
    }
}

fn why(upstream: &Upstream, source: Source) -> Option<String> {
    if source != Source::Adaptive {
        return None;
    }
    let evidence = upstream.evidence();
    Some(evidence.map_or_else(
        || "nothing speaks for another".to_owned(),
        |evidence| evidence.as_ref().to_owned(),
    ))
}

fn stickiness(sticky: StickyPart, binding: Binding, id: &dyn Fn(usize) -> String) -> StickyPart {
    let (word, member, excluded) = match binding {
        Binding::Off | Binding::None => ("none", None, None),
        Binding::Void => ("void", None, None),
        Binding::Holds(member) => ("holds", Some(member), None),
        Binding::Moves(member, exclusion) => ("moves", Some(member), Some(exclusion.label())),
    };
    StickyPart {
        binding: Some(word.to_owned()),
        backend: member.map(id),
        excluded: excluded.map(str::to_owned),
        ..sticky
    }
}

fn health(explanation: &Explanation) -> HealthPart {
    let panic = explanation.panic;
    let tier = |(available, of)| TierPart { available, of };
    HealthPart {
        panic: panic.is_on,
        threshold: panic.threshold,
        primaries: tier(panic.primaries),
        backups: tier(panic.backups),
    }
}

fn backend(upstream: &Upstream, one: &Considered) -> BackendPart {
    BackendPart {
        id: one.name.as_ref().to_owned(),
        weight: one.weight,
        backup: one.backup,
        zone: upstream.members()[one.member].zone.clone(),
        live: LivePart {
            state: Some(one.state.label().to_owned()),
            reason: Some(one.reason.label().to_owned()),
            share: Some(f64::from(one.share)),
            in_flight: Some(one.in_flight),
            latency: one.latency,
            candidate: Some(one.exclusion.is_none()),
            excluded: one.exclusion.map(|exclusion| exclusion.label().to_owned()),
            score: one.score,
        },
    }
}
