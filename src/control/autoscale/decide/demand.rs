//! What size the signals and the forecast ask for, seen at one moment.
//!
//! A signal's load is measured in full backends, so `load / target` is how many backends bring it
//! to the target, whatever their number is now. Whether that is worth a change is seen at the
//! band: growing is measured against the backends that serve *and* those on their way, or a second
//! batch would be ordered for the load that the first will take; shrinking against those that
//! serve. Backends that fail are capacity for neither, so what is asked for is added to them.

use super::decision::{Inputs, Pool, Reading, Reason, Recommendation};
use crate::config::{ScaleTarget, Signal};

/// By so much a quotient may be above a whole number that it stands for.
const ROUNDING: f64 = 1e-9;

/// What of a pool counts as capacity.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    size: u32,
    /// Serve now.
    ready: u32,
    /// Serve now, or soon.
    coming: u32,
    /// Are there, and serve neither now nor soon.
    lost: u32,
}

impl Capacity {
    /// Instances that discovery does not list are on their way while the pool is `fresh`, which is
    /// as long as it may take a new one to be found; later they are lost.
    fn of(pool: Pool, fresh: bool) -> Self {
        let listed = pool.ready.saturating_add(pool.warming);
        let unseen = pool
            .size
            .saturating_sub(listed.saturating_add(pool.failing));
        let (late, absent) = if fresh { (unseen, 0) } else { (0, unseen) };
        Self {
            size: pool.size,
            ready: pool.ready,
            coming: listed.saturating_add(late),
            lost: pool.failing.saturating_add(absent),
        }
    }

    /// The size at which `serving` backends serve.
    fn with(&self, serving: f64) -> u32 {
        whole(serving).saturating_add(self.lost)
    }
}

/// The share of the tolerance beyond which a forecast counts. With all of it, a day's slow rise is
/// above the target for half of the time that it is without a forecast; with half of it, whoever
/// has gaps in his data pays for that with 15 % more replica-hours.
const FORESEEN: f64 = 0.7;

/// A size, and what speaks for it.
#[derive(Clone, Copy, Debug)]
struct Wish {
    replicas: u32,
    reason: Reason,
}

/// What is asked for at one moment.
#[derive(Debug)]
pub(super) struct Demand {
    /// The size, whatever the bounds, windows and steps are.
    pub(super) size: u32,
    /// What speaks for it.
    pub(super) reason: Reason,
    /// See [`super::Decision::needed`].
    pub(super) needed: Option<f64>,
    /// Every signal was measured.
    pub(super) complete: bool,
    /// Backends are on their way.
    pub(super) warming: bool,
    /// See [`super::Decision::recommendations`].
    pub(super) recommendations: Vec<Recommendation>,
}

impl Demand {
    /// What `inputs` ask for. `fresh`: see [`Capacity::of`].
    pub(super) fn of(target: &ScaleTarget, inputs: &Inputs<'_>, fresh: bool) -> Self {
        let capacity = Capacity::of(inputs.pool, fresh);
        let forecast = inputs
            .forecast
            .filter(|needed| needed.is_finite() && *needed >= 0.0);
        let judge = Judge {
            capacity,
            tolerance: target.tolerance.ratio(),
            looks_ahead: forecast.is_some(),
        };
        let mut demand = Self {
            size: capacity.size,
            reason: Reason::AllFailed,
            needed: None,
            complete: true,
            warming: capacity.coming > capacity.ready,
            recommendations: Vec::with_capacity(target.signals.len() + 1),
        };
        let mut wish: Option<Wish> = None;
        for (index, signal) in target.signals.iter().enumerate() {
            let heard = demand.hear(&judge, signal, inputs.readings.get(index));
            wish = larger(wish, heard);
        }
        if wish.is_some() {
            if let Some(needed) = forecast {
                let ahead = judge.forecast(needed);
                demand.recommendations.push(Recommendation {
                    source: "forecast".to_owned(),
                    utilisation: None,
                    replicas: ahead.replicas,
                    note: None,
                });
                wish = larger(wish, Some(ahead));
            }
            wish = larger(wish, judge.least(target.min));
        }
        if capacity.ready == 0 {
            demand.needed = None;
            demand.reason = Reason::NoneReady;
        } else if let Some(wish) = wish {
            (demand.size, demand.reason) = (wish.replicas, wish.reason);
        }
        demand
    }

    /// Notes what a signal says; answers with its wish if it was measured.
    fn hear(&mut self, judge: &Judge, signal: &Signal, reading: Option<&Reading>) -> Option<Wish> {
        let (load, reporting) = match measured(reading) {
            Ok(measured) => measured,
            Err(why) => {
                self.complete = false;
                self.recommendations.push(Recommendation {
                    source: signal.name.clone(),
                    utilisation: None,
                    replicas: judge.capacity.size,
                    note: Some(why),
                });
                return None;
            }
        };
        let ready = judge.capacity.ready;
        let missing = ready.saturating_sub(reporting);
        let wish = judge.signal(signal, load, f64::from(missing));
        if missing < ready {
            let needed = load / signal.target + f64::from(missing);
            self.needed = Some(self.needed.map_or(needed, |most| most.max(needed)));
        }
        self.recommendations.push(Recommendation {
            source: signal.name.clone(),
            utilisation: (ready > 0).then(|| load / f64::from(ready)),
            replicas: wish.replicas,
            note: (missing > 0).then(|| format!("{missing} of {ready} backends do not report")),
        });
        Some(wish)
    }
}

/// The load and how many report it, or why it is not known.
fn measured(reading: Option<&Reading>) -> Result<(f64, u32), String> {
    match reading {
        Some(Reading::Measured { load, reporting }) if load.is_finite() && *load >= 0.0 => {
            Ok((*load, *reporting))
        }
        Some(Reading::Measured { load, .. }) => Err(format!("{load} is no load")),
        Some(Reading::Failed(why)) => Err(why.clone()),
        None => Err("it was not read".to_owned()),
    }
}

/// The larger of two wishes, the first of two that are equal.
fn larger(one: Option<Wish>, other: Option<Wish>) -> Option<Wish> {
    match (one, other) {
        (Some(one), Some(other)) if other.replicas > one.replicas => Some(other),
        (one, other) => one.or(other),
    }
}

/// Turns numbers into wishes.
#[derive(Clone, Copy, Debug)]
struct Judge {
    capacity: Capacity,
    tolerance: f64,
    looks_ahead: bool,
}

impl Judge {
    fn signal(&self, signal: &Signal, load: f64, missing: f64) -> Wish {
        let (ready, coming) = (
            f64::from(self.capacity.ready),
            f64::from(self.capacity.coming),
        );
        if ready == 0.0 {
            return self.stay(Reason::NoneReady);
        }
        let needed = load / signal.target;
        let worth_it = needed > coming * (1.0 + self.tolerance);
        if load > signal.up * coming {
            return if worth_it {
                self.grow(needed, Reason::Load)
            } else {
                self.stay(Reason::Tolerance)
            };
        }
        if worth_it && self.capacity.lost > 0 {
            return self.grow(needed, Reason::ReplaceFailing);
        }
        if load > signal.up * ready {
            return self.stay(Reason::Warming);
        }
        let load = load + missing * signal.target;
        if load >= signal.down * ready {
            return self.stay(Reason::WithinBand);
        }
        self.shrink(load / signal.target, signal.up / signal.target)
    }

    /// `needed` backends would do. So few that noise within the tolerance would have it grow again
    /// are not asked for: from `n` backends it grows once `needed` exceeds `n * grows_at`, and of
    /// the same load both `1 - tolerance` and `1 + tolerance` of it may be measured.
    fn shrink(&self, needed: f64, grows_at: f64) -> Wish {
        let (least, most) = (1.0 - self.tolerance, 1.0 + self.tolerance);
        if needed >= f64::from(self.capacity.ready) * least {
            return self.stay(Reason::Tolerance);
        }
        let grows_at = if self.looks_ahead {
            self.foreseen()
        } else {
            grows_at.max(most)
        };
        let room = (most / (least * grows_at)).max(1.0);
        let replicas = self.capacity.with(needed * room);
        if replicas >= self.capacity.size {
            return self.stay(Reason::BestFit);
        }
        Wish {
            replicas,
            reason: Reason::Load,
        }
    }

    /// A forecast has no band. Below the present size it asks for nothing, it only says how far the
    /// others may go.
    fn forecast(&self, needed: f64) -> Wish {
        if self.capacity.ready > 0 && needed > f64::from(self.capacity.coming) * self.foreseen() {
            return self.grow(needed, Reason::Forecast);
        }
        let room = 1.0 / (1.0 - self.tolerance).max(0.0);
        let replicas = self.capacity.with(needed * room);
        Wish {
            replicas: replicas.min(self.capacity.size),
            reason: Reason::Forecast,
        }
    }

    /// What is foreseen is worth a backend within the tolerance already: there is less noise in it
    /// than in what is measured.
    const fn foreseen(&self) -> f64 {
        1.0 + FORESEEN * self.tolerance
    }

    /// The least that must serve, where backends that do not leave fewer.
    fn least(&self, min: u32) -> Option<Wish> {
        let short = self.capacity.coming < min && self.capacity.lost > 0;
        short.then(|| Wish {
            replicas: min.saturating_add(self.capacity.lost),
            reason: Reason::ReplaceFailing,
        })
    }

    fn grow(&self, needed: f64, reason: Reason) -> Wish {
        let replicas = self.capacity.with(needed);
        if replicas > self.capacity.size {
            Wish { replicas, reason }
        } else {
            self.stay(Reason::BestFit)
        }
    }

    const fn stay(&self, reason: Reason) -> Wish {
        Wish {
            replicas: self.capacity.size,
            reason,
        }
    }
}

/// The least whole number of backends that is not less, but for what rounding leaves.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and what is rounded is not negative"
)]
fn whole(backends: f64) -> u32 {
    (backends * (1.0 - ROUNDING)).ceil() as u32
}
