//! Backends on their way in: those that were begun either come to serve, or
//! count as failed; what a crash left half made is finished or taken away.

use std::time::Duration;

use super::Keeper;
use crate::clock::{self, Moment};
use crate::control::autoscale::decide::{Decision, Direction};
use crate::control::autoscale::driver::{Driver, Instance, InstanceState};
use crate::control::autoscale::pool::{self, Part, Seen};
use crate::control::autoscale::trial;
use crate::control::timeline::Happening;

impl<T: Send + Sync> Keeper<T> {
    /// Those that were begun either serve, or have ended, or have had their time.
    pub(super) fn judge_starts(&mut self, instances: &[Instance], seen: &[Seen], now: Moment) {
        let patience = self.patience();
        let (mut served, mut failed) = (false, Vec::new());
        self.starting.retain(|id, begun| {
            let instance = instances.iter().find(|instance| instance.id == *id);
            let part = instance.map(|instance| (instance, pool::part(instance, seen, true)));
            match part {
                Some((_, Part::Ready | Part::Aside)) => served = true,
                Some((_, Part::Warming)) if now.since(*begun) < patience => return true,
                // It serves a little already.
                Some((instance, Part::Warming))
                    if pool::backend(instance, seen)
                        .is_some_and(|seen| seen.state == crate::state::State::Warming) =>
                {
                    served = true;
                }
                other => failed.push(other.map(|(instance, _)| instance.name.clone())),
            }
            false
        });
        if served {
            self.decider.started(now);
        }
        for name in failed {
            self.decider.start_failed(now);
            self.metrics.failed("start");
            let upstream = self.settings.target.upstream.clone();
            let name = name.unwrap_or_else(|| "a new backend".to_owned());
            let what = format!("{name} does not come to serve");
            tracing::warn!(upstream, "autoscaler: {what}");
            self.around.timeline.note(Happening::Scaling {
                upstream,
                from: None,
                to: None,
                reason: "start_failed",
                detail: what,
            });
        }
    }

    /// What a crash or a failure left: instances that were never started, and those that are over.
    pub(super) async fn tidy(
        &mut self,
        driver: &dyn Driver,
        present: &[(&Instance, Part)],
        decision: &Decision,
    ) {
        for (instance, part) in present {
            let never_started = instance.state == InstanceState::Created
                && !self.starting.contains_key(&instance.id);
            let result = if never_started && decision.direction != Direction::Down {
                let resumed = driver.resume(&instance.id).await;
                resumed.map(|instance| {
                    self.starting.insert(instance.id, clock::now());
                })
            } else if never_started || (*part == Part::Over && self.is_rubbish(instance)) {
                driver.remove(&instance.id).await
            } else {
                continue;
            };
            if let Err(error) = result {
                self.metrics.failed("tidy");
                let (upstream, name) = (&self.settings.target.upstream, &instance.name);
                tracing::warn!(upstream, instance = name, %error, "autoscaler: left as it is");
            }
        }
    }

    /// Whether one that is over is ours to take away: it was made here, or ended here.
    fn is_rubbish(&self, instance: &Instance) -> bool {
        let mut farewells = self.farewells.iter();
        instance.own || farewells.any(|one| one.is_left(&instance.id))
    }

    /// Whether it may still be on its way to its first request. What the platform says of the time
    /// it was made is believed only as long as the process itself has waited for it. An old one that
    /// this process knows nothing of yet, because it has only begun itself, has that time too.
    pub(super) fn is_young(&self, instance: &Instance, seen: &[Seen], now: Moment) -> bool {
        let age = clock::unix_seconds().saturating_sub(instance.created);
        let is_new = self.starting.contains_key(&instance.id) || age < self.patience().as_secs();
        let is_unknown = pool::backend(instance, seen).is_none_or(|seen| !seen.is_judged);
        (is_new || is_unknown) && self.trials.may_come(&instance.id, self.patience(), now)
    }

    /// How long a backend may fail to serve.
    pub(super) fn patience(&self) -> Duration {
        trial::patience(self.settings.target.provisioning)
    }
}
