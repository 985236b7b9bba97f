//! What the API shows: the upstreams, their backends, and whether the process is ready.

use serde::Serialize;

use crate::clock::Moment;
use crate::config::Action;
use crate::control::lifecycle::Phase;
use crate::control::reconcile::{Lease, Record, Records};
use crate::snapshot::{Group, Snapshot};
use crate::upstream::Mode;

/// Every upstream.
#[derive(Debug, Serialize)]
pub(super) struct Upstreams {
    pub(super) upstreams: Vec<Upstream>,
}

/// One upstream.
#[derive(Debug, Serialize)]
pub(super) struct Upstream {
    pub(super) name: String,
    /// The algorithm in use.
    pub(super) algorithm: &'static str,
    /// Requests in flight, those to backends that have left included.
    pub(super) in_flight: usize,
    /// Requests waiting for a slot.
    pub(super) waiting: usize,
    pub(super) backends: Vec<Backend>,
}

/// One backend.
#[derive(Debug, Serialize)]
pub(super) struct Backend {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) state: &'static str,
    pub(super) reason: &'static str,
    /// Seconds it has been in this state.
    pub(super) since: f64,
    /// Seconds until an ejection, a drain's deadline or a heartbeat's ttl passes.
    pub(super) until: Option<f64>,
    pub(super) weight: u32,
    /// Share of the weight that it gets.
    pub(super) share: f32,
    pub(super) in_flight: u32,
    /// Open connections, idle ones included.
    pub(super) connections: usize,
    /// Peak EWMA of the time to first byte in seconds.
    pub(super) latency: Option<f64>,
    /// Ejections in a row.
    pub(super) ejections: u32,
    pub(super) backup: bool,
    pub(super) zone: Option<String>,
    /// Who says that it is there: `configured`, `registered` or `discovered`.
    pub(super) source: &'static str,
    /// The source that found it; only of discovered ones.
    pub(super) discovered_by: Option<String>,
    /// What it said itself; only of registered ones.
    pub(super) registration: Option<Registration>,
    pub(super) operator: Operator,
}

/// What a registered backend last said.
#[derive(Debug, Serialize)]
pub(super) struct Registration {
    /// As it was said: a name is not looked up.
    pub(super) address: String,
    pub(super) weight: u32,
    /// Seconds.
    pub(super) ttl: f64,
    /// Seconds until it is out of the rotation.
    pub(super) expires_in: f64,
}

/// What the operator wants of a backend.
#[derive(Debug, Serialize)]
pub(super) struct Operator {
    /// `active`, `draining` or `maintenance`.
    pub(super) state: &'static str,
    /// Seconds until a drain's deadline.
    pub(super) deadline: Option<f64>,
    /// The weight instead of its own.
    pub(super) weight: Option<u32>,
}

/// Whether the process should get traffic.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    /// Why not.
    pub(super) reasons: Vec<Reason>,
    /// What is amiss although it is ready.
    pub(super) warnings: Vec<Reason>,
}

/// Why the process should get no traffic, or less.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<String>,
}

/// One upstream as it is at `now`. Backends that `records` knows nothing of have left meanwhile.
pub(super) fn upstream<T>(group: &Group<T>, records: &Records, now: Moment) -> Upstream {
    let upstream = &group.upstream;
    let members = 0..upstream.members().len();
    Upstream {
        name: upstream.name().to_owned(),
        algorithm: upstream.algorithm().name(),
        in_flight: upstream.in_flight(),
        waiting: upstream.queue().waiting(),
        backends: members
            .filter_map(|member| backend(group, member, records, now))
            .collect(),
    }
}

/// The backend at a position as it is at `now`; `None` where there is none.
pub(super) fn backend<T>(
    group: &Group<T>,
    position: usize,
    records: &Records,
    now: Moment,
) -> Option<Backend> {
    let member = group.upstream.members().get(position)?;
    let endpoint = &member.endpoint;
    let record = records.get(endpoint.name())?;
    let status = group.upstream.status(position, now)?;
    let latency = endpoint.latency_micros(now);
    Some(Backend {
        id: endpoint.name().to_owned(),
        address: endpoint.address().to_string(),
        state: status.state.label(),
        reason: status.reason.label(),
        since: now.since(status.since).as_secs_f64(),
        until: status.until.map(|until| until.since(now).as_secs_f64()),
        weight: member.weight,
        share: status.share,
        in_flight: endpoint.in_flight(),
        connections: endpoint.connections(),
        latency: latency.map(|micros| f64::from(micros) / 1e6),
        ejections: status.ejections,
        backup: member.backup,
        zone: member.zone.clone(),
        source: match (&record.lease, &record.found_by) {
            (Some(_), _) => "registered",
            (None, Some(_)) => "discovered",
            (None, None) => "configured",
        },
        discovered_by: record.found_by.clone(),
        registration: record.lease.as_ref().map(|lease| registration(lease, now)),
        operator: operator(record, now),
    })
}

fn registration(lease: &Lease, now: Moment) -> Registration {
    Registration {
        address: lease.address.clone(),
        weight: lease.weight,
        ttl: lease.ttl.as_secs_f64(),
        expires_in: lease.deadline.since(now).as_secs_f64(),
    }
}

fn operator(record: &Record, now: Moment) -> Operator {
    let (state, deadline) = match record.mode {
        Mode::Active => ("active", None),
        Mode::Draining { until } => ("draining", Some(until.since(now).as_secs_f64())),
        Mode::Maintenance => ("maintenance", None),
    };
    Operator {
        state,
        deadline,
        weight: record.weight,
    }
}

/// Whether the process should get traffic: it does not drain, and of the upstreams that routes
/// lead to, one at least has an available backend.
///
/// One upstream without a backend is a warning. Every balancer before the same backends would see
/// the same, and if all of them left for it, the other upstreams would be gone with it.
pub(super) fn readiness<T>(snapshot: &Snapshot<T>, phase: Phase, now: Moment) -> Readiness {
    let routes = snapshot.config().routes.iter();
    let is_used = |position: usize| {
        routes.clone().any(|route| match &route.action {
            Action::Forward(splits) => splits.iter().any(|split| split.upstream == position),
            Action::Respond { .. } | Action::Redirect { .. } => false,
        })
    };
    let groups = snapshot.groups().iter().enumerate();
    let used: Vec<&Group<T>> = groups
        .filter(|(position, _)| is_used(*position))
        .map(|(_, group)| group)
        .collect();
    let lacking: Vec<Reason> = used
        .iter()
        .filter(|group| !has_available(group, now))
        .map(|group| Reason {
            code: "no_available_backend",
            upstream: Some(group.upstream.name().to_owned()),
        })
        .collect();
    let is_useless = !used.is_empty() && lacking.len() == used.len();
    let (mut reasons, warnings) = if is_useless {
        (lacking, Vec::new())
    } else {
        (Vec::new(), lacking)
    };
    if phase != Phase::Serving {
        reasons.push(Reason {
            code: "draining",
            upstream: None,
        });
    }
    Readiness {
        ready: reasons.is_empty(),
        reasons,
        warnings,
    }
}

fn has_available<T>(group: &Group<T>, now: Moment) -> bool {
    let upstream = &group.upstream;
    (0..upstream.members().len())
        .filter_map(|member| upstream.status(member, now))
        .any(|status| status.state.is_available())
}
