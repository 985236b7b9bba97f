//! Backends on their way out.

use std::sync::Arc;
use std::time::Duration;

use super::Keeper;
use crate::clock::{self, Moment};
use crate::control::autoscale::driver::{Instance, Means};
use crate::control::autoscale::farewell::{Farewell, Next};
use crate::control::reconcile::{Change, Place};
use crate::upstream::Mode;

/// Between two looks at a backend that is on its way out.
const LOOK: Duration = Duration::from_millis(100);

impl<T: Send + Sync> Keeper<T> {
    /// Sees off those that are on their way out, until `end` or until nobody is.
    pub(in super::super) async fn see_off_until(&mut self, end: Moment) {
        // At least one look, however long the step took that was before it.
        loop {
            self.see_off().await;
            let left = end.since(clock::now());
            let pause = if self.farewells.is_empty() {
                left
            } else {
                LOOK.min(left)
            };
            tokio::time::sleep(pause).await;
            if clock::now() >= end {
                return;
            }
        }
    }

    /// Those that were on their way out serve again.
    pub(in super::super) async fn call_back(&mut self) {
        for farewell in std::mem::take(&mut self.farewells) {
            self.wish(&farewell, Mode::Active).await;
        }
    }

    /// One look at everybody who is on the way out.
    async fn see_off(&mut self) {
        if let Ok(Means::Instances(driver)) = Arc::clone(&self.means).as_ref() {
            for index in (0..self.farewells.len()).rev() {
                let now = clock::now();
                let mut farewell = self.farewells[index].clone();
                match farewell.next(&self.seen(now), now) {
                    Next::Wait => continue,
                    Next::Close => {
                        self.wish(&farewell, Mode::Maintenance).await;
                        farewell.closed(now);
                    }
                    Next::End => {
                        if let Err(error) = driver.remove(&farewell.instance).await {
                            self.metrics.failed("remove");
                            let (upstream, name) = (&self.settings.target.upstream, &farewell.name);
                            tracing::warn!(upstream, instance = name, %error, "autoscaler: not ended yet");
                            // Asked again with the next step, not at once.
                            farewell.stuck(now);
                        } else {
                            farewell.ended(clock::now());
                        }
                    }
                    Next::Forget => {
                        self.forget(&farewell).await;
                        self.farewells.remove(index);
                        continue;
                    }
                }
                self.farewells[index] = farewell;
            }
        }
    }

    /// Tells the reconciler what is wanted of a backend.
    pub(super) async fn wish(&self, farewell: &Farewell, mode: Mode) {
        let Some((backend, _)) = farewell.backend.clone() else {
            return;
        };
        let place = Place {
            upstream: self.settings.target.upstream.clone(),
            backend,
        };
        let change = Change {
            mode: Some(mode),
            weight: None,
        };
        // One that has left already needs nothing, and the reconciler only ends with the process.
        let _ = self.around.commands.amend(place, change).await;
    }

    /// Forgets what was wanted of its address, which another container may come to have, or has.
    async fn forget(&self, farewell: &Farewell) {
        if let Some((backend, _)) = farewell.backend.clone() {
            let upstream = self.settings.target.upstream.clone();
            // The reconciler only ends with the process.
            let _ = self
                .around
                .commands
                .forget(Place { upstream, backend })
                .await;
        }
    }

    /// Forgets those whose address another instance has already.
    pub(super) async fn make_way(&mut self, instances: &[Instance]) {
        let is_taken = |farewell: &Farewell| {
            !farewell.is_here()
                && farewell.backend.as_ref().is_some_and(|(_, address)| {
                    let others = instances.iter().filter(|one| one.id != farewell.instance);
                    others
                        .flat_map(|one| &one.addresses)
                        .any(|ip| *ip == address.ip())
                })
        };
        for index in (0..self.farewells.len()).rev() {
            if is_taken(&self.farewells[index]) {
                let farewell = self.farewells.remove(index);
                self.forget(&farewell).await;
            }
        }
    }

    pub(super) fn is_staying(&self, instance: &Instance) -> bool {
        let mut leaving = self.farewells.iter().filter(|one| one.is_here());
        !leaving.any(|one| one.instance == instance.id)
    }
}
