//! How much traffic there is at present, and how fast it is answered.
//!
//! Counters only grow and histograms never forget, which is right for
//! Prometheus and tells nobody how things are now. So once a second the series
//! are read and what was added is kept for [`WINDOW`] seconds; rates and
//! quantiles are of that. Reading costs requests nothing, because it is what a
//! scrape does as well, and what got no traffic takes no room.
//!
//! A quantile is interpolated within its bucket, as Prometheus's
//! `histogram_quantile` does it: exact to the bucket's width, and at most the
//! last bound, ten seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::clock::{self, Moment};
use crate::observe::metrics::{Counts, LATENCY_BOUNDS, Metrics};
use crate::snapshot::{Published, Snapshot};

/// From one reading to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// Readings that rates and quantiles are taken over.
pub const WINDOW: usize = 10;

/// Readings that are older tell nothing about the present: nobody takes them any more.
const STALE: Duration = Duration::from_secs(5);

/// What the last seconds were like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Requests per second.
    pub requests: f64,
    /// Of them, those that failed.
    pub errors: f64,
    /// The median of their times in seconds; `None` when nothing was served.
    pub p50: Option<f64>,
    /// What 95 % of them do not exceed.
    pub p95: Option<f64>,
    /// What 99 % of them do not exceed.
    pub p99: Option<f64>,
}

/// How much was under way in an upstream, on average over the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Requests in flight, those to backends that have left included.
    pub in_flight: f64,
    /// Requests waiting for a slot.
    pub waiting: f64,
}

/// The traffic of the last seconds.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<Readings>);

#[derive(Debug, Default)]
struct Readings {
    /// When the readings were taken: those of the window, and the one it begins with.
    taken: VecDeque<Moment>,
    /// The newest reading's number.
    number: u64,
    /// By route and upstream.
    requests: Tracks,
    /// By upstream and backend.
    backends: Tracks,
    /// By upstream: the number of the newest reading, and what was under way at each of the window.
    levels: HashMap<String, (u64, VecDeque<Level>)>,
}

/// What was added to each of many counts, by two names.
#[derive(Debug, Default)]
struct Tracks(HashMap<String, HashMap<String, Track>>);

/// What was added to one of them.
#[derive(Debug)]
struct Track {
    /// As last read.
    total: Counts,
    /// The number of that reading.
    read: u64,
    /// What was added, by the number of the reading; nothing where nothing was.
    added: VecDeque<(u64, Added)>,
}

/// What one second adds; more than a `u32` holds counts as that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Added {
    requests: u32,
    errors: u32,
    times: [u32; LATENCY_BOUNDS.len() + 1],
}

/// Reads the series of `published` once a second, until the task is dropped.
pub async fn watch<T>(traffic: Arc<Traffic>, published: Arc<Published<T>>, metrics: Arc<Metrics>)
where
    T: Send + Sync,
{
    let mut interval = tokio::time::interval(PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        traffic.read(&published.load(), &metrics, clock::now());
    }
}

impl Traffic {
    /// Takes one reading.
    pub fn read<T>(&self, snapshot: &Snapshot<T>, metrics: &Metrics, now: Moment) {
        let mut readings = self.readings();
        readings.begin(now);
        let number = readings.number;
        metrics.counts(|route, upstream, counts| {
            readings.requests.add(route, upstream, number, counts);
        });
        for group in snapshot.groups() {
            let upstream = group.upstream.name();
            readings.level(
                upstream,
                Level {
                    in_flight: group.upstream.in_flight() as f64,
                    waiting: group.upstream.queue().waiting() as f64,
                },
            );
            for backend in &group.backends {
                let counts = backend.counts();
                readings
                    .backends
                    .add(upstream, backend.name(), number, &counts);
            }
        }
        readings.end();
    }

    /// Requests of clients, all of them.
    #[must_use]
    pub fn requests(&self) -> Pace {
        let readings = self.readings();
        let all = readings.requests.0.values().flat_map(HashMap::values);
        pace(&sum(all), readings.seconds())
    }

    /// Tries at the backends of an upstream, retries included: all together, and each by its id.
    #[must_use]
    pub fn upstream(&self, name: &str) -> (Pace, HashMap<String, Pace>) {
        let readings = self.readings();
        let seconds = readings.seconds();
        let Some(tracks) = readings.backends.0.get(name) else {
            return Default::default();
        };
        let each = tracks.iter();
        let each = each.map(|(id, track)| (id.clone(), pace(&sum([track]), seconds)));
        (pace(&sum(tracks.values()), seconds), each.collect())
    }

    /// The pace of an upstream, and what was under way in it; `None` unless all of the window was
    /// read and the last reading is of the present, because no traffic and no reading look the same.
    #[must_use]
    pub fn recent(&self, name: &str, now: Moment) -> Option<(Pace, Level)> {
        let readings = self.readings();
        let last = *readings.taken.back()?;
        if now.since(last) > STALE {
            return None;
        }
        let (_, levels) = readings.levels.get(name)?;
        if levels.len() <= WINDOW {
            return None;
        }
        let tracks = readings.backends.0.get(name);
        let counts = sum(tracks.into_iter().flat_map(HashMap::values));
        Some((pace(&counts, readings.seconds()), mean(levels)))
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readings {
    fn begin(&mut self, now: Moment) {
        self.number += 1;
        if self.taken.len() > WINDOW {
            self.taken.pop_front();
        }
        self.taken.push_back(now);
    }

    fn level(&mut self, upstream: &str, level: Level) {
        if !self.levels.contains_key(upstream) {
            self.levels.insert(upstream.to_owned(), Default::default());
        }
        if let Some((number, levels)) = self.levels.get_mut(upstream) {
            *number = self.number;
            if levels.len() > WINDOW {
                levels.pop_front();
            }
            levels.push_back(level);
        }
    }

    /// Forgets what is gone and what is too long ago.
    fn end(&mut self) {
        let number = self.number;
        self.levels.retain(|_, (read, _)| *read == number);
        for tracks in [&mut self.requests, &mut self.backends] {
            tracks.0.retain(|_, tracks| {
                tracks.retain(|_, track| track.read == number);
                !tracks.is_empty()
            });
        }
    }

    /// How long the window is; zero before there is one.
    fn seconds(&self) -> f64 {
        let ends = self.taken.front().zip(self.taken.back());
        ends.map_or(0.0, |(first, last)| last.since(*first).as_secs_f64())
    }
}

impl Tracks {
    fn add(&mut self, outer: &str, inner: &str, number: u64, counts: &Counts) {
        if !self.0.contains_key(outer) {
            self.0.insert(outer.to_owned(), HashMap::new());
        }
        let Some(tracks) = self.0.get_mut(outer) else {
            return;
        };
        match tracks.get_mut(inner) {
            Some(track) => track.add(number, counts),
            None => drop(tracks.insert(inner.to_owned(), Track::new(number, *counts))),
        }
    }
}

impl Track {
    /// What was counted before is not of the window.
    const fn new(read: u64, total: Counts) -> Self {
        Self {
            total,
            read,
            added: VecDeque::new(),
        }
    }

    fn add(&mut self, number: u64, counts: &Counts) {
        let added = Added::between(&self.total, counts);
        self.total = *counts;
        self.read = number;
        let oldest = number.saturating_sub(WINDOW as u64);
        while self
            .added
            .front()
            .is_some_and(|(number, _)| *number <= oldest)
        {
            self.added.pop_front();
        }
        if added != Added::default() {
            self.added.push_back((number, added));
        }
    }
}

impl Added {
    /// A count that has become smaller is another one of the same name, and begins at zero.
    fn between(before: &Counts, now: &Counts) -> Self {
        let zero = Counts::default();
        let before = if now.requests < before.requests {
            &zero
        } else {
            before
        };
        let added =
            |now: u64, before: u64| u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
        Self {
            requests: added(now.requests, before.requests),
            errors: added(now.errors, before.errors),
            times: std::array::from_fn(|bucket| added(now.times[bucket], before.times[bucket])),
        }
    }
}

fn sum<'t>(tracks: impl IntoIterator<Item = &'t Track>) -> Counts {
    let mut sum = Counts::default();
    for (_, added) in tracks.into_iter().flat_map(|track| &track.added) {
        sum.requests += u64::from(added.requests);
        sum.errors += u64::from(added.errors);
        for (all, one) in sum.times.iter_mut().zip(added.times) {
            *all += u64::from(one);
        }
    }
    sum
}

fn mean(levels: &VecDeque<Level>) -> Level {
    let count = levels.len().max(1) as f64;
    Level {
        in_flight: levels.iter().map(|level| level.in_flight).sum::<f64>() / count,
        waiting: levels.iter().map(|level| level.waiting).sum::<f64>() / count,
    }
}

/// What these counts of so many seconds are as a pace.
fn pace(counts: &Counts, seconds: f64) -> Pace {
    if seconds <= 0.0 {
        return Pace::default();
    }
    Pace {
        requests: counts.requests as f64 / seconds,
        errors: counts.errors as f64 / seconds,
        p50: quantile(&counts.times, 0.5),
        p95: quantile(&counts.times, 0.95),
        p99: quantile(&counts.times, 0.99),
    }
}

/// The time in seconds that `share` of the observations do not exceed.
fn quantile(times: &[u64; LATENCY_BOUNDS.len() + 1], share: f64) -> Option<f64> {
    let total: u64 = times.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = share * total as f64;
    let (mut below, mut lower) = (0, 0);
    for (&count, &upper) in times.iter().zip(LATENCY_BOUNDS) {
        if count > 0 && (below + count) as f64 >= rank {
            let within = (rank - below as f64) / count as f64;
            let micros = lower as f64 + within * (upper - lower) as f64;
            return Some(micros / 1e6);
        }
        below += count;
        lower = upper;
    }
    Some(lower as f64 / 1e6)
}

#[cfg(test)]
mod tests;
