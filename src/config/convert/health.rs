//! Health: limits that agree with each other, and keys that fit what is checked.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::context::Context;
use super::headers;
use super::keys::or_default;
use crate::config::path::Path;
use crate::config::raw::{self, CheckKind};
use crate::config::run::{ActiveCheck, Ejection, Health, HttpProbe, Outlier, Passive, Probe};

/// Between the starts of two checks of a backend.
const INTERVAL: Duration = Duration::from_secs(5);
/// For a whole check, where the interval is not shorter.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Keys that only one kind of check has.
const HTTP_KEYS: [&str; 5] = ["path", "host", "headers", "expect", "body"];
const GRPC_KEYS: [&str; 1] = ["service"];

/// The settings as run.
pub(super) fn health(
    written: raw::Health,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Health> {
    note_pointless_initial(&written, path, context);
    let active = written
        .active
        .map(|active| active_check(active, &path.key("active"), context));
    let ejection = ejection(&written.ejection, &path.key("ejection"), context);
    Some(Health {
        active: match active {
            Some(active) => Some(active?),
            None => None,
        },
        passive: written.passive.as_ref().map(passive),
        outlier: written.outlier.as_ref().and_then(outlier),
        ejection: ejection?,
        initially_up: matches!(written.initial, Some(raw::Initial::Up)),
    })
}

fn note_pointless_initial(written: &raw::Health, path: &Path<'_>, context: &mut Context<'_>) {
    let active = path.key("active");
    let off = !context.is_given(&active) || context.is_null(&active);
    if written.initial.is_some() && off {
        let message = "has no effect without `active`: every backend counts as up";
        context.add_at_key(path, "initial", message);
    }
}

fn active_check(
    written: raw::ActiveCheck,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<ActiveCheck> {
    let kind = match written.kind {
        Some(kind) => kind,
        // Without a sound kind, nothing can be said about the rest.
        None if context.is_given(&path.key("type")) => return None,
        None => CheckKind::Http,
    };
    note_foreign_keys(kind, path, context);
    let interval = or_default(
        written.interval.as_ref(),
        INTERVAL,
        path,
        "interval",
        context,
    );
    let shortest = interval.map_or(TIMEOUT, |interval| interval.min(TIMEOUT));
    let timeout = or_default(written.timeout.as_ref(), shortest, path, "timeout", context);
    if let (Some(interval), Some(timeout)) = (interval, timeout)
        && timeout > interval
    {
        let message = format!(
            "{timeout:?} is longer than `interval`, {interval:?}; a check must end before the next one starts"
        );
        context.add(&path.key("timeout"), message);
    }
    let probe = match kind {
        CheckKind::Http => http_probe(&written, path, context),
        CheckKind::Tcp => Probe::Tcp,
        CheckKind::Grpc => Probe::Grpc {
            service: written.service,
        },
    };
    Some(ActiveCheck {
        probe,
        port: written.port,
        interval: interval?,
        timeout: timeout?,
        rise: written.rise,
        fall: written.fall,
        jitter: written.jitter.value,
        concurrency: written.concurrency as usize,
    })
}

fn note_foreign_keys(kind: CheckKind, path: &Path<'_>, context: &mut Context<'_>) {
    let named = path.key("type");
    let default = if context.is_given(&named) {
        ""
    } else {
        ", the default"
    };
    let (name, foreign) = match kind {
        CheckKind::Http => ("http", [GRPC_KEYS.as_slice(), &[]]),
        CheckKind::Tcp => ("tcp", [HTTP_KEYS.as_slice(), &GRPC_KEYS]),
        CheckKind::Grpc => ("grpc", [HTTP_KEYS.as_slice(), &[]]),
    };
    for key in foreign.into_iter().flatten() {
        if context.is_given(&path.key(key)) && !context.is_null(&path.key(key)) {
            let owner = if GRPC_KEYS.contains(key) {
                "grpc"
            } else {
                "http"
            };
            let message = format!(
                "has no effect with `type: {name}`{default}; it belongs to `type: {owner}`"
            );
            context.add_at_key(path, key, message);
        }
    }
}

fn http_probe(written: &raw::ActiveCheck, path: &Path<'_>, context: &mut Context<'_>) -> Probe {
    if written.body.as_ref().is_some_and(String::is_empty) {
        let message = "every body contains the empty text; `null` asks for nothing";
        context.add(&path.key("body"), message);
    }
    Probe::Http(HttpProbe {
        path: written.path.value.clone(),
        host: written.host.as_ref().map(|host| host.value.clone()),
        headers: headers::of_check(&written.headers, &path.key("headers"), context),
        expect: expect(&written.expect),
        body: written.body.clone(),
    })
}

fn expect(written: &raw::Expect) -> Vec<RangeInclusive<u16>> {
    match written {
        raw::Expect::Status(status) => vec![*status..=*status],
        raw::Expect::Range(range) => vec![range.value.clone()],
        raw::Expect::List(items) => items
            .iter()
            .map(|item| match item {
                raw::ExpectItem::Status(status) => *status..=*status,
                raw::ExpectItem::Range(range) => range.value.clone(),
            })
            .collect(),
    }
}

fn passive(written: &raw::Passive) -> Passive {
    Passive {
        consecutive_failures: written.consecutive_failures,
        failure_ratio: written.failure_ratio.value,
        window: written.window.value,
        min_requests: written.min_requests,
    }
}

fn outlier(written: &raw::Outlier) -> Option<Outlier> {
    (written.mode != raw::OutlierMode::Off).then(|| Outlier {
        enforce: written.mode == raw::OutlierMode::Enforce,
        deviations: written.deviations,
        ratio: written.ratio,
        floor: written.floor.value,
        min_requests: written.min_requests,
        windows: written.windows,
        window: written.window.value,
    })
}

fn ejection(
    written: &raw::Ejection,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Ejection> {
    let default = Ejection::default();
    let base = or_default(written.base.as_ref(), default.base, path, "base", context);
    let longest = base.map_or(default.max, |base| base.max(default.max));
    let max = or_default(written.max.as_ref(), longest, path, "max", context);
    if let (Some(base), Some(max)) = (base, max)
        && max < base
    {
        let message = format!("{max:?} is shorter than `base`, {base:?}");
        context.add(&path.key("max"), message);
    }
    Some(Ejection {
        base: base?,
        max: max?,
        max_ejected: written.max_ejected.value,
    })
}
