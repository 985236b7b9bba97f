//! Signals: keys that fit what is measured, and a band that a size can rest in.

use super::super::context::Context;
use super::super::keys::{note_foreign, or_default, require};
use crate::config::path::Path;
use crate::config::raw::{self, Full, SignalKind as Kind};
use crate::config::run::{Signal, SignalKind};
use crate::config::units::Percent;

/// Keys by the types that have them.
const KEYS: [(&str, &[Kind]); 2] = [
    ("query", &[Kind::Cpu, Kind::Query]),
    (
        "full",
        &[
            Kind::Query,
            Kind::Requests,
            Kind::InFlight,
            Kind::Queue,
            Kind::P95,
        ],
    ),
];

/// What recommendations of the forecast are told as.
const RESERVED: &str = "forecast";

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Cpu => "cpu",
        Kind::Query => "query",
        Kind::Requests => "requests",
        Kind::InFlight => "in_flight",
        Kind::Queue => "queue",
        Kind::P95 => "p95",
    }
}

/// What a signal is called, where that can be said.
pub(super) fn name(
    written: &raw::Signal,
    path: &Path<'_>,
    context: &Context<'_>,
) -> Option<String> {
    let at = path.key("name");
    match &written.name {
        Some(name) => Some(name.value.clone()),
        None if context.is_given(&at) && !context.is_null(&at) => None,
        None => written.kind.map(|kind| word(kind).to_owned()),
    }
}

/// A signal as run; `None`, with problems noted, where it cannot be.
pub(super) fn signal(
    written: raw::Signal,
    has_prometheus: bool,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Signal> {
    let name = name(&written, path, context);
    if name.as_deref() == Some(RESERVED) {
        let message = format!("`{RESERVED}` is what the forecast itself is called");
        context.add(&path.key("name"), message);
    }
    let band = band(&written, path, context);
    let kind = written.kind?;
    note_foreign(kind, &KEYS, word, path, context);
    if matches!(kind, Kind::Cpu | Kind::Query) && !has_prometheus {
        let message = format!(
            "`type: {}` asks Prometheus; say in `autoscaler.prometheus` where that is",
            word(kind)
        );
        context.add(path, message);
    }
    let kind = measured(kind, written.query, written.full, path, context);
    let (up, down, target) = band?;
    Some(Signal {
        name: name?,
        kind: kind?,
        up,
        down,
        target,
    })
}

fn measured(
    kind: Kind,
    query: Option<String>,
    full: Option<Full>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<SignalKind> {
    if query.as_ref().is_some_and(|query| query.trim().is_empty()) {
        context.add(&path.key("query"), "an empty query has no answer");
    }
    if kind == Kind::Query {
        require("query", query.is_some(), "", path, context);
    }
    if kind != Kind::Cpu {
        let purpose = ": at what value is a backend full?";
        require("full", full.is_some(), purpose, path, context);
    }
    match (kind, full) {
        (Kind::Cpu, _) => Some(SignalKind::Cpu { query }),
        (Kind::P95, Some(Full::Time(full))) => Some(SignalKind::P95 { full: full.value }),
        (Kind::P95, Some(Full::Amount(full))) => {
            let message =
                format!("expected a duration such as 250ms with `type: p95`, found {full}");
            context.add(&path.key("full"), message);
            None
        }
        (_, Some(Full::Time(full))) => {
            let message = format!(
                "expected a number with `type: {}`, found {:?}",
                word(kind),
                full.value
            );
            context.add(&path.key("full"), message);
            None
        }
        (Kind::Query, Some(Full::Amount(full))) => {
            query.map(|query| SignalKind::Query { query, full })
        }
        (Kind::Requests, Some(Full::Amount(full))) => Some(SignalKind::Requests { full }),
        (Kind::InFlight, Some(Full::Amount(full))) => Some(SignalKind::InFlight { full }),
        (Kind::Queue, Some(Full::Amount(full))) => Some(SignalKind::Queue { full }),
        (_, None) => None,
    }
}

/// `up`, `down` and `target`. Between the first two nothing happens; were they in another order,
/// the size that one of them brings would be undone by the other.
fn band(
    written: &raw::Signal,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<(f64, f64, f64)> {
    let share = |hundredths| Percent::from_hundredths(hundredths).unwrap_or_default();
    let up = or_default(written.up.as_ref(), share(70.0), path, "up", context);
    let down = or_default(written.down.as_ref(), share(30.0), path, "down", context);
    let (up, down) = (up?, down?);
    if down >= up {
        let message = format!("`down`, {down}, must be less than `up`, {up}");
        let key = if written.down.is_some() { "down" } else { "up" };
        context.add(&path.key(key), message);
        return None;
    }
    let middle = share(f64::midpoint(up.ratio(), down.ratio()) * 100.0);
    let target = or_default(written.target.as_ref(), middle, path, "target", context)?;
    if target < down || target > up {
        let message = format!("{target} is outside of the band from `down`, {down}, to `up`, {up}");
        context.add(&path.key("target"), message);
    }
    Some((up.ratio(), down.ratio(), target.ratio()))
}
