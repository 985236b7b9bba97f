//! Which backend is slower than its peers, and what follows from it.
//!
//! A backend is only ever compared with the others, so a slow day that all of
//! them have punishes nobody. With itself among the numbers a single outlier
//! among n could not be further than sqrt(n - 1) standard deviations from the
//! mean, so two could never be exceeded by one of five or fewer; hence the mean
//! and the deviation are those of the *others* (leave-one-out). That alone fires
//! on noise in a small fleet, because two peers that happen to agree have almost
//! no deviation. So a backend must also be slower than a multiple of the others'
//! median, slower than a floor, and all of it for several windows in a row.
//!
//! Suspicion is cheap and ejection is not: the first slow window cuts the share,
//! and only `windows` of them in a row eject. An algorithm may starve a slow
//! backend before anybody judges it, and a cut certainly does; so where a window
//! is not enough for a judgement, what came in is kept until it is.

use std::fmt;

use super::tally::Sample;
use crate::config;

/// A suspect's share after its first slow window, where traffic allows it.
const FIRST_SHARE: f32 = 0.05;
/// A suspect's share after its second, and that of one that cannot be ejected because too many are.
pub(crate) const LEAST_SHARE: f32 = 0.01;
/// A cut leaves so many times the requests that the next judgement needs: of that many expected,
/// fewer than needed come in one window of thirty.
const MARGIN: u32 = 2;
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
    /// Requests that its peers had on average.
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

/// Judges every backend by one window; the positions are those of `samples`.
///
/// `None` is a backend that is not available. Peers are the backends that have
/// `min_requests` and are neither suspects nor over the ratio. With one peer the
/// ratio and the floor decide.
pub(crate) fn judge(
    samples: &[Option<Sample>],
    is_suspect: &dyn Fn(usize) -> bool,
    settings: &config::Outlier,
) -> Vec<Verdict> {
    let peer = |index: usize| {
        samples[index].filter(|s| s.requests >= settings.min_requests.max(1) && !is_suspect(index))
    };
    let means = (0..samples.len()).filter_map(peer).map(|one| one.mean);
    let peers = Peers::new(means).without_slow(settings.ratio);
    let requests = (0..samples.len()).filter_map(peer).map(|one| one.requests);
    let peers_requests = mean(requests);
    let verdict = |index: usize| {
        let own = peer(index);
        let judged = own.or_else(|| {
            samples[index].filter(|s| is_suspect(index) && s.requests >= needed(settings))
        });
        judged.map_or(Verdict::Unknown, |sample| {
            let own = own.filter(|own| peers.contains(own.mean));
            match peers.compare(sample, own.map(|own| own.mean), settings) {
                Verdict::Slow(evidence) => Verdict::Slow(Evidence {
                    peers_requests,
                    ..evidence
                }),
                other => other,
            }
        })
    };
    (0..samples.len()).map(verdict).collect()
}

fn mean(counts: impl Iterator<Item = u32>) -> u32 {
    let (sum, len) = counts.fold((0_u64, 0_u64), |(sum, len), count| {
        (sum + u64::from(count), len + 1)
    });
    u32::try_from(sum / len.max(1)).unwrap_or(u32::MAX)
}

/// The means of those that others are compared with; leaving one out costs nothing.
pub(super) struct Peers {
    sorted: Vec<f64>,
    sum: f64,
    squares: f64,
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

    /// `own` is the mean to leave out, that of a backend that is one of the peers.
    fn compare(&self, sample: Sample, own: Option<f64>, settings: &config::Outlier) -> Verdict {
        let Some(peers_median) = self.median(own) else {
            return Verdict::Unknown;
        };
        let count = self.sorted.len() - usize::from(own.is_some());
        let mut limit = limit(peers_median, settings);
        if count > 1 {
            let n = count as f64;
            let own = own.unwrap_or_default();
            let mean = (self.sum - own) / n;
            // Of the sample, not of the population: the peers stand for what peers could be.
            let variance = (self.squares - own * own - n * mean * mean) / (n - 1.0);
            limit = limit.max(mean + settings.deviations * variance.max(0.0).sqrt());
        }
        if sample.mean > limit {
            Verdict::Slow(Evidence {
                requests: sample.requests,
                peers_requests: 0,
                mean: sample.mean,
                peers_median,
                limit,
            })
        } else {
            Verdict::Normal
        }
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
    /// What one that is not suspected had in the window that began it.
    full_requests: u32,
    kept: Option<Sample>,
    grew: bool,
    reported: bool,
}

impl Course {
    /// Whether the last windows that said anything said that it is slow.
    pub(crate) const fn is_suspect(&self) -> bool {
        self.slow_windows > 0
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
        match verdict {
            Verdict::Slow(evidence) => self.slow(evidence, settings),
            Verdict::Normal => self.clear(settings),
            Verdict::Unknown => self.hold(settings),
        }
    }

    fn slow(&mut self, evidence: Evidence, settings: &config::Outlier) -> Step {
        if self.slow_windows == 0 {
            // Its own are no measure: the algorithm may avoid it by now.
            self.full_requests = evidence.requests.max(evidence.peers_requests);
        }
        self.slow_windows = self.slow_windows.saturating_add(1);
        self.blank_windows = 0;
        self.kept = None;
        let is_due = self.slow_windows >= settings.windows.max(1);
        match (settings.enforce, is_due) {
            (true, true) => Step::Eject(evidence),
            (true, false) => Step::Cut(self.share(settings), evidence),
            (false, true) if !self.reported => {
                self.reported = true;
                Step::Report(evidence)
            }
            (false, _) => Step::Nothing,
        }
    }

    /// What is left after the first slow windows: little, but enough to be judged by.
    fn share(&self, settings: &config::Outlier) -> f32 {
        let least = if self.slow_windows == 1 {
            FIRST_SHARE
        } else {
            LEAST_SHARE
        };
        let wanted = MARGIN * needed(settings);
        (wanted as f32 / self.full_requests.max(1) as f32).clamp(least, 1.0)
    }

    /// A window without a verdict changes nothing, but a suspicion that nothing feeds ends, and so
    /// does the memory of one that gets next to no requests.
    fn hold(&mut self, settings: &config::Outlier) -> Step {
        let gathering = self.grew
            && self
                .kept
                .is_some_and(|kept| kept.requests < needed(settings));
        if self.is_suspect() && gathering {
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
        *self = Self::default();
        if was_cut { Step::Clear } else { Step::Nothing }
    }
}

#[cfg(test)]
mod tests;
