//! The calls that change something: heartbeats, and what the operator wants of a backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::answer::{Note, Refused, json};
use super::api::Api;
use super::code::Code;
use super::{input, view};
use crate::clock;
use crate::control::discovery;
use crate::control::reconcile::{Place, Refusal, Reported};
use crate::snapshot::Snapshot;
use crate::upstream::Endpoint;

/// How long looking an address up may take.
const LOOK_UP: Duration = Duration::from_secs(2);

/// How often a backend's requests in flight are counted while somebody waits for the last one.
const LOOK: Duration = Duration::from_millis(10);

type Places = Result<Path<(String, String)>, PathRejection>;

/// The answer to a heartbeat.
#[derive(Debug, Serialize)]
struct Beat {
    backend: String,
    state: &'static str,
    reason: &'static str,
    /// Seconds.
    ttl: f64,
    /// Seconds until it is out of the rotation.
    expires_in: f64,
}

/// The answer to a PATCH.
#[derive(Debug, Serialize)]
struct Patched {
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
    let body = input::body(request.into_body()).await?;
    let mut heartbeat = input::heartbeat(place, &body)?;
    heartbeat.resolved = look_up(&heartbeat.address).await;
    let (place, ttl) = (heartbeat.place.clone(), heartbeat.ttl);
    let address = heartbeat.address.clone();
    let reported = api.commands.report(heartbeat).await?;
    let snapshot = api.published.load();
    let now = clock::now();
    let (group, member) = find(&snapshot, &place)?;
    let status = snapshot.groups()[group].upstream.status(member, now);
    let status = status.ok_or_else(|| Refusal::UnknownBackend(place.clone()))?;
    let beat = Beat {
        backend: place.backend,
        state: status.state.label(),
        reason: status.reason.label(),
        ttl: ttl.as_secs_f64(),
        expires_in: ttl.as_secs_f64(),
    };
    let (code, word) = match reported {
        Reported::Registered => (StatusCode::CREATED, "registered"),
        Reported::Renewed => (StatusCode::OK, "renewed"),
    };
    let note = Note {
        text: format!("{word} at {address}"),
        is_routine: reported == Reported::Renewed,
    };
    Ok(noted(json(code, &beat), note))
}

/// `DELETE .../heartbeat`: leaves.
pub(super) async fn leave<T>(
    State(api): State<Arc<Api<T>>>,
    path: Places,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    api.commands.leave(input::place(path)?).await?;
    let note = Note {
        text: "left".to_owned(),
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
    let body = input::body(request.into_body()).await?;
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
    api.commands.amend(place.clone(), change).await?;
    let drained = match wait {
        Some(wait) => {
            let endpoint = endpoint(&api.published.load(), &place)?;
            Some(idle(&endpoint, wait).await)
        }
        None => None,
    };
    drop(seat);
    let snapshot = api.published.load();
    let (group, member) = find(&snapshot, &place)?;
    let records = api.commands.recall(&place.upstream).await?;
    let backend = view::backend(&snapshot.groups()[group], member, &records, clock::now())
        .ok_or(Refusal::UnknownBackend(place))?;
    let note = Note {
        text: format!("{change}"),
        is_routine: false,
    };
    Ok(noted(
        json(StatusCode::OK, &Patched { backend, drained }),
        note,
    ))
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

fn noted(mut response: Response, note: Note) -> Response {
    response.extensions_mut().insert(note);
    response
}
