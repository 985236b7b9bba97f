//! One target: looks at what there is, decides, acts, and looks again.
//!
//! Everything is judged by the pure parts; this asks, tells and waits. Calls to
//! the driver come one after the other, each with a limit of its own, so there
//! is never more under way than one change of one target. After a driver that
//! cannot be asked, or a call that failed, the next step begins anew with what
//! there is then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::cap::Cap;
use super::decide::{Decider, Decision, Direction, Inputs, Pool};
use super::driver::{self, Driver, DriverError, Instance, InstanceState, Means, Sizer};
use super::farewell::Farewell;
use super::forecast::Forecaster;
use super::pool::{self, Part, Seen};
use super::prometheus::Client;
use super::signals::{Live, Signals};
use super::surroundings::Surroundings;
use super::trial::Trials;
use crate::clock::{self, Moment};
use crate::config;
use crate::observe::metrics::AutoscalerMetrics;

mod change;
mod leaving;
mod starts;
mod tell;

/// What a keeper goes by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) interval: Duration,
    pub(super) dry_run: bool,
    pub(super) max_actions_per_hour: u32,
    pub(super) prometheus: Option<config::Prometheus>,
    pub(super) target: config::ScaleTarget,
}

/// What keeps a decision from being carried out.
struct Held {
    why: String,
    /// Whether nothing else may be done either.
    entirely: bool,
}

/// Keeps one upstream at its size.
pub(super) struct Keeper<T> {
    around: Arc<Surroundings<T>>,
    cap: Arc<Cap>,
    settings: Settings,
    means: Arc<Result<Means, DriverError>>,
    client: Option<Result<Arc<Client>, String>>,
    signals: Signals,
    decider: Decider,
    forecaster: Option<Forecaster>,
    /// Whether the forecaster knows what Prometheus knows.
    seeded: bool,
    /// Instances that were begun and have not served yet.
    starting: HashMap<String, Moment>,
    /// Who does not serve, and since when: instances, or backends where only the size is known.
    trials: Trials,
    /// Since when the platform has more than is found; `None` while it has not.
    unfound: Option<Moment>,
    farewells: Vec<Farewell>,
    /// Whether it was told that growth has stopped.
    stopped: bool,
    metrics: Arc<AutoscalerMetrics>,
}

impl<T: Send + Sync> Keeper<T> {
    pub(super) fn new(around: Arc<Surroundings<T>>, cap: Arc<Cap>, settings: Settings) -> Self {
        let target = &settings.target;
        let client = client(&settings);
        Self {
            means: Arc::new(driver::means(&target.driver, &target.upstream)),
            signals: Signals::new(target, usable(client.as_ref())),
            decider: Decider::new(target),
            forecaster: forecaster(&settings),
            seeded: false,
            starting: HashMap::new(),
            trials: Trials::default(),
            unfound: None,
            farewells: Vec::new(),
            stopped: false,
            metrics: around.metrics.autoscaler(&target.upstream),
            client,
            around,
            cap,
            settings,
        }
    }

    /// Goes by other settings from now on; what is under way goes on.
    pub(super) fn adapt(&mut self, settings: Settings) {
        if self.settings == settings {
            return;
        }
        let (old, new) = (&self.settings.target, &settings.target);
        if old.driver != new.driver {
            self.means = Arc::new(driver::means(&new.driver, &new.upstream));
        }
        let same_client = (&self.settings.prometheus, self.settings.interval)
            == (&settings.prometheus, settings.interval);
        if !same_client {
            self.client = client(&settings);
        }
        self.signals = Signals::new(new, usable(self.client.as_ref()));
        let horizon = new.provisioning + settings.interval;
        let kept = match (&mut self.forecaster, &new.forecast) {
            (Some(known), Some(wanted)) => known.reconfigure(wanted, settings.interval, horizon),
            (None, None) => true,
            _ => {
                self.forecaster = forecaster(&settings);
                false
            }
        };
        self.seeded &= kept;
        self.decider.reconfigure(new);
        self.settings = settings;
    }

    /// Looks, decides, and acts where there is something to do.
    pub(super) async fn step(&mut self) {
        self.seed().await;
        match Arc::clone(&self.means).as_ref() {
            Ok(Means::Instances(driver)) => self.step_by_instances(driver.as_ref()).await,
            Ok(Means::Size(sizer)) => self.step_by_size(sizer.as_ref()).await,
            Err(error) => self.blind(error),
        }
    }

    async fn step_by_instances(&mut self, driver: &dyn Driver) {
        let instances = match driver.observe().await {
            Ok(instances) => instances,
            Err(error) => return self.blind(&error),
        };
        self.make_way(&instances).await;
        let now = clock::now();
        let seen = self.seen(now);
        self.watch(&instances, &seen, now);
        self.judge_starts(&instances, &seen, now);
        let present: Vec<(&Instance, Part)> = instances
            .iter()
            .filter(|instance| self.is_staying(instance))
            .map(|instance| {
                let young = self.is_young(instance, &seen, now);
                (instance, pool::part(instance, &seen, young))
            })
            .collect();
        let pool = pool::of_instances(&present);
        let (decision, held) = self.decide(pool, now).await;
        if held.as_ref().is_some_and(|held| held.entirely) {
            return;
        }
        self.tidy(driver, &present, &decision).await;
        match decision.direction {
            _ if held.is_some() => {}
            Direction::Up => self.grow(driver, pool, &decision, now).await,
            Direction::Down => self.shrink(&present, &seen, pool, &decision, now).await,
            Direction::Hold => {}
        }
        if decision.direction != Direction::Down {
            self.discard(&present, &seen, pool, now).await;
        }
    }

    /// Notes who serves, and who of those that were ended is shown still.
    fn watch(&mut self, instances: &[Instance], seen: &[Seen], now: Moment) {
        let serves = |instance: &Instance| {
            instance.state == InstanceState::Paused
                || pool::backend(instance, seen).is_some_and(Seen::serves)
        };
        let all = instances.iter();
        let all = all.map(|instance| (instance.id.as_str(), serves(instance)));
        self.trials.note(all, now);
        for farewell in &mut self.farewells {
            farewell.shown(instances.iter().any(|one| one.id == farewell.instance));
        }
    }

    async fn step_by_size(&mut self, sizer: &dyn Sizer) {
        let size = match sizer.size().await {
            Ok(size) => size,
            Err(error) => return self.blind(&error),
        };
        let now = clock::now();
        let pool = self.pool_of_size(size, now);
        let (decision, held) = self.decide(pool, now).await;
        if held.is_none() && decision.direction != Direction::Hold {
            let (from, to) = (pool.size, decision.size);
            self.decider.acted(from, to, now);
            if to > from {
                // The new ones have their own time.
                self.unfound = None;
            }
            let done = sizer.resize(from, to).await;
            if done.is_err() {
                self.metrics.failed("resize");
            }
            self.tell(from, to, &decision, done.as_ref().err());
        }
    }

    fn pool_of_size(&mut self, size: Option<u32>, now: Moment) -> Pool {
        let (seen, patience) = (self.seen(now), self.patience());
        let all = seen.iter().map(|one| (one.id.as_str(), one.serves()));
        self.trials.note(all, now);
        let is_short = pool::unfound(&seen, size.unwrap_or(0)) > 0;
        self.unfound = is_short.then(|| self.unfound.unwrap_or(now));
        let young = self.unfound.is_none_or(|since| now.since(since) < patience);
        let may_come = |one: &Seen| self.trials.may_come(&one.id, patience, now);
        pool::of_backends(&seen, size, may_come, young)
    }

    /// Decides and tells so; with it what keeps the decision from being carried out.
    async fn decide(&mut self, pool: Pool, now: Moment) -> (Decision, Option<Held>) {
        let upstream = self.settings.target.upstream.as_str();
        let snapshot = self.around.published.load();
        let live = Live::of(&snapshot, &self.around.traffic, upstream, now);
        drop(snapshot);
        let readings = self.signals.read(&live, now, rand::random()).await;
        let prediction = self.forecaster.as_ref().and_then(Forecaster::prediction);
        let counts = self.forecaster.as_ref().is_some_and(Forecaster::counts);
        let decision = self.decider.decide(
            &Inputs {
                pool,
                readings: &readings,
                forecast: prediction.filter(|_| counts).map(|one| one.asked()),
            },
            now,
        );
        let at = clock::unix_millis() as f64 / 1e3;
        if let Some(forecaster) = &mut self.forecaster {
            forecaster.observe(at, decision.needed);
        }
        self.tell_of_crashes(&decision);
        let held = self.held(pool, &decision, now).await;
        let forecast = prediction.map(|prediction| prediction.needed);
        self.show(
            at,
            Some(pool),
            Some(&decision),
            held.as_ref().map(|held| held.why.as_str()),
            forecast,
            counts,
        );
        (decision, held)
    }

    /// What keeps a change from being made.
    async fn held(&self, pool: Pool, decision: &Decision, now: Moment) -> Option<Held> {
        let settings = &self.settings;
        let upstream = settings.target.upstream.as_str();
        let entirely = |why: &str| {
            let (why, entirely) = (why.to_owned(), true);
            Some(Held { why, entirely })
        };
        if self.around.board.is_paused(upstream) {
            return entirely("paused");
        }
        if settings.dry_run {
            return entirely("dry_run: nothing is done");
        }
        if !self.around.lease.holds(upstream).await {
            return entirely("another instance holds the lease");
        }
        let this_change = |why| {
            Some(Held {
                why,
                entirely: false,
            })
        };
        if decision.direction == Direction::Up && !self.has_room(pool) {
            let leaving = "max: those that are leaving count until they have ended";
            return this_change(leaving.to_owned());
        }
        let most = settings.max_actions_per_hour;
        if decision.direction != Direction::Hold && !self.cap.take(most, now) {
            let why = format!("max_actions_per_hour: {most} are made already");
            return this_change(why);
        }
        None
    }

    /// Tells the forecaster what Prometheus remembers, so that a restart forgets nothing.
    async fn seed(&mut self) {
        let (Some(forecaster), Some(Ok(client))) = (&mut self.forecaster, &self.client) else {
            return;
        };
        if std::mem::replace(&mut self.seeded, true) {
            return;
        }
        let Some((span, step)) = forecaster.history() else {
            return;
        };
        let upstream = &self.settings.target.upstream;
        let promql = format!(
            "max(evenkeel_autoscaler_recommendation{{upstream=\"{upstream}\",source=\"reactive\"}})"
        );
        let end = clock::unix_millis() as f64 / 1e3;
        let start = end - span.as_secs_f64();
        match client.query_range(&promql, start, end, step).await {
            Ok(history) => forecaster.seed(&history),
            Err(error) => {
                tracing::info!(upstream, %error, "autoscaler: the forecast begins without a past");
            }
        }
    }

    fn seen(&self, now: Moment) -> Vec<Seen> {
        let snapshot = self.around.published.load();
        let group = snapshot.group_named(&self.settings.target.upstream);
        group.map_or_else(Vec::new, |group| pool::seen(group, now))
    }
}

fn client(settings: &Settings) -> Option<Result<Arc<Client>, String>> {
    let prometheus = settings.prometheus.as_ref()?;
    Some(Client::new(prometheus, settings.interval).map(Arc::new))
}

fn usable(client: Option<&Result<Arc<Client>, String>>) -> Option<Arc<Client>> {
    client.and_then(|client| client.as_ref().ok()).cloned()
}

fn forecaster(settings: &Settings) -> Option<Forecaster> {
    let forecast = settings.target.forecast.as_ref()?;
    let horizon = settings.target.provisioning + settings.interval;
    Some(Forecaster::new(forecast, settings.interval, horizon))
}
