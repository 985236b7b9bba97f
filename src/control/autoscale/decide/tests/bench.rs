//! A decider, and the time that it lives in.

use super::*;

/// Size, desired size, direction and reason.
pub(super) type Verdict = (u32, u32, Direction, Reason);

pub(super) fn verdict(decision: &Decision) -> Verdict {
    (
        decision.size,
        decision.desired,
        decision.direction,
        decision.reason,
    )
}

/// A decider, and what time it is.
pub(super) struct Bench {
    pub(super) decider: Decider,
    second: u64,
}

impl Bench {
    pub(super) fn new(target: &ScaleTarget) -> Self {
        Self {
            decider: Decider::new(target),
            second: 0,
        }
    }

    pub(super) fn wait(&mut self, seconds: u64) -> &mut Self {
        self.second += seconds;
        self
    }

    pub(super) fn now(&self) -> Moment {
        at(self.second)
    }

    pub(super) fn full(&mut self, inputs: &Inputs<'_>) -> Decision {
        self.decider.decide(inputs, at(self.second))
    }

    pub(super) fn decide(&mut self, pool: Pool, readings: &[Reading]) -> Verdict {
        verdict(&self.full(&inputs(pool, readings)))
    }

    pub(super) fn ahead(&mut self, pool: Pool, readings: &[Reading], needed: f64) -> Verdict {
        verdict(&self.full(&Inputs {
            forecast: Some(needed),
            ..inputs(pool, readings)
        }))
    }

    pub(super) fn acted(&mut self, from: u32, to: u32) -> &mut Self {
        let now = self.now();
        self.decider.acted(from, to, now);
        self
    }
}

/// The first decision.
pub(super) fn first(target: &ScaleTarget, pool: Pool, readings: &[Reading]) -> Verdict {
    Bench::new(target).decide(pool, readings)
}

/// The decision after the same has been seen for the 300 s of the window.
pub(super) fn settled(target: &ScaleTarget, pool: Pool, readings: &[Reading]) -> Verdict {
    let mut bench = Bench::new(target);
    bench.decide(pool, readings);
    bench.wait(300).decide(pool, readings)
}
