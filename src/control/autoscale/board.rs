//! What the autoscaler last saw, decided and did, for whoever wants to know; and
//! what its operator wants of it.
//!
//! Each target has its present report, the last [`KEPT`] decisions that said
//! something new, and what was seen at the last [`POINTS`] looks, for whoever
//! draws it. Pausing is kept here as well: it outlives a reload.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::decide::{Decision, Pool};

/// Decisions that are kept for each target.
pub const KEPT: usize = 100;

/// Looks that are kept for each target: an hour and a half at the default interval.
pub const POINTS: usize = 360;

/// What is known about one target.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// The upstream's name.
    pub upstream: String,
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// Whether decisions are only told.
    pub dry_run: bool,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// When it was last looked at, in seconds since 1970.
    pub at: f64,
    /// From one look to the next, in seconds.
    pub interval: f64,
    /// How far the forecast looks ahead, in seconds; null where there is to be none.
    pub horizon: Option<f64>,
    /// What there was then; null while the driver cannot be asked.
    pub pool: Option<Pool>,
    /// What was decided; null where nothing could be.
    pub decision: Option<Decision>,
    /// What keeps the decision from being carried out, or from being made; null where nothing does.
    pub held: Option<String>,
    /// How many backends the forecast expects to be needed; null where there is none.
    pub forecast: Option<f64>,
    /// The forecast's mean error, as a share of what was needed; null before any came due.
    pub forecast_error: Option<f64>,
    /// Whether the forecast counts.
    pub forecast_counts: bool,
    /// Backends that finish what they have before they are ended.
    pub leaving: Vec<String>,
}

/// A decision that said something new.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Record {
    /// When, in seconds since 1970.
    pub at: f64,
    /// What there was.
    pub pool: Pool,
    /// What was decided.
    pub decision: Decision,
    /// What kept it from being carried out; null where nothing did.
    pub held: Option<String>,
}

/// One look at a target, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "AutoscalerPoint")]
pub struct Point {
    /// When, in seconds since 1970.
    pub at: f64,
    /// Never fewer, at that time.
    pub min: u32,
    /// Never more, at that time.
    pub max: u32,
    /// Backends that the driver had; null where it could not be asked.
    pub size: Option<u32>,
    /// Of them, those that served.
    pub ready: Option<u32>,
    /// The size that was wanted in the end.
    pub desired: Option<u32>,
    /// How many backends would have brought the load to its target; null where that was not known.
    pub needed: Option<f64>,
    /// How many backends the forecast said would be needed; null where there was none.
    pub forecast: Option<f64>,
    /// The time that `forecast` is of, in seconds since 1970.
    pub forecast_for: Option<f64>,
}

impl Point {
    fn of(report: &Report) -> Self {
        let decision = report.decision.as_ref();
        Self {
            at: report.at,
            min: report.min,
            max: report.max,
            size: report.pool.map(|pool| pool.size),
            ready: report.pool.map(|pool| pool.ready),
            desired: decision.map(|decision| decision.desired),
            needed: decision.and_then(|decision| decision.needed),
            forecast: report.forecast,
            forecast_for: report
                .forecast
                .and(report.horizon)
                .map(|ahead| report.at + ahead),
        }
    }
}

/// A target with its past.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Told {
    /// The present.
    #[serde(flatten)]
    pub report: Report,
    /// The past, the newest first.
    pub recent: Vec<Record>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Board(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    targets: BTreeMap<String, Target>,
    paused: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Target {
    present: Option<Report>,
    recent: VecDeque<Record>,
    points: VecDeque<Point>,
}

impl Board {
    /// Every target, with at most so many of its decisions.
    #[must_use]
    pub fn all(&self, decisions: usize) -> Vec<Told> {
        let inner = self.inner();
        let told = inner.targets.iter().filter_map(|(name, target)| {
            let mut report = target.present.clone()?;
            report.paused = inner.paused.contains(name);
            let recent = target.recent.iter().rev().take(decisions);
            Some(Told {
                report,
                recent: recent.cloned().collect(),
            })
        });
        told.collect()
    }

    /// What was seen of a target after this time, in seconds since 1970, the oldest first; `None`
    /// where there is no such target.
    #[must_use]
    pub fn points(&self, upstream: &str, after: f64) -> Option<Vec<Point>> {
        let inner = self.inner();
        let points = inner.targets.get(upstream)?.points.iter();
        Some(points.filter(|point| point.at > after).copied().collect())
    }

    /// Pauses a target or lets it go on; `None` where there is no such target, otherwise whether
    /// that is a change.
    pub fn pause(&self, upstream: &str, paused: bool) -> Option<bool> {
        let mut inner = self.inner();
        if !inner.targets.contains_key(upstream) {
            return None;
        }
        Some(if paused {
            inner.paused.insert(upstream.to_owned())
        } else {
            inner.paused.remove(upstream)
        })
    }

    pub(super) fn is_paused(&self, upstream: &str) -> bool {
        self.inner().paused.contains(upstream)
    }

    /// There are these targets from now on.
    pub(super) fn keep<'n>(&self, upstreams: impl Iterator<Item = &'n str>) {
        let mut inner = self.inner();
        let mut before = std::mem::take(&mut inner.targets);
        let targets: BTreeMap<_, _> = upstreams
            .map(|name| (name.to_owned(), before.remove(name).unwrap_or_default()))
            .collect();
        inner.paused.retain(|name| targets.contains_key(name));
        inner.targets = targets;
    }

    /// The present of a target; whether its decision says something that the last one did not.
    pub(super) fn note(&self, report: Report) -> bool {
        let mut inner = self.inner();
        let Some(target) = inner.targets.get_mut(&report.upstream) else {
            return false;
        };
        if target.points.len() == POINTS {
            target.points.pop_front();
        }
        target.points.push_back(Point::of(&report));
        let recent = &mut target.recent;
        let mut is_new = false;
        if let (Some(pool), Some(decision)) = (report.pool, &report.decision) {
            let last = recent.back();
            is_new = last.is_none_or(|last| {
                let same = (
                    last.decision.size,
                    last.decision.desired,
                    last.decision.reason,
                );
                same != (decision.size, decision.desired, decision.reason)
                    || last.pool.size != pool.size
                    || last.held != report.held
            });
            if is_new {
                if recent.len() == KEPT {
                    recent.pop_front();
                }
                recent.push_back(Record {
                    at: report.at,
                    pool,
                    decision: decision.clone(),
                    held: report.held.clone(),
                });
            }
        }
        target.present = Some(report);
        is_new
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::autoscale::decide::{Direction, Reason};

    fn report(size: u32) -> Report {
        let pool = Pool {
            size,
            ready: size,
            ..Pool::default()
        };
        Report {
            upstream: "web".to_owned(),
            min: 1,
            max: 9,
            dry_run: false,
            paused: false,
            at: f64::from(size),
            interval: 15.0,
            horizon: Some(45.0),
            pool: Some(pool),
            decision: Some(Decision {
                size,
                desired: size,
                direction: Direction::Hold,
                reason: Reason::WithinBand,
                needed: None,
                recommendations: Vec::new(),
            }),
            held: None,
            forecast: None,
            forecast_error: None,
            forecast_counts: false,
            leaving: Vec::new(),
        }
    }

    #[test]
    fn what_is_new_is_kept_and_no_more_than_enough() {
        let board = Board::default();
        assert!(!board.note(report(1)), "there is no such target");
        board.keep(["web"].into_iter());
        assert!(board.note(report(1)));
        assert!(!board.note(report(1)));
        let most = u32::try_from(KEPT).unwrap() + 5;
        for size in 2..=most {
            assert!(board.note(report(size)));
        }
        let told = board.all(usize::MAX).remove(0);
        assert_eq!(told.recent.len(), KEPT);
        assert_eq!(told.recent[0].pool.size, most, "the newest first");
        assert_eq!(board.all(3).remove(0).recent, told.recent[..3]);
    }

    #[test]
    fn every_look_is_a_point_and_the_oldest_go() {
        let board = Board::default();
        board.keep(["web"].into_iter());
        assert_eq!(board.points("api", 0.0), None);
        assert_eq!(board.points("web", 0.0), Some(Vec::new()));
        let most = u32::try_from(POINTS).unwrap() + 5;
        for size in 1..=most {
            board.note(report(size));
        }
        let points = board.points("web", 0.0).unwrap();
        assert_eq!(points.len(), POINTS);
        assert_eq!(points[0].size, Some(6), "the oldest first");
        assert_eq!(points[0].forecast_for, None, "there was no forecast");
        let last = Report {
            pool: None,
            decision: None,
            forecast: Some(2.5),
            ..report(most + 1)
        };
        board.note(last);
        let points = board.points("web", f64::from(most)).unwrap();
        assert_eq!(points.len(), 1);
        assert_eq!((points[0].size, points[0].desired), (None, None));
        let forecast = (points[0].forecast, points[0].forecast_for);
        assert_eq!(forecast, (Some(2.5), Some(f64::from(most + 1) + 45.0)));
    }

    #[test]
    fn a_pause_outlives_a_reload_but_not_its_target() {
        let board = Board::default();
        board.keep(["web"].into_iter());
        board.note(report(1));
        assert_eq!(board.pause("api", true), None);
        assert_eq!(board.pause("web", true), Some(true));
        assert_eq!(board.pause("web", true), Some(false));
        board.keep(["api", "web"].into_iter());
        assert!(board.is_paused("web") && board.all(0)[0].report.paused);
        board.keep(["api"].into_iter());
        assert!(!board.is_paused("web"));
    }
}
