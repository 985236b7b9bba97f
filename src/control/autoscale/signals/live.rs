//! What the balancer itself sees of an upstream's load.

use crate::clock::Moment;
use crate::control::traffic::Traffic;
use crate::snapshot::{Group, Snapshot};

/// An upstream at present.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Live {
    /// Backends that take requests; backups are not of the pool.
    pub serving: u32,
    /// The last ten seconds; `None` while they are not measured.
    pub recent: Option<Recent>,
}

/// The last ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recent {
    /// Tries at the backends per second, retries included.
    pub requests: f64,
    /// Requests in flight, on average.
    pub in_flight: f64,
    /// Requests waiting for a slot, on average.
    pub waiting: f64,
    /// The time to the first byte in seconds that 95 % do not exceed, at most ten; `None` when
    /// nothing was answered.
    pub p95: Option<f64>,
}

impl Live {
    /// The upstream of this name.
    #[must_use]
    pub fn of<T>(snapshot: &Snapshot<T>, traffic: &Traffic, upstream: &str, now: Moment) -> Self {
        let recent = traffic.recent(upstream, now);
        Self {
            serving: snapshot.group_named(upstream).map_or(0, serving),
            recent: recent.map(|(pace, level)| Recent {
                requests: pace.requests,
                in_flight: level.in_flight,
                waiting: level.waiting,
                p95: pace.p95,
            }),
        }
    }
}

impl Recent {
    /// Whether there was nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.requests <= 0.0 && self.in_flight <= 0.0 && self.waiting <= 0.0
    }
}

fn serving<T>(group: &Group<T>) -> u32 {
    let members = group.upstream.members().iter();
    let serving = members.filter(|member| !member.backup && member.endpoint.is_available());
    u32::try_from(serving.count()).unwrap_or(u32::MAX)
}
