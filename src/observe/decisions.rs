//! Picks as they were made, sampled for whoever is looking.
//!
//! Nobody looks most of the time, so what costs is done only on demand: reading
//! the picks arms the sampling for [`ARMED_FOR`]. A request finds out with one
//! load whether its pick is to be kept; at most one in [`PACE`] is. The ring has a
//! lock, and a request that finds it held goes on without being kept: it waits for
//! nobody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::Moment;

/// How long sampling goes on after somebody looked.
pub const ARMED_FOR: Duration = Duration::from_secs(30);

/// The least time between two picks that are kept.
pub const PACE: Duration = Duration::from_millis(50);

/// Picks that are kept.
pub const CAPACITY: usize = 256;

/// Bytes of a path that are kept.
pub const MAX_PATH: usize = 256;

/// Nobody looks.
const UNARMED: u64 = u64::MAX;

/// The last sampled picks.
#[derive(Debug)]
pub struct Decisions {
    /// When the next pick may be kept, in microseconds.
    next: AtomicU64,
    /// When nobody looks any more, in microseconds.
    until: AtomicU64,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    last_id: u64,
    entries: VecDeque<Arc<Decision>>,
}

/// One pick.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Decision {
    /// Counts the picks that were kept since the process began.
    pub id: u64,
    /// Seconds since 1970.
    pub at: f64,
    /// What was decided.
    #[serde(flatten)]
    pub facts: Facts,
    /// What became of it; nothing yet, or of a pick that came to nothing.
    #[serde(serialize_with = "once")]
    #[schemars(with = "Option<End>")]
    pub outcome: OnceLock<End>,
}

/// What was decided, for which request, and among whom.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// The route's name.
    pub route: String,
    /// The upstream's name.
    pub upstream: String,
    /// The request's method.
    pub method: String,
    /// Its normalised path, without the query, at most [`MAX_PATH`] bytes of it.
    pub path: String,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// The algorithm in force.
    pub algorithm: &'static str,
    /// Whether health was ignored.
    pub panic: bool,
    /// The chosen backend's id; `None` when there was none to choose.
    pub backend: Option<String>,
    /// Why that one, or why none.
    pub reason: &'static str,
    /// What the scores are.
    pub measure: &'static str,
    /// Those that it could have been.
    pub candidates: Vec<Candidate>,
    /// Those that it could not have been.
    pub excluded: Vec<Excluded>,
    /// Backends that are not listed.
    pub left_out: usize,
}

/// A backend that could have been chosen.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// Its weight.
    pub weight: u32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Peak EWMA of the time to first byte in seconds.
    pub latency: Option<f64>,
    /// What the algorithm compares it by.
    pub score: Option<f64>,
}

/// A backend that could not have been chosen.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Excluded {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: &'static str,
    /// What kept the request from it.
    pub reason: &'static str,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct End {
    /// The status of the backend's answer; `None` when it gave none.
    pub status: Option<u16>,
    /// Why the request was tried again.
    pub retry: Option<&'static str>,
    /// Seconds from the pick to the beginning of the answer, or to the failure.
    pub seconds: f64,
}

impl Default for Decisions {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(UNARMED),
            until: AtomicU64::new(0),
            ring: Mutex::default(),
        }
    }
}

impl Decisions {
    /// Whether this pick is to be kept.
    pub fn are_due(&self, now: Moment) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        now.as_micros() >= next && self.claim(next, now)
    }

    #[cold]
    fn claim(&self, next: u64, now: Moment) -> bool {
        let is_armed = |now: Moment| now.as_micros() < self.until.load(Ordering::SeqCst);
        let armed = is_armed(now);
        let then = if armed {
            now.after(PACE).as_micros()
        } else {
            UNARMED
        };
        let claimed = self
            .next
            .compare_exchange(next, then, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok();
        if claimed && !armed && is_armed(now) {
            // Somebody looked in between, and found it armed still.
            self.next.fetch_min(now.as_micros(), Ordering::SeqCst);
        }
        claimed && armed
    }

    /// Keeps a pick, unless somebody is reading.
    pub fn keep(&self, unix_millis: u64, facts: Facts) -> Option<Arc<Decision>> {
        let mut ring = self.ring.try_lock().ok()?;
        ring.last_id += 1;
        let decision = Arc::new(Decision {
            id: ring.last_id,
            at: unix_millis as f64 / 1e3,
            facts,
            outcome: OnceLock::new(),
        });
        if ring.entries.len() == CAPACITY {
            ring.entries.pop_front();
        }
        ring.entries.push_back(Arc::clone(&decision));
        Some(decision)
    }

    /// The last picks, at most `most`, the newest first; picks are kept for [`ARMED_FOR`] from now on.
    pub fn look(&self, most: usize, now: Moment) -> Vec<Arc<Decision>> {
        let until = now.after(ARMED_FOR).as_micros();
        self.until.fetch_max(until, Ordering::SeqCst);
        self.next.fetch_min(now.as_micros(), Ordering::SeqCst);
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.entries.iter().rev().take(most).cloned().collect()
    }

    /// Whether picks are kept at this moment.
    #[must_use]
    pub fn are_armed(&self, now: Moment) -> bool {
        now.as_micros() < self.until.load(Ordering::SeqCst)
    }
}

/// The beginning of a path, cut between characters.
#[must_use]
pub fn shortened(path: &str) -> String {
    let mut end = path.len().min(MAX_PATH);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path[..end].to_owned()
}

fn once<S: serde::Serializer>(outcome: &OnceLock<End>, serializer: S) -> Result<S::Ok, S::Error> {
    outcome.get().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_micros(1 << 40);

    fn at(millis: u64) -> Moment {
        START.after(Duration::from_millis(millis))
    }

    fn facts(path: &str) -> Facts {
        Facts {
            route: "all".into(),
            upstream: "web".into(),
            method: "GET".into(),
            path: path.into(),
            attempt: 1,
            algorithm: "round_robin",
            panic: false,
            backend: Some("a:1".into()),
            reason: "algorithm",
            measure: "turns",
            candidates: Vec::new(),
            excluded: Vec::new(),
            left_out: 0,
        }
    }

    fn kept(decisions: &Decisions, from: u64, to: u64) -> usize {
        (from..to)
            .filter(|&millis| decisions.are_due(at(millis)))
            .count()
    }

    #[test]
    fn nothing_is_kept_until_somebody_looks_and_nothing_long_after() {
        let decisions = Decisions::default();
        assert_eq!(kept(&decisions, 0, 10_000), 0);
        assert!(!decisions.are_armed(at(10_000)));
        assert!(decisions.look(10, at(10_000)).is_empty());
        assert!(decisions.are_armed(at(10_000)));
        assert_eq!(kept(&decisions, 10_000, 40_000), 600, "20 a second");
        assert_eq!(kept(&decisions, 40_000, 60_000), 0);
        assert_eq!(decisions.next.load(Ordering::Relaxed), UNARMED);
        decisions.look(10, at(70_000));
        assert_eq!(kept(&decisions, 70_000, 71_000), 20, "armed again");
    }

    #[test]
    fn who_goes_on_looking_goes_on_seeing() {
        let decisions = Decisions::default();
        for look in 0..10 {
            let from = look * 20_000;
            decisions.look(1, at(from));
            assert_eq!(kept(&decisions, from, from + 20_000), 400);
        }
    }

    #[test]
    fn looking_while_it_ends_arms_it_again() {
        let decisions = Decisions::default();
        decisions.look(1, at(0));
        assert!(decisions.are_due(at(0)));
        let late = at(31_000);
        // A request has seen that the time is over when somebody looks.
        let next = decisions.next.load(Ordering::Relaxed);
        decisions.look(1, late);
        assert!(decisions.claim(next, late));
        assert_eq!(kept(&decisions, 31_050, 32_050), 20);
    }

    #[test]
    fn the_ring_holds_the_last_ones() {
        let decisions = Decisions::default();
        for number in 0..CAPACITY + 10 {
            let kept = decisions.keep(1, facts(&number.to_string())).unwrap();
            assert_eq!(kept.id, number as u64 + 1);
        }
        let last = decisions.look(3, at(0));
        let ids: Vec<u64> = last.iter().map(|one| one.id).collect();
        assert_eq!(ids, [266, 265, 264]);
        assert_eq!(decisions.look(usize::MAX, at(0)).len(), CAPACITY);
    }

    #[test]
    fn a_reader_holds_nobody_up() {
        let decisions = Decisions::default();
        let reading = decisions.ring.lock().unwrap();
        assert!(decisions.keep(1, facts("/")).is_none());
        drop(reading);
        assert!(decisions.keep(1, facts("/")).is_some());
    }

    #[test]
    fn the_outcome_comes_later() {
        let decisions = Decisions::default();
        let kept = decisions.keep(7, facts("/")).unwrap();
        let json = |decision: &Decision| serde_json::to_value(decision).unwrap();
        assert!(json(&kept)["outcome"].is_null());
        assert_eq!(json(&kept)["upstream"], "web");
        let end = End {
            status: Some(200),
            retry: None,
            seconds: 0.5,
        };
        kept.outcome.set(end).unwrap();
        let seen = json(&decisions.look(1, at(0))[0]);
        assert_eq!(
            seen["outcome"],
            serde_json::json!({ "status": 200, "retry": null, "seconds": 0.5 })
        );
    }

    #[test]
    fn a_pick_that_is_not_kept_costs_nothing() {
        let decisions = Decisions::default();
        let allocations = allocation_counter::measure(|| {
            for millis in 0..1_000 {
                assert!(!decisions.are_due(at(millis)));
            }
        });
        assert_eq!(allocations.count_total, 0);
    }

    #[test]
    fn long_paths_are_cut_between_characters() {
        let long = "\u{e9}".repeat(200);
        let short = shortened(&format!("/{long}"));
        assert_eq!(short.len(), 255);
        assert_eq!(shortened("/a"), "/a");
    }
}
