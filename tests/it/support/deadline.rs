//! Waiting for conditions. The only place of the harness that sleeps or reads the clock.

use std::time::{Duration, Instant};

/// How long a condition may take that holds at once on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(5);

/// A stretch of time being measured.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "tests watch real processes")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The value of `condition` once it has one; fails after [`PATIENCE`], naming what was awaited.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, condition).unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
}

/// Waits until `condition` holds; fails after [`PATIENCE`], naming what was awaited.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}

/// The value of `condition`, or `None` when it has none in time.
pub(crate) fn within<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if watch.elapsed() > limit {
            return None;
        }
        pause(POLL);
    }
}

/// A scripted delay: a slow backend or a slow client, never a wait for something to happen.
#[expect(
    clippy::disallowed_methods,
    reason = "a slow peer is the subject of the test"
)]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}
