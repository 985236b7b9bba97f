//! The autoscaler: limits that hold, upstreams in which new backends are found, and nothing that
//! would act without being asked to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Context;
use super::discovery::{Room, Rooms};
use super::keys::or_default;
use super::names::{Positions, note_repeated, position};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::{
    Autoscaler, Driver, Forecast, ForecastMode, Prometheus, ScaleTarget, Signal, Steps,
};

mod driver;
mod signal;

/// From one decision to the next.
const INTERVAL: Duration = Duration::from_secs(15);
/// For one query, where the interval is not shorter.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Of a season with fewer decisions, nothing of its shape is left.
const DECISIONS_A_SEASON: u32 = 4;

/// What targets refer to.
#[derive(Clone, Copy)]
pub(super) struct Upstreams<'u> {
    /// `None` where the mapping is broken, so that nothing can be said of references to it.
    pub(super) names: Option<&'u Positions>,
    /// What the discovery of each that is scaled keeps.
    pub(super) rooms: &'u Rooms,
    /// Those without active checks.
    pub(super) unchecked: &'u BTreeSet<String>,
}

/// What all targets share.
#[derive(Clone, Copy)]
struct Common<'c> {
    upstreams: Upstreams<'c>,
    /// `None` where it is broken.
    interval: Option<Duration>,
    has_prometheus: bool,
}

/// The autoscaler as run; `None`, with problems noted, where it cannot be.
pub(super) fn autoscaler(
    written: raw::Autoscaler,
    upstreams: Upstreams<'_>,
    context: &mut Context<'_>,
) -> Option<Autoscaler> {
    let path = Path::ROOT.key("autoscaler");
    let interval = or_default(
        written.interval.as_ref(),
        INTERVAL,
        &path,
        "interval",
        context,
    );
    let queried = path.key("prometheus");
    let has_prometheus = context.is_given(&queried) && !context.is_null(&queried);
    let prometheus = written
        .prometheus
        .map(|written| prometheus(written, interval, &queried, context));
    let common = Common {
        upstreams,
        interval,
        has_prometheus,
    };
    let targets = targets(written.targets, common, &path.key("targets"), context);
    Some(Autoscaler {
        interval: interval?,
        dry_run: written.dry_run,
        max_actions_per_hour: written.max_actions_per_hour,
        prometheus: match prometheus {
            Some(prometheus) => Some(prometheus?),
            None => None,
        },
        targets: targets?,
    })
}

fn prometheus(
    written: raw::Prometheus,
    interval: Option<Duration>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Prometheus> {
    let shortest = interval.map_or(TIMEOUT, |interval| interval.min(TIMEOUT));
    let timeout = or_default(written.timeout.as_ref(), shortest, path, "timeout", context);
    if let (Some(interval), Some(timeout)) = (interval, timeout)
        && timeout > interval
    {
        let message = format!(
            "{timeout:?} is longer than `autoscaler.interval`, {interval:?}; a query must end before the next decision"
        );
        context.add(&path.key("timeout"), message);
    }
    Some(Prometheus {
        url: written.url?.value,
        timeout: timeout?,
        token: written.token.map(|token| token.value),
    })
}

fn targets(
    written: Vec<raw::ScaleTarget>,
    common: Common<'_>,
    list: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<ScaleTarget>> {
    let upstreams = written
        .iter()
        .map(|target| target.upstream.as_ref().map(|name| name.value.clone()));
    note_repeated(upstreams, list, ("upstream", "the upstream"), context);
    let drivers = written.iter().map(|target| target.driver.as_ref());
    driver::note_shared(drivers, list, context);
    let all: Vec<Option<ScaleTarget>> = written
        .into_iter()
        .enumerate()
        .map(|(index, written)| target(written, common, &list.index(index), context))
        .collect();
    let mut targets: Vec<ScaleTarget> = all.into_iter().collect::<Option<_>>()?;
    targets.sort_by(|one, other| one.upstream.cmp(&other.upstream));
    Some(targets)
}

fn target(
    written: raw::ScaleTarget,
    common: Common<'_>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<ScaleTarget> {
    note_size(&written, common.upstreams, path, context);
    let signals = signals(
        written.signals,
        common.has_prometheus,
        &path.key("signals"),
        context,
    );
    let up = Steps {
        window: written.up.window.value,
        percent: written.up.percent,
        backends: written.up.backends,
        period: written.up.period.value,
    };
    let down = Steps {
        window: written.down.window.value,
        percent: written.down.percent,
        backends: written.down.backends,
        period: written.down.period.value,
    };
    note_standstill(up, &path.key("up"), context);
    note_standstill(down, &path.key("down"), context);
    let forecast = written
        .forecast
        .map(|written| forecast(&written, common.interval, &path.key("forecast"), context));
    let driver = written
        .driver
        .map(|written| driver::driver(written, &path.key("driver"), context));
    if let (Some(Some(driver)), Some(name)) = (&driver, &written.upstream) {
        note_unchecked(driver, &name.value, common.upstreams, path, context);
    }
    Some(ScaleTarget {
        upstream: written.upstream?.value,
        min: written.min,
        max: written.max?,
        signals: signals?,
        tolerance: written.tolerance.value,
        up,
        down,
        cooldown: written.cooldown.value,
        provisioning: written.provisioning.value,
        drain_timeout: written.drain_timeout.value,
        forecast,
        driver: driver??,
    })
}

/// Bounds that contradict each other, and an upstream that would not find what is made for it.
fn note_size(
    written: &raw::ScaleTarget,
    upstreams: Upstreams<'_>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) {
    if let Some(max) = written.max
        && written.min > max
    {
        let message = format!("{} is more than `max`, {max}", written.min);
        context.add(&path.key("min"), message);
    }
    let Some(name) = written.upstream.as_ref().map(|name| name.value.as_str()) else {
        return;
    };
    let at = path.key("upstream");
    if position(name, upstreams.names, "upstream", &at, context).is_none() {
        return;
    }
    match (upstreams.rooms.get(name), written.max) {
        (Some(Room::None), _) => {
            let message = format!(
                "`{name}` has no `discovery`, without which no backend that is made is ever found"
            );
            context.add(&at, message);
        }
        (Some(Room::For(room)), Some(max)) if max as usize > *room => {
            let message = format!(
                "{max} is more than the {room} backends that the `discovery` of `{name}` keeps; raise its `max_backends`, or lower this"
            );
            context.add(&path.key("max"), message);
        }
        _ => {}
    }
}

/// A container runs before the program in it listens, so its backend must prove that it does.
fn note_unchecked(
    driver: &Driver,
    name: &str,
    upstreams: Upstreams<'_>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) {
    if matches!(driver, Driver::Docker { .. }) && upstreams.unchecked.contains(name) {
        let message = format!(
            "`{name}` has no `health: {{ active: ... }}`, without which a container that has only just begun to start gets requests"
        );
        context.add(&path.key("upstream"), message);
    }
}

fn signals(
    written: Vec<raw::Signal>,
    has_prometheus: bool,
    list: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Signal>> {
    let names: Vec<Option<String>> = written
        .iter()
        .enumerate()
        .map(|(index, written)| signal::name(written, &list.index(index), context))
        .collect();
    note_repeated(
        names.into_iter(),
        list,
        ("name", "the signal's name"),
        context,
    );
    let all: Vec<Option<Signal>> = written
        .into_iter()
        .enumerate()
        .map(|(index, written)| {
            signal::signal(written, has_prometheus, &list.index(index), context)
        })
        .collect();
    all.into_iter().collect()
}

/// Whoever wants no change in a direction says so where it shows: `min`, `max`, `down: 0%`.
fn note_standstill(steps: Steps, path: &Path<'_>, context: &mut Context<'_>) {
    if steps.percent == 0 && steps.backends == 0 {
        let message = "`percent` and `backends` are both 0, so that the size could never change";
        context.add(path, message);
    }
}

fn forecast(
    written: &raw::Forecast,
    interval: Option<Duration>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Forecast {
    let season = written.season.value;
    if let Some(interval) = interval
        && season < interval * DECISIONS_A_SEASON
    {
        let message = format!(
            "{season:?} is shorter than {DECISIONS_A_SEASON} times `autoscaler.interval`, {interval:?}"
        );
        context.add(&path.key("season"), message);
    }
    Forecast {
        mode: match written.mode {
            raw::ForecastMode::Observe => ForecastMode::Observe,
            raw::ForecastMode::Auto => ForecastMode::Auto,
            raw::ForecastMode::Enforce => ForecastMode::Enforce,
        },
        max_error: written.max_error.value,
        season,
    }
}
