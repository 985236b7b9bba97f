//! Targets of any shape.

use proptest::prelude::*;

use super::*;

/// A band with its target inside.
fn any_signal() -> impl Strategy<Value = (f64, f64, f64)> {
    (0.0..0.8, 0.01..0.6, 0.0..=1.0).prop_map(|(down, height, place): (f64, f64, f64)| {
        let up = (down + height).min(1.0);
        (down, (down + (up - down) * place).max(0.01), up)
    })
}

fn any_steps() -> impl Strategy<Value = Steps> {
    (0_u64..400, 0_u32..=200, 0_u32..6, 1_u64..=60).prop_map(
        |(window, percent, backends, period)| Steps {
            window: seconds(window.saturating_sub(100)),
            percent,
            backends,
            period: seconds(period),
        },
    )
}

pub(super) fn any_target() -> impl Strategy<Value = ScaleTarget> {
    let bounds = (1_u32..6, 0_u32..15);
    let signals = prop::collection::vec(any_signal(), 1..=3);
    let times = (0_u64..=60, 1_u64..=60);
    (bounds, signals, 0.0..=50.0, any_steps(), any_steps(), times).prop_map(
        |((min, more), signals, tolerance, up, down, (cooldown, provisioning))| ScaleTarget {
            min,
            max: min + more,
            signals: signals
                .iter()
                .zip(["cpu", "requests", "p95"])
                .map(|((down, target, up), name)| signal(name, *down, *target, *up))
                .collect(),
            tolerance: percent(tolerance),
            up,
            down,
            cooldown: seconds(cooldown),
            provisioning: seconds(provisioning),
            ..target()
        },
    )
}

/// One that can change in both directions.
pub(super) fn moving_target() -> impl Strategy<Value = ScaleTarget> {
    any_target().prop_map(|mut target| {
        target.up.backends = target.up.backends.max(1);
        target.down.backends = target.down.backends.max(1);
        target
    })
}
