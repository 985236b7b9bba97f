//! How many changes an hour may bring.
//!
//! Whatever a signal, a forecast or a mistake in the configuration asks for, the
//! number of actions over all targets is bounded. An action counts for an hour
//! from its beginning.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

const HOUR: Duration = Duration::from_hours(1);

/// The actions of the last hour.
#[derive(Debug, Default)]
pub(super) struct Cap(Mutex<VecDeque<Moment>>);

impl Cap {
    /// Whether another action may begin at `now`; if so, it counts.
    pub(super) fn take(&self, most: u32, now: Moment) -> bool {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.front().is_some_and(|first| now.since(*first) >= HOUR) {
            begun.pop_front();
        }
        let free = begun.len() < most as usize;
        if free {
            begun.push_back(now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_brings_no_more_than_its_share() {
        let cap = Cap::default();
        let at = |minutes| Moment::ZERO.after(Duration::from_mins(minutes));
        assert!(cap.take(2, at(0)));
        assert!(cap.take(2, at(30)));
        assert!(!cap.take(2, at(59)));
        assert!(cap.take(2, at(60)), "the first is an hour ago");
        assert!(!cap.take(2, at(61)));
        assert!(cap.take(3, at(61)), "another configuration, another share");
    }
}
