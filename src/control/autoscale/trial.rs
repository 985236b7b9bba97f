//! Who does not serve, and since when.
//!
//! A backend that was begun is believed to be on its way for as long as starting
//! may take, and one that fails is believed to come back for as long. Both are
//! measured by what this process itself has seen and by its own clock: the time
//! of day at which a platform says that something was made may be anything.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;

/// A new backend has so many times the time that it is said to need, and at least the next constant.
const TIMES: u32 = 3;
const LEAST: Duration = Duration::from_secs(30);

/// How long a backend may fail to serve before it is given up, where starting takes `provisioning`.
pub(super) fn patience(provisioning: Duration) -> Duration {
    (provisioning * TIMES).max(LEAST)
}

/// What is known of each; bounded by how many there are.
#[derive(Debug, Default)]
pub(super) struct Trials(HashMap<String, Trial>);

#[derive(Clone, Copy, Debug)]
struct Trial {
    has_served: bool,
    /// Since when it does not serve without a break; `None` while it does.
    since: Option<Moment>,
}

impl Trials {
    /// These are there, and each serves or does not; others are forgotten.
    pub(super) fn note<'n>(&mut self, all: impl Iterator<Item = (&'n str, bool)>, now: Moment) {
        let mut before = std::mem::take(&mut self.0);
        self.0 = all
            .map(|(id, serves)| {
                let known = before.remove(id);
                let waits = known.and_then(|trial| trial.since).unwrap_or(now);
                let trial = Trial {
                    has_served: serves || known.is_some_and(|trial| trial.has_served),
                    since: (!serves).then_some(waits),
                };
                (id.to_owned(), trial)
            })
            .collect();
    }

    /// For how long it has not served.
    pub(super) fn waited(&self, id: &str, now: Moment) -> Duration {
        let since = self.0.get(id).and_then(|trial| trial.since);
        since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Whether it is not known to have served, and has not had its time yet.
    pub(super) fn may_come(&self, id: &str, patience: Duration, now: Moment) -> bool {
        let has_served = self.0.get(id).is_some_and(|trial| trial.has_served);
        !has_served && self.waited(id, now) < patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn the_patience_follows_what_a_start_takes() {
        assert_eq!(patience(Duration::from_secs(1)), LEAST);
        assert_eq!(patience(Duration::from_mins(1)).as_secs(), 180);
    }

    #[test]
    fn one_that_never_serves_has_its_time_and_no_more() {
        let mut trials = Trials::default();
        for second in 0..=30 {
            trials.note([("a", false)].into_iter(), at(second));
            let may_come = trials.may_come("a", PATIENCE, at(second));
            assert_eq!(may_come, second < 30, "{second}");
        }
        assert_eq!(trials.waited("a", at(30)), PATIENCE);
    }

    #[test]
    fn whoever_serves_for_a_moment_begins_anew_and_is_new_no_more() {
        let mut trials = Trials::default();
        trials.note([("a", false)].into_iter(), at(0));
        trials.note([("a", true)].into_iter(), at(20));
        assert_eq!(trials.waited("a", at(25)), Duration::ZERO);
        trials.note([("a", false)].into_iter(), at(25));
        assert_eq!(trials.waited("a", at(54)).as_secs(), 29);
        assert!(!trials.may_come("a", PATIENCE, at(26)), "it served before");
    }

    #[test]
    fn whoever_is_gone_is_forgotten() {
        let mut trials = Trials::default();
        trials.note([("a", true), ("b", false)].into_iter(), at(0));
        trials.note([("b", false)].into_iter(), at(9));
        assert_eq!(trials.0.len(), 1);
        assert!(trials.may_come("a", PATIENCE, at(9)), "another of its name");
    }
}
