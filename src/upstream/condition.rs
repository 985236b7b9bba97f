//! The state a backend was last seen in.
//!
//! Its sources change one by one and on several threads; this remembers what
//! they added up to, so that a change is told once.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::clock::Moment;
use crate::state::{Reason, State};

/// State, reason and since when.
#[derive(Debug)]
pub(crate) struct Condition {
    word: AtomicU32,
    since: AtomicU64,
}

impl Condition {
    pub(crate) fn new(now: Moment, state: State, reason: Reason) -> Self {
        Self {
            word: AtomicU32::new(pack(state, reason)),
            since: AtomicU64::new(now.as_micros()),
        }
    }

    pub(crate) fn state(&self) -> State {
        unpack(self.word.load(Ordering::Acquire)).0
    }

    pub(crate) fn reason(&self) -> Reason {
        unpack(self.word.load(Ordering::Acquire)).1
    }

    pub(crate) fn since(&self) -> Moment {
        Moment::from_micros(self.since.load(Ordering::Acquire))
    }

    /// Remembers what the sources add up to; the state before, if anything changed.
    pub(crate) fn replace(&self, now: Moment, state: State, reason: Reason) -> Option<State> {
        let word = pack(state, reason);
        if self.word.load(Ordering::Acquire) == word {
            return None;
        }
        let before = self.word.swap(word, Ordering::AcqRel);
        if before == word {
            return None;
        }
        self.since.store(now.as_micros(), Ordering::Release);
        Some(unpack(before).0)
    }
}

fn pack(state: State, reason: Reason) -> u32 {
    ((state as u32) << 8) | reason as u32
}

fn unpack(word: u32) -> (State, Reason) {
    let state = State::ALL.get((word >> 8) as usize);
    let reason = Reason::ALL.get((word & 0xff) as usize);
    (
        state.copied().unwrap_or(State::Up),
        reason.copied().unwrap_or(Reason::Healthy),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_reason_comes_back() {
        for &state in State::ALL {
            for &reason in Reason::ALL {
                assert_eq!(unpack(pack(state, reason)), (state, reason));
            }
        }
    }

    #[test]
    fn a_change_is_told_once() {
        let at = Moment::from_micros;
        let condition = Condition::new(at(1), State::Up, Reason::Healthy);
        assert_eq!(condition.replace(at(2), State::Up, Reason::Healthy), None);
        let down = (State::Down, Reason::CheckFailed);
        assert_eq!(condition.replace(at(3), down.0, down.1), Some(State::Up));
        assert_eq!(condition.replace(at(4), down.0, down.1), None);
        assert_eq!((condition.state(), condition.reason()), down);
        assert_eq!(condition.since(), at(3));
    }
}
