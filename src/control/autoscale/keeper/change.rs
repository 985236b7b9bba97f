//! Making backends, sending some away, and giving up those that do not come to
//! serve.

use std::time::Duration;

use super::Keeper;
use crate::clock::{self, Moment};
use crate::control::autoscale::decide::{Decision, Pool};
use crate::control::autoscale::driver::{Driver, Instance};
use crate::control::autoscale::farewell::Farewell;
use crate::control::autoscale::pool::{self, Part, Seen};
use crate::control::timeline::Happening;
use crate::upstream::Mode;

impl<T: Send + Sync> Keeper<T> {
    /// Whether one more may come. Those on their way out run until they have ended, so they count;
    /// one of them that may stay after all is as good as a new one.
    pub(super) fn has_room(&self, pool: Pool) -> bool {
        self.room(pool) > 0 || self.farewells.iter().any(Farewell::can_stay)
    }

    fn room(&self, pool: Pool) -> u32 {
        let leaving = self.farewells.iter().filter(|one| one.is_here()).count();
        let leaving = u32::try_from(leaving).unwrap_or(u32::MAX);
        let there = pool.size.saturating_add(leaving);
        self.settings.target.max.saturating_sub(there)
    }

    pub(super) async fn grow(
        &mut self,
        driver: &dyn Driver,
        pool: Pool,
        decision: &Decision,
        now: Moment,
    ) {
        let (from, to) = (pool.size, decision.size);
        self.decider.acted(from, to, now);
        let mut room = self.room(pool);
        let mut made = from + self.keep_some(to - from).await;
        let mut failure = None;
        while made < to && room > 0 {
            match driver.create().await {
                Ok(instance) => {
                    self.starting.insert(instance.id, clock::now());
                    made += 1;
                    room -= 1;
                }
                Err(error) => {
                    self.metrics.failed("create");
                    self.decider.start_failed(clock::now());
                    failure = Some(error);
                    break;
                }
            }
        }
        self.tell(from, made, decision, failure.as_ref());
    }

    /// So many of those that wait for their requests to end, at most, serve again.
    async fn keep_some(&mut self, most: u32) -> u32 {
        let mut kept = 0;
        for index in (0..self.farewells.len()).rev() {
            if kept < most && self.farewells[index].can_stay() {
                let farewell = self.farewells.remove(index);
                self.wish(&farewell, Mode::Active).await;
                kept += 1;
            }
        }
        kept
    }

    pub(super) async fn shrink(
        &mut self,
        present: &[(&Instance, Part)],
        seen: &[Seen],
        pool: Pool,
        decision: &Decision,
        now: Moment,
    ) {
        let (from, to) = (pool.size, decision.size);
        let victims = pool::victims(present, seen, from - to);
        self.decider.acted(from, to, now);
        for victim in &victims {
            self.send_away(victim, seen).await;
        }
        let gone = u32::try_from(victims.len()).unwrap_or(u32::MAX);
        self.tell(from, from - gone, decision, None);
    }

    async fn send_away(&mut self, instance: &Instance, seen: &[Seen]) {
        let backend = pool::backend(instance, seen);
        let until = clock::now().after(self.settings.target.drain_timeout);
        let farewell = Farewell::new(
            instance.id.clone(),
            instance.name.clone(),
            backend.map(|seen| (seen.id.clone(), seen.address)),
            backend.is_some_and(Seen::serves),
            until,
        );
        self.wish(&farewell, Mode::Draining { until }).await;
        self.starting.remove(&instance.id);
        self.farewells.push(farewell);
    }

    /// One that was made here and has failed for as long as it may is thrown away, so that it is in
    /// the way of none that serves. One at a time, and none while most fail: then the cause is
    /// hardly that one. What takes its place is decided as ever.
    pub(super) async fn discard(
        &mut self,
        present: &[(&Instance, Part)],
        seen: &[Seen],
        pool: Pool,
        now: Moment,
    ) {
        let waited = |instance: &Instance| self.trials.waited(&instance.id, now);
        let failing = present
            .iter()
            .filter(|(instance, part)| instance.own && *part == Part::Failing)
            .map(|(instance, _)| *instance)
            .filter(|instance| waited(instance) >= self.patience());
        let Some(worst) = failing.max_by_key(|instance| waited(instance)) else {
            return;
        };
        let most = self.settings.max_actions_per_hour;
        if pool.fails_mostly() || !self.cap.take(most, now) {
            return;
        }
        let detail = format!(
            "{} has not served for {}",
            worst.name,
            humantime::format_duration(Duration::from_secs(waited(worst).as_secs()))
        );
        let (from, to) = (pool.size, pool.size.saturating_sub(1));
        self.decider.acted(from, to, now);
        self.send_away(worst, seen).await;
        self.metrics.failed("serve");
        let upstream = self.settings.target.upstream.clone();
        tracing::warn!(upstream, from, to, detail, "autoscaler: throws one away");
        self.around.timeline.note(Happening::Scaling {
            upstream,
            from: Some(from),
            to: Some(to),
            reason: "discarded",
            detail,
        });
    }
}
