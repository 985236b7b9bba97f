//! The calls that change something: heartbeats, and what the operator wants of a backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::answer::{Note, Refused, json, noted};
use super::api::Api;
use super::code::Code;
use super::{input, round, tag, view};
use crate::clock;
use crate::control::discovery;
use crate::control::reconcile::{Change, Place, Record, Refusal, Reported, Weighing};
use crate::control::words;
use crate::snapshot::Snapshot;
use crate::state::{Reason, State as Health};
use crate::upstream::{Endpoint, Mode};

/// How long looking an address up may take.
const LOOK_UP: Duration = Duration::from_secs(2);

/// How often a backend's requests in flight are counted while somebody waits for the last one.
const LOOK: Duration = Duration::from_millis(10);

type Places = Result<Path<(String, String)>, PathRejection>;

/// The answer to a heartbeat.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Registered")]
pub(super) struct Beat {
    /// The backend's id.
    backend: String,
    /// How it is.
    #[serde(serialize_with = "words::write")]
    #[schemars(schema_with = "words::schema::<Health>")]
    state: Health,
    /// Why.
    #[serde(serialize_with = "words::write")]
    #[schemars(schema_with = "words::schema::<Reason>")]
    reason: Reason,
    /// Seconds that this heartbeat holds.
    ttl: f64,
    /// Seconds until it is out of the rotation.
    expires_in: f64,
}

/// A backend as it is after a PATCH.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChangedBackend")]
pub(super) struct Patched {
    #[serde(flatten)]
    backend: view::Backend,
    /// Whether nothing was in flight at the end of the wait; absent where none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<bool>,
}

/// `PUT .../heartbeat`: registers or renews.
pub(super) async fn heartbeat<T>(
    State(api): State<Arc<Api<T>>>,
    path: Places,
    request: Request,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    let place = input::place(path)?;
    let commands = tag::commands(&api.commands, request.headers())?;
    let body = input::json(request).await?;
    let mut heartbeat = input::heartbeat(place, &body)?;
    heartbeat.resolved = look_up(&heartbeat.address).await;
    let (place, ttl) = (heartbeat.place.clone(), heartbeat.ttl);
    let address = heartbeat.address.clone();
    let reported = commands.report(heartbeat).await?;
    let snapshot = api.published.load();
    let now = clock::now();
    let (group, member) = find(&snapshot, &place)?;
    let status = snapshot.groups()[group].upstream.status(member, now);
    let status = status.ok_or_else(|| Refusal::UnknownBackend(place.clone()))?;
    let beat = Beat {
        backend: place.backend,
        state: status.state,
        reason: status.reason,
        ttl: round::seconds(ttl),
        expires_in: round::seconds(ttl),
    };
    let (code, word) = match reported {
        Reported::Registered => (StatusCode::CREATED, "registered"),
        Reported::Renewed => (StatusCode::OK, "renewed"),
    };
    let note = Note {
        text: format!("{}: {} {word} at {address}", place.upstream, beat.backend),
        is_routine: reported == Reported::Renewed,
    };
    Ok(noted(json(code, &beat), note))
}

/// `DELETE .../heartbeat`: leaves.
pub(super) async fn leave<T>(
    State(api): State<Arc<Api<T>>>,
    path: Places,
    headers: HeaderMap,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    let place = input::place(path)?;
    let commands = tag::commands(&api.commands, &headers)?;
    let text = format!("{}: {} left", place.upstream, place.backend);
    commands.leave(place).await?;
    let note = Note {
        text,
        is_routine: false,
    };
    Ok(noted(StatusCode::NO_CONTENT.into_response(), note))
}

/// `PATCH .../backends/{b}`: weight, draining, maintenance.
pub(super) async fn patch<T>(
    State(api): State<Arc<Api<T>>>,
    path: Places,
    request: Request,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    let place = input::place(path)?;
    let wait = input::wait(request.uri())?;
    let commands = tag::commands(&api.commands, request.headers())?;
    let body = input::json(request).await?;
    let drain_timeout = api.published.load().config().server.drain_timeout;
    let change = input::change(&body, clock::now(), drain_timeout)?;
    if change.weight.is_none() && change.mode.is_none() && wait.is_none() {
        let hint = "say `weight`, `state`, or ?wait=";
        return Err(Refused::invalid("nothing is to be changed", hint));
    }
    // A place to wait is taken before anything changes, so that a refusal changes nothing.
    let seat = match wait {
        Some(_) => Some(api.waiting.try_acquire().map_err(|_| too_many_wait())?),
        None => None,
    };
    let before = api.commands.recall(&place.upstream).await?;
    commands.amend(place.clone(), change).await?;
    let drained = match wait {
        Some(wait) => {
            let endpoint = endpoint(&api.published.load(), &place)?;
            Some(idle(&endpoint, wait).await)
        }
        None => None,
    };
    drop(seat);
    let known = api.known(&place.upstream).await?;
    let note = Note {
        text: told(&place, change, before.backends.get(&place.backend)),
        is_routine: change.weight.is_none() && change.mode.is_none(),
    };
    let snapshot = api.published.load();
    let (group, member) = find(&snapshot, &place)?;
    let backend = view::backend(&snapshot.groups()[group], member, &known)
        .ok_or(Refusal::UnknownBackend(place))?;
    let answer = json(StatusCode::OK, &Patched { backend, drained });
    Ok(noted(tag::tagged(answer, known.told.tag), note))
}

/// What a change was, and from what.
fn told(place: &Place, change: Change, before: Option<&Record>) -> String {
    let own = || "own".to_owned();
    let mut parts = Vec::new();
    if let Some(weight) = change.weight {
        let was = before.and_then(|record| record.weight);
        let is = match weight {
            Weighing::Fixed(weight) => weight.to_string(),
            Weighing::Own => own(),
        };
        let was = was.map_or_else(own, |weight| weight.to_string());
        parts.push(format!("weight {was} -> {is}"));
    }
    if let Some(mode) = change.mode {
        let was = before.map_or(Mode::Active, |record| record.mode);
        parts.push(format!("state {} -> {}", mode_word(was), mode_word(mode)));
    }
    if parts.is_empty() {
        parts.push("waited for".to_owned());
    }
    let Place { upstream, backend } = place;
    format!("{upstream}: {backend}: {}", parts.join(", "))
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Active => "active",
        Mode::Draining { .. } => "draining",
        Mode::Maintenance => "maintenance",
    }
}

/// The addresses of a `host:port`; none when they cannot be found in time.
async fn look_up(address: &str) -> Vec<SocketAddr> {
    let found = timeout(LOOK_UP, discovery::look_up(address)).await;
    found.ok().and_then(Result::ok).unwrap_or_default()
}

/// Waits until nothing is in flight; `false` when it takes longer than `wait`.
async fn idle(endpoint: &Endpoint, wait: Duration) -> bool {
    let idle = async {
        while endpoint.in_flight() > 0 {
            sleep(LOOK).await;
        }
    };
    timeout(wait, idle).await.is_ok()
}

fn endpoint<T>(snapshot: &Snapshot<T>, place: &Place) -> Result<Arc<Endpoint>, Refusal> {
    let (group, member) = find(snapshot, place)?;
    let member = &snapshot.groups()[group].upstream.members()[member];
    Ok(Arc::clone(&member.endpoint))
}

/// The positions of the upstream and of its member.
fn find<T>(snapshot: &Snapshot<T>, place: &Place) -> Result<(usize, usize), Refusal> {
    let mut groups = snapshot.groups().iter();
    let group = groups
        .position(|group| group.upstream.name() == place.upstream)
        .ok_or_else(|| Refusal::UnknownUpstream(place.upstream.clone()))?;
    let mut members = snapshot.groups()[group].upstream.members().iter();
    let member = members
        .position(|member| member.endpoint.name() == place.backend)
        .ok_or_else(|| Refusal::UnknownBackend(place.clone()))?;
    Ok((group, member))
}

fn too_many_wait() -> Refused {
    let hint = "ask without ?wait, and look again later";
    Refused::new(Code::TooManyWaits, "too many calls wait already", hint)
}
