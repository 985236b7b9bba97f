//! What a pool does in virtual time.

use std::time::Duration;

use super::*;
use crate::config::{Driver, Percent, ScaleTarget, Signal, SignalKind, Steps};

mod bench;
mod limits;
mod loops;
mod random;
mod sequences;
mod table;

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many seconds after a start at which nothing saturates.
pub(super) fn at(second: u64) -> Moment {
    Moment::ZERO.after(seconds(1_000_000 + second))
}

pub(super) fn percent(hundredths: f64) -> Percent {
    Percent::from_hundredths(hundredths).expect("a share")
}

pub(super) fn signal(name: &str, down: f64, target: f64, up: f64) -> Signal {
    Signal {
        name: name.to_owned(),
        kind: SignalKind::Cpu { query: None },
        up,
        down,
        target,
    }
}

/// The defaults, from 1 to 10 backends by one signal.
pub(super) fn target() -> ScaleTarget {
    ScaleTarget {
        upstream: "web".to_owned(),
        min: 1,
        max: 10,
        signals: vec![signal("cpu", 0.3, 0.5, 0.7)],
        tolerance: percent(10.0),
        up: Steps {
            window: seconds(0),
            percent: 100,
            backends: 4,
            period: seconds(15),
        },
        down: Steps {
            window: seconds(300),
            percent: 50,
            backends: 1,
            period: seconds(60),
        },
        cooldown: seconds(15),
        provisioning: seconds(30),
        drain_timeout: seconds(30),
        forecast: None,
        driver: Driver::Exec {
            program: "/bin/true".into(),
            arguments: Vec::new(),
            timeout: seconds(1),
        },
    }
}

/// `size` backends of which all serve.
pub(super) fn well(size: u32) -> Pool {
    Pool {
        size,
        ready: size,
        ..Pool::default()
    }
}

/// Measured at every ready backend.
pub(super) fn load(load: f64) -> Reading {
    Reading::Measured {
        load,
        reporting: u32::MAX,
    }
}

pub(super) fn failed() -> Reading {
    Reading::Failed("503".to_owned())
}

pub(super) fn inputs(pool: Pool, readings: &[Reading]) -> Inputs<'_> {
    Inputs {
        pool,
        readings,
        forecast: None,
    }
}
