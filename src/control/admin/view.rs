//! What the API shows: the upstreams and their backends.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::round;
use crate::clock::Moment;
use crate::config::{Algorithm, Choice};
use crate::control::health::Checked;
use crate::control::reconcile::{Lease, Record, Told};
use crate::control::traffic::Pace;
use crate::control::words;
use crate::snapshot::Group;
use crate::state::{Reason, State};
use crate::upstream::Mode;

/// Every upstream.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Upstreams {
    /// In the order of their names.
    pub(super) upstreams: Vec<Upstream>,
}

/// One upstream.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Upstream {
    /// Its name.
    pub(super) name: String,
    /// The algorithm in use: with `adaptive`, the one it has chosen.
    #[serde(serialize_with = "words::write")]
    #[schemars(schema_with = "words::schema::<Algorithm>")]
    algorithm: Algorithm,
    /// What the configuration says.
    algorithm_configured: ChoiceWord,
    /// What PATCH takes for `algorithm`.
    algorithms: Vec<ChoiceWord>,
    /// What the operator wants of the upstream as a whole.
    operator: UpstreamOperator,
    /// Requests in flight, those to backends that have left included.
    in_flight: usize,
    /// Requests waiting for a slot.
    waiting: usize,
    /// Tries at its backends per second, retries included, over the last ten seconds; the same
    /// for all that follow here.
    requests_per_second: f64,
    /// Tries that failed, per second: answers 500 to 599, and none at all.
    errors_per_second: f64,
    /// The median of their times to the first byte in seconds; null when there was no answer.
    p50: Option<f64>,
    /// What 95 % of them do not exceed.
    p95: Option<f64>,
    /// What 99 % of them do not exceed.
    p99: Option<f64>,
    /// Its backends, primaries first.
    pub(super) backends: Vec<Backend>,
}

/// An algorithm, or `adaptive`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ChoiceWord(&'static str);

impl JsonSchema for ChoiceWord {
    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Choice::names().collect();
        json_schema!({
            "description": "An algorithm, or `adaptive`, which chooses one.",
            "type": "string",
            "enum": names,
        })
    }
}

impl From<Choice> for ChoiceWord {
    fn from(choice: Choice) -> Self {
        Self(choice.name())
    }
}

/// What the operator wants of an upstream as a whole.
#[derive(Debug, Serialize, JsonSchema)]
struct UpstreamOperator {
    /// The algorithm instead of the configured one; null leaves that.
    algorithm: Option<ChoiceWord>,
}

/// One backend.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Backend {
    /// `host:port` as configured or registered, or the name it registered under.
    pub(super) id: String,
    /// What is connected to.
    address: String,
    /// How it is.
    #[serde(serialize_with = "words::write")]
    #[schemars(schema_with = "words::schema::<State>")]
    state: State,
    /// Why.
    #[serde(serialize_with = "words::write")]
    #[schemars(schema_with = "words::schema::<Reason>")]
    reason: Reason,
    /// Seconds it has been in this state.
    since: f64,
    /// Seconds until an ejection, a drain's deadline or a heartbeat's ttl passes.
    until: Option<f64>,
    /// The weight in force.
    #[schemars(range(min = 1, max = 65_535))]
    weight: u32,
    /// Its weight over the sum of those that serve; 0 for one that does not.
    #[schemars(range(min = 0, max = 1))]
    weight_share: f64,
    /// Its requests over those of the whole upstream in the last ten seconds; null without any.
    #[schemars(range(min = 0, max = 1))]
    traffic_share: Option<f64>,
    /// Share of its weight that it gets: less while it is slow or warms up.
    #[schemars(range(min = 0, max = 1))]
    share: f64,
    /// Requests in flight.
    in_flight: u32,
    /// Open connections, idle ones included.
    connections: usize,
    /// Tries per second, over the last ten seconds.
    requests_per_second: f64,
    /// Tries that failed, per second.
    errors_per_second: f64,
    /// Peak EWMA of the time to first byte in seconds: what algorithms compare.
    latency: Option<f64>,
    /// The median of the times to the first byte in seconds; null when there was no answer.
    p50: Option<f64>,
    /// What 99 % of them do not exceed.
    p99: Option<f64>,
    /// Ejections in a row.
    ejections: u32,
    /// What the last health check came to; null where there was none.
    last_check: Option<LastCheck>,
    /// Whether it gets requests only when no primary can.
    backup: bool,
    /// As configured.
    zone: Option<String>,
    /// Who says that it is there.
    source: Source,
    /// The source that found it; only of discovered ones.
    discovered_by: Option<String>,
    /// What it said itself; only of registered ones.
    registration: Option<Registration>,
    /// What the operator wants of it.
    operator: Operator,
}

/// Who says that a backend is there.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// The configuration.
    Configured,
    /// The backend itself, by heartbeat.
    Registered,
    /// A source that was asked.
    Discovered,
}

/// What a health check came to.
#[derive(Debug, Serialize, JsonSchema)]
struct LastCheck {
    /// When it ended, in seconds since 1970.
    at: f64,
    /// Whether it passed.
    ok: bool,
    /// Why not, in words.
    detail: Option<String>,
}

/// What a registered backend last said.
#[derive(Debug, Serialize, JsonSchema)]
struct Registration {
    /// As it was said: a name is not looked up.
    address: String,
    /// Its own; that of the backend is the operator's where there is one.
    #[schemars(range(min = 1, max = 65_535))]
    weight: u32,
    /// Seconds that a heartbeat holds.
    ttl: f64,
    /// Seconds until it is out of the rotation.
    expires_in: f64,
}

/// What the operator wants of a backend.
#[derive(Debug, Serialize, JsonSchema)]
struct Operator {
    /// Whether it takes requests.
    state: Wanted,
    /// Seconds until a drain's deadline.
    deadline: Option<f64>,
    /// The weight instead of its own.
    #[schemars(range(min = 1, max = 65_535))]
    weight: Option<u32>,
}

/// Whether the operator wants a backend to take requests.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    /// It does.
    Active,
    /// No new clients.
    Draining,
    /// None.
    Maintenance,
}

/// What is known about an upstream beside its live state.
pub(super) struct Known {
    /// What was said about it.
    pub(super) told: Told,
    /// Its traffic, and that of each backend by its id.
    pub(super) paces: (Pace, HashMap<String, Pace>),
    /// The last check of each backend.
    pub(super) checks: HashMap<SocketAddr, Checked>,
    /// The moment all of it is shown at.
    pub(super) now: Moment,
}

/// Who serves: the primaries that can, or else the backups that can.
struct Serving {
    backups: bool,
    weight: u64,
}

/// One upstream. Backends that nothing is known of have left meanwhile.
pub(super) fn upstream<T>(group: &Group<T>, known: &Known) -> Upstream {
    let upstream = &group.upstream;
    let (pace, told) = (known.paces.0, &known.told);
    let serving = Serving::of(group, known.now);
    let members = 0..upstream.members().len();
    Upstream {
        name: upstream.name().to_owned(),
        algorithm: upstream.algorithm(),
        algorithm_configured: told.configured.into(),
        algorithms: Choice::names().map(ChoiceWord).collect(),
        operator: UpstreamOperator {
            algorithm: told.algorithm.map(ChoiceWord::from),
        },
        in_flight: upstream.in_flight(),
        waiting: upstream.queue().waiting(),
        requests_per_second: round::rate(pace.requests),
        errors_per_second: round::rate(pace.errors),
        p50: pace.p50.map(round::fine),
        p95: pace.p95.map(round::fine),
        p99: pace.p99.map(round::fine),
        backends: members
            .filter_map(|member| one(group, member, known, &serving))
            .collect(),
    }
}

/// The backend at a position; `None` where there is none.
pub(super) fn backend<T>(group: &Group<T>, position: usize, known: &Known) -> Option<Backend> {
    one(group, position, known, &Serving::of(group, known.now))
}

fn one<T>(group: &Group<T>, position: usize, known: &Known, serving: &Serving) -> Option<Backend> {
    let now = known.now;
    let member = group.upstream.members().get(position)?;
    let endpoint = &member.endpoint;
    let record = known.told.backends.get(endpoint.name())?;
    let status = group.upstream.status(position, now)?;
    let (all, paces) = &known.paces;
    let pace = paces.get(endpoint.name()).copied().unwrap_or_default();
    let serves = status.state.is_available() && member.backup == serving.backups;
    let weight_share = f64::from(member.weight) / serving.weight as f64;
    let traffic_share = pace.requests / all.requests;
    let latency = endpoint.latency_micros(now);
    Some(Backend {
        id: endpoint.name().to_owned(),
        address: endpoint.address().to_string(),
        state: status.state,
        reason: status.reason,
        since: round::seconds(now.since(status.since)),
        until: status.until.map(|until| round::seconds(until.since(now))),
        weight: member.weight,
        weight_share: if serves {
            round::share(weight_share)
        } else {
            0.0
        },
        traffic_share: (all.requests > 0.0).then(|| round::share(traffic_share)),
        share: round::share(f64::from(status.share)),
        in_flight: endpoint.in_flight(),
        connections: endpoint.connections(),
        requests_per_second: round::rate(pace.requests),
        errors_per_second: round::rate(pace.errors),
        latency: latency.map(|micros| round::fine(f64::from(micros) / 1e6)),
        p50: pace.p50.map(round::fine),
        p99: pace.p99.map(round::fine),
        ejections: status.ejections,
        last_check: known.checks.get(&endpoint.address()).map(last_check),
        backup: member.backup,
        zone: member.zone.clone(),
        source: match (&record.lease, &record.found_by) {
            (Some(_), _) => Source::Registered,
            (None, Some(_)) => Source::Discovered,
            (None, None) => Source::Configured,
        },
        discovered_by: record.found_by.clone(),
        registration: record.lease.as_ref().map(|lease| registration(lease, now)),
        operator: operator(record, now),
    })
}

impl Serving {
    fn of<T>(group: &Group<T>, now: Moment) -> Self {
        let mut weights = [0_u64; 2];
        for (position, member) in group.upstream.members().iter().enumerate() {
            let status = group.upstream.status(position, now);
            if status.is_some_and(|status| status.state.is_available()) {
                weights[usize::from(member.backup)] += u64::from(member.weight);
            }
        }
        let [primaries, backups] = weights;
        Self {
            backups: primaries == 0,
            weight: if primaries == 0 { backups } else { primaries },
        }
    }
}

fn last_check(checked: &Checked) -> LastCheck {
    LastCheck {
        at: checked.unix_millis as f64 / 1e3,
        ok: checked.result.is_ok(),
        detail: checked.result.as_ref().err().cloned(),
    }
}

fn registration(lease: &Lease, now: Moment) -> Registration {
    Registration {
        address: lease.address.clone(),
        weight: lease.weight,
        ttl: round::seconds(lease.ttl),
        expires_in: round::seconds(lease.deadline.since(now)),
    }
}

fn operator(record: &Record, now: Moment) -> Operator {
    let (state, deadline) = match record.mode {
        Mode::Active => (Wanted::Active, None),
        Mode::Draining { until } => (Wanted::Draining, Some(round::seconds(until.since(now)))),
        Mode::Maintenance => (Wanted::Maintenance, None),
    };
    Operator {
        state,
        deadline,
        weight: record.weight,
    }
}
