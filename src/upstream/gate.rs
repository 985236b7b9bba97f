//! What speaks against a backend beside its breaker, in one word.
//!
//! The operator's wish, the verdict of its checks, a heartbeat's deadline, and
//! what its share of the traffic is cut to. All clear is zero, so the request
//! path loads one word and mostly finds nothing to think about.

use std::sync::atomic::{AtomicU32, Ordering};

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They pass, or there are none.
    Passing,
    /// None has passed or failed for good yet.
    Unknown,
    /// They fail.
    Failing,
}

/// What the operator wants, without the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Active,
    Draining,
    Maintenance,
}

const WISH: u32 = 0b11;
const VERDICT: u32 = 0b11 << 2;
const HEARTBEAT: u32 = 1 << 4;
const WARMING: u32 = 1 << 5;
const CUT_SHIFT: u32 = 16;
/// The share as a 16-bit fraction.
pub(crate) const FULL: u32 = 0xffff;

/// The word.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU32);

/// The word as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gating(u32);

impl Gate {
    /// Reads the word. Sequentially consistent for the queue's sake, see there.
    pub(crate) fn load(&self) -> Gating {
        Gating(self.0.load(Ordering::SeqCst))
    }

    /// Sets the operator's wish; gives back the one before.
    pub(crate) fn set_wish(&self, wish: Wish) -> Wish {
        self.set(WISH, wish as u32).wish()
    }

    /// Sets the checks' verdict; gives back the one before.
    pub(crate) fn set_verdict(&self, verdict: Verdict) -> Verdict {
        self.set(VERDICT, (verdict as u32) << 2).verdict()
    }

    /// From now on the backend has to report itself.
    pub(crate) fn expect_heartbeat(&self) {
        self.set(HEARTBEAT, HEARTBEAT);
    }

    /// Says whether its share grows with time.
    pub(crate) fn set_warming(&self, warming: bool) {
        self.set(WARMING, if warming { WARMING } else { 0 });
    }

    /// Cuts its share to this 16-bit fraction; [`FULL`] gives it back.
    pub(crate) fn set_cut(&self, share: u32) {
        self.set(FULL << CUT_SHIFT, (FULL - share.min(FULL)) << CUT_SHIFT);
    }

    fn set(&self, mask: u32, bits: u32) -> Gating {
        let before = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
                Some((word & !mask) | bits)
            });
        Gating(before.unwrap_or_else(|word| word))
    }
}

impl Gating {
    /// Whether there is nothing to think about.
    pub(crate) const fn is_clear(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn wish(self) -> Wish {
        match self.0 & WISH {
            0 => Wish::Active,
            1 => Wish::Draining,
            _ => Wish::Maintenance,
        }
    }

    pub(crate) const fn verdict(self) -> Verdict {
        match (self.0 & VERDICT) >> 2 {
            0 => Verdict::Passing,
            1 => Verdict::Unknown,
            _ => Verdict::Failing,
        }
    }

    /// Whether it has to report itself.
    pub(crate) const fn has_heartbeat(self) -> bool {
        self.0 & HEARTBEAT != 0
    }

    pub(crate) const fn is_warming(self) -> bool {
        self.0 & WARMING != 0
    }

    /// What its share is cut to, as a 16-bit fraction.
    pub(crate) const fn cut(self) -> u32 {
        FULL - (self.0 >> CUT_SHIFT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_touch_each_other() {
        let gate = Gate::default();
        assert!(gate.load().is_clear());
        assert_eq!(gate.set_wish(Wish::Draining), Wish::Active);
        assert_eq!(gate.set_verdict(Verdict::Failing), Verdict::Passing);
        gate.expect_heartbeat();
        gate.set_warming(true);
        gate.set_cut(655);
        let word = gate.load();
        assert_eq!(
            (word.wish(), word.verdict(), word.cut()),
            (Wish::Draining, Verdict::Failing, 655)
        );
        assert!(word.has_heartbeat() && word.is_warming());
        assert_eq!(gate.set_wish(Wish::Active), Wish::Draining);
        assert_eq!(gate.set_verdict(Verdict::Passing), Verdict::Failing);
        gate.set_warming(false);
        gate.set_cut(FULL + 1);
        assert_eq!(gate.load(), Gating(HEARTBEAT));
    }
}
