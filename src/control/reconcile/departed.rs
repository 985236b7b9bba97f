//! Backends that are in no snapshot any more and still have something under way.
//!
//! A request keeps the snapshot it began with, so whatever was in flight to a
//! backend that left is finished as if nothing had happened. What has no end of
//! its own, a WebSocket, may go on for as long as a drain may take and is cut
//! then. When nothing is left, the backend's series are removed.
//!
//! The list is bounded by what left within one [`LOOK`] and what has a request
//! in flight.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::observe::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::upstream::Endpoint;

/// How often it is looked at what is still under way. A request that took the snapshot before
/// the last one a moment ago has chosen its backend by the first look.
const LOOK: Duration = Duration::from_millis(250);

/// The backends that left.
#[derive(Debug, Default)]
pub(super) struct Departed {
    gone: Vec<Gone>,
    look: Option<Moment>,
}

#[derive(Debug)]
struct Gone {
    upstream: String,
    endpoint: Arc<Endpoint>,
    /// When what is still under way is cut.
    until: Moment,
}

impl Departed {
    /// Notes who is in `before` and not in `after`; what they have under way may go on to `until`.
    pub(super) fn note<T>(
        &mut self,
        before: &Snapshot<T>,
        after: &Snapshot<T>,
        now: Moment,
        until: Moment,
    ) {
        for group in before.groups() {
            let upstream = group.upstream.name();
            let stay: HashSet<*const Endpoint> = after
                .group_named(upstream)
                .into_iter()
                .flat_map(|group| group.upstream.members())
                .map(|member| Arc::as_ptr(&member.endpoint))
                .collect();
            let members = group.upstream.members().iter();
            let left = members.filter(|member| !stay.contains(&Arc::as_ptr(&member.endpoint)));
            self.gone.extend(left.map(|member| Gone {
                upstream: upstream.to_owned(),
                endpoint: Arc::clone(&member.endpoint),
                until,
            }));
        }
        if !self.gone.is_empty() && self.look.is_none() {
            self.look = Some(now.after(LOOK));
        }
    }

    /// When they are to be looked at.
    pub(super) const fn look(&self) -> Option<Moment> {
        self.look
    }

    /// Cuts what had its time, and forgets who has nothing under way, series included unless a
    /// backend of the same name `is_back`.
    pub(super) fn see_off(
        &mut self,
        now: Moment,
        metrics: &Metrics,
        is_back: impl Fn(&str, &str) -> bool,
    ) {
        if self.look.is_none_or(|look| now < look) {
            return;
        }
        self.gone.retain(|gone| {
            let (upstream, backend) = (&*gone.upstream, gone.endpoint.name());
            if gone.until <= now {
                gone.endpoint.cut_off();
            }
            let stays = gone.endpoint.in_flight() > 0;
            if !stays {
                tracing::debug!(upstream, backend, "removed backend has nothing under way");
                if !is_back(upstream, backend) {
                    metrics.forget_backend(upstream, backend);
                }
            }
            stays
        });
        self.look = (!self.gone.is_empty()).then(|| now.after(LOOK));
    }
}
