//! `/load`: burns CPU on threads of its own, so that other requests are still answered.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock;

/// Longest burn one request may ask for.
pub(super) const MAX_BURN: Duration = Duration::from_secs(10);

/// Requests that may wait for a thread; one more is refused.
const MAX_WAITING: usize = 64;

/// As many burns at once as there are cores, and a bounded line behind them.
pub(super) struct Furnace {
    places: Semaphore,
    line: Semaphore,
}

/// Too many requests burn or wait already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overloaded;

/// Ends the burn when its request is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Furnace {
    pub(super) fn new(cores: usize) -> Self {
        Self {
            places: Semaphore::new(cores),
            line: Semaphore::new(cores + MAX_WAITING),
        }
    }

    /// Keeps one core busy for `time`, once there is one.
    pub(super) async fn burn(&self, time: Duration) -> Result<(), Overloaded> {
        let _in_line = self.line.try_acquire().map_err(|_| Overloaded)?;
        let _place = self.places.acquire().await.map_err(|_| Overloaded)?;
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(Arc::clone(&stop));
        tokio::task::spawn_blocking(move || keep_busy(time, &stop))
            .await
            .map_err(|_| Overloaded)
    }
}

fn keep_busy(time: Duration, stop: &AtomicBool) {
    let end = clock::now().after(time);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while clock::now() < end && !stop.load(Ordering::Relaxed) {
        for _ in 0..1_000 {
            // A step of xorshift: arithmetic that cannot be skipped.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        black_box(state);
    }
}
