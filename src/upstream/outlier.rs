//! Which backend is slower than its peers, and what follows from it.
//!
//! A backend is only ever compared with the others, so a slow day that all of
//! them have punishes nobody. With itself among the numbers a single outlier
//! among n could not be further than sqrt(n - 1) standard deviations from the
//! mean, so two could never be exceeded by one of five or fewer; hence the mean
//! and the deviation are those of the *others* (leave-one-out). That alone fires
//! on noise in a small fleet, because two peers that happen to agree have almost
//! no deviation. So a backend must also be slower than a multiple of the others'
//! median, slower than a floor, slower than what chance makes of so few requests
//! (see `scatter`), and all of it for several windows in a row.
//!
//! Among the others, one that is slow itself would hide the next: with two slow
//! ones in up to six, each puts the other within two deviations, however slow
//! they are. So whoever is a suspect already, or is over the ratio while most are
//! not, is nobody's peer.
//!
//! Suspicion is cheap and ejection is not: the first slow window cuts the share,
//! and only `windows` of them in a row eject. A cut leaves, of a fair share, what
//! the next judgement needs: a suspect that nobody can judge would be cut and
//! cleared in turns for as long as it is slow. Where a window is not enough all
//! the same, because the algorithm starves a slow backend by itself, what came
//! in is kept until it is.

use std::fmt;

use super::scatter::Scatter;
use super::tally::Sample;
use crate::config;

/// A suspect's share after its first slow window, where traffic allows it.
const FIRST_SHARE: f32 = 0.05;
/// A suspect's share after its second, and that of one that cannot be ejected because too many are.
pub(crate) const LEAST_SHARE: f32 = 0.01;
/// A cut leaves so many times the requests that the next judgement needs: of that many expected,
/// fewer than needed come in one window of thirty.
const MARGIN: u32 = 2;
/// No cut leaves more.
const MOST_SHARE: f32 = 0.5;
/// Windows without any answer that end a suspicion. Many, because the cut itself makes answers rare.
const PATIENCE: u32 = 30;
/// Windows whose answers are kept until they suffice for a judgement of one that is no suspect.
const KEPT_WINDOWS: u32 = 5;

/// What a window says about a backend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Too few requests, or nobody to compare with.
    Unknown,
    /// As fast as its peers, or fast enough.
    Normal,
    /// Slower than its peers.
    Slow(Evidence),
}

/// Why a backend counts as slow. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// Requests it is judged by.
    pub(crate) requests: u32,
    /// Requests that a peer got, on average.
    pub(crate) peers_requests: u32,
    /// Its mean.
    pub(crate) mean: f64,
    /// The median of its peers' means.
    pub(crate) peers_median: f64,
    /// What its mean would have to stay below.
    pub(crate) limit: f64,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mean of {} requests {}, {:.1} x its peers' median of {}, limit {}",
            self.requests,
            Micros(self.mean),
            self.mean / self.peers_median,
            Micros(self.peers_median),
            Micros(self.limit),
        )
    }
}

/// A time to three digits, in the unit that suits it.
pub(super) struct Micros(pub(super) f64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            micros if micros < 1e3 => (micros, "us"),
            micros if micros < 1e6 => (micros / 1e3, "ms"),
            micros => (micros / 1e6, "s"),
        };
        let decimals = match value {
            value if value < 10.0 => 2,
            value if value < 100.0 => 1,
            _ => 0,
        };
        write!(f, "{value:.decimals$} {unit}")
    }
}

/// What a backend whose peers take `reference` microseconds may take, in microseconds.
pub(super) fn limit(reference: f64, settings: &config::Outlier) -> f64 {
    (settings.ratio * reference).max(settings.floor.as_secs_f64() * 1e6)
}

/// Requests by which a suspect is judged: fewer than others, because its share is cut and the
/// suspicion itself rests on a full window.
fn needed(settings: &config::Outlier) -> u32 {
    (settings.min_requests / 4)
        .max(3)
        .min(settings.min_requests)
        .max(1)
}

/// Those of the backends that others may be compared with: they have enough requests, and are no
/// suspects.
pub(crate) fn peers(
    samples: &[Option<Sample>],
    is_suspect: &dyn Fn(usize) -> bool,
    settings: &config::Outlier,
) -> Vec<Option<Sample>> {
    let least = settings.min_requests.max(1);
    let counts = |(index, sample): (usize, &Option<Sample>)| {
        sample.filter(|sample| sample.requests >= least && !is_suspect(index))
    };
    samples.iter().enumerate().map(counts).collect()
}

/// Judges every backend by one window; the positions are those of `samples`.
///
/// `None` is a backend that is not available. Peers are the backends that have
/// `min_requests` and are neither suspects nor over the ratio. With one peer
/// there is no deviation to compare with. `scatter` is what is usual among the
/// backends.
pub(crate) fn judge(
    samples: &[Option<Sample>],
    is_suspect: &dyn Fn(usize) -> bool,
    scatter: Scatter,
    settings: &config::Outlier,
) -> Vec<Verdict> {
    let candidates = peers(samples, is_suspect, settings);
    let of_peers = || candidates.iter().flatten();
    let peers = Peers::new(of_peers().map(|one| one.mean)).without_slow(settings.ratio);
    let total: u64 = of_peers().map(|one| u64::from(one.requests)).sum();
    let average = total.checked_div(of_peers().count() as u64).unwrap_or(0);
    let peers_requests = u32::try_from(average).unwrap_or(u32::MAX);
    let verdict = |index: usize| {
        let own = candidates[index];
        let judged = own.or_else(|| {
            samples[index].filter(|s| is_suspect(index) && s.requests >= needed(settings))
        });
        judged.map_or(Verdict::Unknown, |sample| {
            let own = own.map(|own| own.mean).filter(|&mean| peers.contains(mean));
            let error = scatter.error(sample.requests, peers_requests);
            match peers.limit(own, error, settings) {
                None => Verdict::Unknown,
                Some(Limit { limit, .. }) if sample.mean <= limit => Verdict::Normal,
                Some(Limit { median, limit }) => Verdict::Slow(Evidence {
                    requests: sample.requests,
                    peers_requests,
                    mean: sample.mean,
                    peers_median: median,
                    limit,
                }),
            }
        })
    };
    (0..samples.len()).map(verdict).collect()
}

/// The means of those that others are compared with; leaving one out costs nothing.
pub(super) struct Peers {
    sorted: Vec<f64>,
    sum: f64,
    squares: f64,
}

/// What a mean is compared with.
struct Limit {
    /// The median of the others' means.
    median: f64,
    /// What the mean must not exceed.
    limit: f64,
}

impl Peers {
    pub(super) fn new(means: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = means.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self {
            sum: sorted.iter().sum(),
            squares: sorted.iter().map(|mean| mean * mean).sum(),
            sorted,
        }
    }

    /// Those up to `ratio` times the median. Of an even number it is the upper one: when half of
    /// them are slow, nobody knows which half is to blame.
    fn without_slow(mut self, ratio: f64) -> Self {
        let Some(&median) = self.sorted.get(self.sorted.len() / 2) else {
            return self;
        };
        let kept = self.sorted.partition_point(|&mean| mean <= median * ratio);
        self.sorted.truncate(kept);
        Self::new(self.sorted.into_iter())
    }

    fn contains(&self, mean: f64) -> bool {
        self.sorted.last().is_some_and(|&last| mean <= last)
    }

    /// `own` is the mean to leave out, that of a backend that is one of the peers; `error` is the
    /// standard error of the logarithm of a factor. `None` without a peer.
    fn limit(&self, own: Option<f64>, error: f64, settings: &config::Outlier) -> Option<Limit> {
        let median = self.median(own)?;
        let by_chance = (settings.deviations * error).exp();
        let mut limit = limit(median, settings).max(by_chance * median);
        let count = self.sorted.len() - usize::from(own.is_some());
        if count > 1 {
            let n = count as f64;
            let own = own.unwrap_or_default();
            let mean = (self.sum - own) / n;
            // Of the sample, not of the population: the peers stand for what peers could be.
            let variance = (self.squares - own * own - n * mean * mean) / (n - 1.0);
            limit = limit.max(mean + settings.deviations * variance.max(0.0).sqrt());
        }
        Some(Limit { median, limit })
    }

    /// The median of the others; `own` is one of the means, to be left out.
    pub(super) fn median(&self, own: Option<f64>) -> Option<f64> {
        let rank = own.map_or(self.sorted.len(), |own| {
            self.sorted.partition_point(|&mean| mean < own)
        });
        let at = |place: usize| self.sorted[place + usize::from(place >= rank)];
        let last = self
            .sorted
            .len()
            .checked_sub(1 + usize::from(own.is_some()))?;
        Some(f64::midpoint(at(last / 2), at(last.div_ceil(2))))
    }
}

/// What a window's verdict leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Everything stays as it is.
    Nothing,
    /// The backend gets this share of its weight from now on.
    Cut(f32, Evidence),
    /// It has been slow for `windows` windows: eject it and start a new course, or, if too many
    /// are ejected already, give it [`LEAST_SHARE`].
    Eject(Evidence),
    /// It gets its whole share again.
    Clear,
    /// It would have been ejected, were this not only observed.
    Report(Evidence),
}

/// The course of one backend's suspicion.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    slow_windows: u32,
    blank_windows: u32,
    kept: Option<Sample>,
    grew: bool,
    reported: bool,
    /// What it was judged by last while it was no suspect.
    last: Option<Sample>,
    scatter: Scatter,
}

impl Course {
    /// Whether the last windows that said anything said that it is slow.
    pub(crate) const fn is_suspect(&self) -> bool {
        self.slow_windows > 0
    }

    /// How much its means vary.
    pub(crate) const fn scatter(&self) -> Scatter {
        self.scatter
    }

    /// What the backend is to be judged by: this window's answers, and those of earlier windows
    /// that did not suffice.
    pub(crate) fn gather(&mut self, window: Option<Sample>) -> Option<Sample> {
        self.grew = window.is_some_and(|sample| sample.requests > 0);
        self.kept = match (self.kept, window) {
            (Some(kept), Some(window)) => Some(kept.and(window)),
            (kept, window) => window.or(kept),
        };
        window.and(self.kept)
    }

    /// Goes on by the verdict on what was gathered.
    pub(crate) fn window(&mut self, verdict: Verdict, settings: &config::Outlier) -> Step {
        if verdict != Verdict::Unknown && !self.is_suspect() {
            if let (Some(last), Some(now)) = (self.last, self.kept) {
                self.scatter.add(last, now);
            }
            self.last = self.kept;
        }
        match verdict {
            Verdict::Slow(evidence) => self.slow(evidence, settings),
            Verdict::Normal => self.clear(settings),
            Verdict::Unknown => self.hold(settings),
        }
    }

    fn slow(&mut self, evidence: Evidence, settings: &config::Outlier) -> Step {
        self.slow_windows = self.slow_windows.saturating_add(1);
        self.blank_windows = 0;
        self.kept = None;
        let is_due = self.slow_windows >= settings.windows.max(1);
        match (settings.enforce, is_due) {
            (true, true) => Step::Eject(evidence),
            (true, false) => Step::Cut(self.share(&evidence, settings), evidence),
            (false, true) if !self.reported => {
                self.reported = true;
                Step::Report(evidence)
            }
            (false, _) => Step::Nothing,
        }
    }

    /// What is left after the first slow windows: little, but enough to be judged by.
    fn share(&self, evidence: &Evidence, settings: &config::Outlier) -> f32 {
        let least = if self.slow_windows == 1 {
            FIRST_SHARE
        } else {
            LEAST_SHARE
        };
        let wanted = (MARGIN * needed(settings)) as f32;
        (wanted / evidence.peers_requests.max(1) as f32).clamp(least, MOST_SHARE)
    }

    /// A window without a verdict changes nothing, but a suspicion that nothing feeds ends, and so
    /// does the memory of one that gets next to no requests, or that has nobody to be compared with.
    fn hold(&mut self, settings: &config::Outlier) -> Step {
        let kept = self.kept.map_or(0, |kept| kept.requests);
        if !self.is_suspect() && kept >= settings.min_requests {
            self.kept = None;
            return Step::Nothing;
        }
        if self.is_suspect() && self.grew && kept < needed(settings) {
            return Step::Nothing;
        }
        self.blank_windows += 1;
        let patience = if self.is_suspect() {
            PATIENCE
        } else {
            KEPT_WINDOWS
        };
        if self.blank_windows < patience {
            return Step::Nothing;
        }
        self.clear(settings)
    }

    fn clear(&mut self, settings: &config::Outlier) -> Step {
        let was_cut = self.is_suspect() && settings.enforce;
        *self = Self {
            last: self.last,
            scatter: self.scatter,
            ..Self::default()
        };
        if was_cut { Step::Clear } else { Step::Nothing }
    }
}

#[cfg(test)]
mod tests;
