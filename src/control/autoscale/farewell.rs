//! Taking a backend out of service before it is ended.
//!
//! First it drains: no new clients, sticky ones may stay until the deadline.
//! When nothing is in flight, or the deadline has passed, it is put in
//! maintenance, so that not even a sticky client comes between the last look and
//! the end; only when it is idle then, or has been in maintenance for long
//! enough to have no excuse, may it be ended. Pure: each step says what is to be
//! done next.

use std::net::SocketAddr;
use std::time::Duration;

use super::pool::Seen;
use crate::clock::Moment;
use crate::state::State;

/// In maintenance a backend gets nothing new; what is left of its requests after the drain gets so
/// much longer.
const LAST_CALL: Duration = Duration::from_secs(2);

/// After a failure to end it.
const AGAIN: Duration = Duration::from_secs(10);

/// After the end, sources of backends may show it for so long; then it is forgotten in any case.
const FORGOTTEN: Duration = Duration::from_mins(2);

/// A backend on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Farewell {
    /// The driver's name for it.
    pub(super) instance: String,
    /// What people know it by.
    pub(super) name: String,
    /// The backend's id, where it was one.
    pub(super) backend: Option<(String, SocketAddr)>,
    stage: Stage,
    /// When the drain is over.
    until: Moment,
    /// Whether it would serve if it stayed.
    serves: bool,
    /// Whether the driver shows it still.
    is_shown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Draining,
    Closed {
        since: Moment,
    },
    /// It could not be ended.
    Stuck {
        since: Moment,
    },
    Ended {
        since: Moment,
    },
}

/// What is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait.
    Wait,
    /// Put it in maintenance.
    Close,
    /// End it.
    End,
    /// Take what was wanted of its address back: another one may come to have it.
    Forget,
}

impl Farewell {
    pub(super) const fn new(
        instance: String,
        name: String,
        backend: Option<(String, SocketAddr)>,
        serves: bool,
        until: Moment,
    ) -> Self {
        Self {
            instance,
            name,
            backend,
            stage: Stage::Draining,
            until,
            serves,
            is_shown: true,
        }
    }

    /// Whether it can stay after all: it only waits for its requests to end.
    pub(super) fn can_stay(&self) -> bool {
        self.serves && self.stage == Stage::Draining
    }

    /// Whether it was ended, and the driver shows it all the same: its end was cut off half way.
    pub(super) fn is_left(&self, instance: &str) -> bool {
        !self.is_here() && self.instance == instance
    }

    /// Whether the driver shows it now.
    pub(super) const fn shown(&mut self, is_shown: bool) {
        self.is_shown = is_shown;
    }

    /// Whether it was not ended yet.
    pub(super) const fn is_here(&self) -> bool {
        !matches!(self.stage, Stage::Ended { .. })
    }

    pub(super) const fn closed(&mut self, now: Moment) {
        self.stage = Stage::Closed { since: now };
    }

    pub(super) const fn ended(&mut self, now: Moment) {
        self.stage = Stage::Ended { since: now };
    }

    /// It could not be ended: that is tried again after a while.
    pub(super) const fn stuck(&mut self, now: Moment) {
        self.stage = Stage::Stuck { since: now };
    }

    /// What comes next, by what is published now.
    pub(super) fn next(&self, seen: &[Seen], now: Moment) -> Next {
        let here = self.backend.as_ref();
        let here = here.and_then(|(id, _)| seen.iter().find(|seen| seen.id == *id));
        let idle = here.is_none_or(|seen| seen.in_flight == 0);
        match self.stage {
            Stage::Draining if idle || now >= self.until => Next::Close,
            Stage::Closed { since } => {
                // Until it is published, a request may still be sent there.
                let shut = here.is_none_or(|seen| seen.state == State::Maintenance);
                let waited = now.since(since) >= LAST_CALL;
                if (idle && shut) || waited {
                    Next::End
                } else {
                    Next::Wait
                }
            }
            Stage::Ended { since }
                if (here.is_none() && !self.is_shown) || now.since(since) >= FORGOTTEN =>
            {
                Next::Forget
            }
            Stage::Stuck { since } if now.since(since) >= AGAIN => Next::End,
            Stage::Draining | Stage::Stuck { .. } | Stage::Ended { .. } => Next::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        ([10, 0, 0, 1], 5_000).into()
    }

    fn seen(state: State, in_flight: u32) -> Vec<Seen> {
        vec![Seen {
            id: "b".to_owned(),
            address: address(),
            state,
            is_judged: true,
            in_flight,
        }]
    }

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.after(Duration::from_secs(seconds))
    }

    fn farewell() -> Farewell {
        let backend = Some(("b".to_owned(), address()));
        Farewell::new("i".to_owned(), "web-2".to_owned(), backend, true, at(30))
    }

    #[test]
    fn it_is_ended_when_nothing_can_reach_it_any_more() {
        let mut one = farewell();
        assert_eq!(one.next(&seen(State::Draining, 1), at(1)), Next::Wait);
        assert_eq!(one.next(&seen(State::Draining, 0), at(2)), Next::Close);
        one.closed(at(2));
        // A sticky client came a moment before.
        assert_eq!(one.next(&seen(State::Maintenance, 1), at(2)), Next::Wait);
        assert_eq!(one.next(&seen(State::Draining, 0), at(3)), Next::Wait);
        assert_eq!(one.next(&seen(State::Maintenance, 0), at(3)), Next::End);
        one.ended(at(3));
        assert!(!one.is_here());
        assert_eq!(one.next(&seen(State::Maintenance, 0), at(9)), Next::Wait);
        assert_eq!(
            one.next(&[], at(9)),
            Next::Wait,
            "the driver shows it still"
        );
        assert!(one.is_left("i") && !one.is_left("j"));
        one.shown(false);
        assert_eq!(one.next(&[], at(9)), Next::Forget);
        assert_eq!(one.next(&seen(State::Down, 0), at(200)), Next::Forget);
    }

    #[test]
    fn the_deadline_ends_it_whatever_is_under_way() {
        let mut one = farewell();
        assert_eq!(one.next(&seen(State::Draining, 1), at(30)), Next::Close);
        one.closed(at(30));
        assert_eq!(one.next(&seen(State::Maintenance, 1), at(31)), Next::Wait);
        assert_eq!(one.next(&seen(State::Maintenance, 1), at(32)), Next::End);
    }

    #[test]
    fn only_one_that_drains_and_would_serve_can_stay() {
        let mut one = farewell();
        assert!(one.can_stay());
        one.closed(at(1));
        assert!(!one.can_stay());
        let backend = Some(("b".to_owned(), address()));
        let failing = Farewell::new("i".to_owned(), "web-2".to_owned(), backend, false, at(30));
        assert!(!failing.can_stay());
    }

    #[test]
    fn what_cannot_be_ended_is_tried_again_later() {
        let mut one = farewell();
        one.stuck(at(5));
        let idle = seen(State::Maintenance, 0);
        assert_eq!(one.next(&idle, at(14)), Next::Wait);
        assert_eq!(one.next(&idle, at(15)), Next::End);
        assert!(one.is_here());
    }

    #[test]
    fn one_that_never_served_has_nobody_to_wait_for() {
        let mut one = Farewell::new("i".to_owned(), "web-2".to_owned(), None, false, at(30));
        assert_eq!(one.next(&[], at(0)), Next::Close);
        one.closed(at(0));
        assert_eq!(one.next(&[], at(0)), Next::End);
    }
}
