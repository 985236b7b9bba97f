//! By which rules the evidence about backends is judged.

use std::time::Duration;

use super::gate::FULL;
use crate::config;

/// The configuration of an upstream, as far as the judgement of its backends goes.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Sources of health and what follows from them.
    pub(crate) health: config::Health,
    /// How long a backend that comes back or joins takes to get its full share.
    pub(crate) slow_start: Duration,
}

/// What a backend gets at the very beginning of its slow start: nothing at all would never end
/// where requests are rare.
const FIRST_SHARE: f64 = 0.02;

impl Rules {
    /// Whether checks will tell when a backend can be connected to again.
    pub(crate) const fn has_checks(&self) -> bool {
        self.health.active.is_some()
    }

    /// The 16-bit share of a backend so long after it came back: linear, as `HAProxy`'s `slowstart`.
    pub(crate) fn ramp(&self, elapsed: Duration) -> u32 {
        if elapsed >= self.slow_start {
            return FULL;
        }
        let share = elapsed.as_secs_f64() / self.slow_start.as_secs_f64();
        sixteen_bits(share.max(FIRST_SHARE))
    }
}

/// A share between 0 and 1 as a 16-bit fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of 16 bits"
)]
pub(crate) fn sixteen_bits(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(FULL)) as u32
}
