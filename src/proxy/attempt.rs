//! The tries to get an answer from a backend: choosing, waiting, failing over.
//!
//! A retry is planned the moment a try fails: only when the policy and the
//! budget allow it *and* another backend was taken for it. So a failure is
//! never traded for a worse one, and the client gets the first backend's own
//! answer when there is nowhere else to go.

#![expect(
    clippy::unnecessary_box_returns,
    reason = "Pingora passes its errors boxed"
)]

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use super::context::{Context, Picked, Planned};
use super::witness::{self, Case};
use super::{blame, record};
use crate::clock;
use crate::observe::Recorder;
use crate::observe::metrics::Answer;
use crate::reject::Reject;
use crate::request;
use crate::upstream::{Ask, Failure, Unavailable, Upstream, retry};

/// Tries on stale pooled connections that are repeated without being counted.
const MAX_STALE: u32 = 3;

/// The marker of a response that is dropped because another backend is asked.
pub(super) const RETRY_STATUS: ErrorType = ErrorType::Custom("RetryStatus");

/// Chooses the backend of the next try.
pub(super) async fn peer(
    recorder: &Recorder,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<Box<HttpPeer>> {
    let live = Arc::clone(&ctx.live);
    let index = ctx.upstream.ok_or_else(|| refuse(ctx, Reject::Internal))?;
    let group = &live.groups()[index];
    let picked = match ctx.attempts.planned.take() {
        Some(planned) => {
            if !planned.wait.is_zero() {
                tokio::time::sleep(planned.wait).await;
            }
            Ok(planned.picked)
        }
        None => first(recorder, &group.upstream, session, ctx).await,
    };
    let picked = picked.map_err(|reason| refuse(ctx, reason))?;
    let now = clock::now();
    let wish = ctx.wish(session, now);
    if wish.left.is_zero() {
        return Err(refuse(ctx, Reject::RequestTimeout));
    }
    let peer = group.transports[picked.selection.member()].peer(&wish);
    ctx.times.begin_attempt(now);
    ctx.attempts.count += 1;
    ctx.attempts.recorded = false;
    ctx.attempts.counted = false;
    ctx.attempts.response = None;
    ctx.attempts.selection = Some(picked.selection);
    ctx.attempts.decision = picked.decision;
    Ok(peer)
}

/// Ends the request with `reason`, which [`super::answer`] turns into a response.
fn refuse(ctx: &mut Context, reason: Reject) -> Box<Error> {
    ctx.reject = Some(reason);
    Error::explain(
        ErrorType::HTTPStatus(reason.status().as_u16()),
        reason.label(),
    )
}

/// The first try's backend, waited for in the queue where all are at their cap.
async fn first(
    recorder: &Recorder,
    upstream: &Upstream,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<Picked, Reject> {
    match select(recorder, upstream, session, ctx, false) {
        Ok(picked) => Ok(picked),
        Err(Unavailable::NoBackend) => Err(Reject::NoBackend),
        Err(Unavailable::Saturated) => Box::pin(queue(recorder, upstream, session, ctx)).await,
    }
}

fn select(
    recorder: &Recorder,
    upstream: &Upstream,
    session: &Session,
    ctx: &Context,
    queued: bool,
) -> Result<Picked, Unavailable> {
    let facts = ctx.facts(session);
    let sticky = upstream
        .sticky_name()
        .and_then(|name| request::cookie(facts.headers, name));
    let ask = Ask {
        facts: &facts,
        algorithm: ctx.algorithm,
        tried: &ctx.attempts.tried,
        sticky,
        unix_now: sticky.map_or(0, |_| clock::unix_seconds()),
        now: clock::now(),
        random: rand::random(),
        queued,
    };
    let goes_on = ctx.attempts.decision.is_some();
    witness::pick(recorder.decisions(), upstream, &ask, goes_on, || Case {
        route: ctx.route().map_or("", |route| &route.name),
        attempt: ctx.attempts.count + 1,
    })
}

/// Waits until a backend is below its cap again, or the client has left.
async fn queue(
    recorder: &Recorder,
    upstream: &Upstream,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<Picked, Reject> {
    let queue = upstream.queue();
    let mut ticket = queue
        .enter(&ctx.attempts.tried)
        .map_err(|_| Reject::Saturated)?;
    let entered = clock::now();
    let limit = ctx.queue_timeout().min(ctx.left(entered));
    let wait = async {
        loop {
            let freed = ticket.freed();
            match select(recorder, upstream, session, ctx, true) {
                Ok(picked) => return Ok(picked),
                Err(Unavailable::NoBackend) => return Err(Reject::NoBackend),
                Err(Unavailable::Saturated) => {}
            }
            tokio::select! {
                () = freed => {}
                () = left(session) => return Err(blame::no_client(session)),
            }
        }
    };
    let outcome = tokio::time::timeout(limit, wait).await;
    ctx.times.queued = clock::now().since(entered);
    outcome.unwrap_or(Err(Reject::QueueTimeout))
}

/// Completes when the client goes away; never while it still has a body to send.
async fn left(session: &mut Session) {
    if session.as_mut().is_body_empty() {
        session.as_mut().read_body_or_idle(true).await.ok();
    } else {
        std::future::pending::<()>().await;
    }
}

/// A connection to the backend is ready.
pub(super) fn connected(ctx: &mut Context, reused: bool) {
    ctx.times.connected = clock::now();
    ctx.times.reused = reused;
    if let (Some((upstream, selection)), false) = (ctx.current(), reused) {
        upstream.connected(selection, ctx.times.connected);
    }
}

/// The request is over. If nothing went wrong, the backend has done all that was asked of it,
/// which the beginning of an answer does not show.
pub(super) fn finished(ctx: &mut Context) {
    let Some((upstream, selection)) = ctx.current() else {
        return;
    };
    if ctx.attempts.response.is_some() && ctx.reject.is_none() && !ctx.attempts.counted {
        upstream.completed(selection, ctx.times.answered.max(ctx.times.first_byte));
        ctx.attempts.counted = true;
    }
}

/// The backend could not be connected to: notes it, and plans a retry where that is allowed.
pub(super) fn fail_to_connect(
    recorder: &Recorder,
    session: &Session,
    ctx: &mut Context,
    mut error: Box<Error>,
) -> Box<Error> {
    let reason = blame::connect(&error);
    ctx.reject = Some(reason);
    let retry = failed(recorder, session, ctx, Failure::Connect);
    error.set_retry(retry);
    error
}

/// A try failed after its connection was made: notes whose fault it was, and plans a retry.
pub(super) fn fail_after_connect(
    recorder: &Recorder,
    session: &Session,
    ctx: &mut Context,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if *error.etype() == RETRY_STATUS {
        // Planned when the response's status was seen.
        error.set_retry(ctx.attempts.planned.is_some());
        return error;
    }
    error.retry.decide_reuse(reused);
    let stale = error.retry();
    let reason = blame::reason(session, ctx, &error);
    ctx.reject = Some(reason);
    let retry = match reason {
        Reject::BackendReset if stale && repeat_stale(recorder, session, ctx) => true,
        Reject::BackendReset | Reject::BadResponse => {
            failed(recorder, session, ctx, Failure::Reset)
        }
        // A client that does not take its answer is nobody else's fault.
        Reject::RequestTimeout if blame::client_is_slow(&error) => false,
        Reject::BackendTimeout | Reject::RequestTimeout => {
            failed(recorder, session, ctx, Failure::Timeout)
        }
        _ => false,
    };
    error.set_retry(retry);
    error
}

/// Tells everybody of a failed try, once a retry is planned or not.
fn failed(recorder: &Recorder, session: &Session, ctx: &mut Context, failure: Failure) -> bool {
    if let (Some((upstream, selection)), false) = (ctx.current(), ctx.attempts.counted) {
        upstream.failed(selection, clock::now(), failure);
        ctx.attempts.counted = true;
    }
    plan(recorder, session, ctx, failure)
}

/// The backend had closed a pooled connection before our request reached it.
///
/// That says nothing about the backend, so the try is repeated, there if need
/// be, without being counted, where the request may be sent twice at all.
fn repeat_stale(recorder: &Recorder, session: &Session, ctx: &mut Context) -> bool {
    if !session.req_header().method.is_idempotent()
        || !replayable(session)
        || ctx.attempts.stale >= MAX_STALE
    {
        return false;
    }
    ctx.attempts.stale += 1;
    match select_next(recorder, session, ctx) {
        Some(picked) => {
            go_on(recorder, ctx, picked, Duration::ZERO, "stale");
            true
        }
        None => false,
    }
}

fn replayable(session: &Session) -> bool {
    session.response_written().is_none() && !session.as_ref().retry_buffer_truncated()
}

/// Whether a response with this status is dropped because another backend will be asked.
pub(super) fn retry_status(
    recorder: &Recorder,
    session: &Session,
    ctx: &mut Context,
    status: StatusCode,
) -> bool {
    let failure = Failure::Status(status);
    let live = Arc::clone(&ctx.live);
    let listed = ctx
        .route
        .is_some_and(|found| live.retry(found.route).lists(failure));
    listed && plan(recorder, session, ctx, failure)
}

/// Plans another try on another backend; whether there will be one.
fn plan(recorder: &Recorder, session: &Session, ctx: &mut Context, failure: Failure) -> bool {
    let live = Arc::clone(&ctx.live);
    let (Some(found), Some(index)) = (ctx.route, ctx.upstream) else {
        return false;
    };
    let policy = live.retry(found.route);
    let verdict = policy.decide(&retry::Attempt {
        failure,
        method: &session.req_header().method,
        retries: ctx.attempts.retries,
        body_replayable: !session.as_ref().retry_buffer_truncated(),
        response_started: session.response_written().is_some(),
    });
    let retry::Verdict::Retry { budgeted } = verdict else {
        return false;
    };
    if ctx.left(clock::now()).is_zero() {
        return false;
    }
    if budgeted && ctx.attempts.permit.is_none() {
        let group = &live.groups()[index];
        ctx.attempts.permit = group.upstream.retry_permit(policy.budget());
        if ctx.attempts.permit.is_none() {
            recorder.retry_budget_exhausted(&group.metrics);
            return false;
        }
    }
    if let Some(selection) = &ctx.attempts.selection {
        ctx.attempts.tried.insert(selection.member());
    }
    let Some(picked) = select_next(recorder, session, ctx) else {
        return false;
    };
    let wait = policy.backoff(ctx.attempts.retries, rand::random());
    ctx.attempts.retries += 1;
    go_on(recorder, ctx, picked, wait, word(failure));
    true
}

/// The word for a failure in the configuration's `retry.on`, the metrics and the log.
const fn word(failure: Failure) -> &'static str {
    match failure {
        Failure::Connect => "connect",
        Failure::Reset => "reset",
        Failure::Timeout => "timeout",
        Failure::Status(_) => "status",
    }
}

fn select_next(recorder: &Recorder, session: &Session, ctx: &Context) -> Option<Picked> {
    let upstream = &ctx.live.groups()[ctx.upstream?].upstream;
    select(recorder, upstream, session, ctx, false).ok()
}

/// Ends the current try and keeps the next one's backend.
fn go_on(
    recorder: &Recorder,
    ctx: &mut Context,
    picked: Picked,
    wait: Duration,
    why: &'static str,
) {
    let answer = match ctx.attempts.response {
        Some(status) => Answer::Status(status),
        None => Answer::Failed,
    };
    record::attempt(recorder, ctx, answer, Some(why));
    ctx.attempts.retried.push(why);
    ctx.reject = None;
    ctx.attempts.selection = None;
    ctx.times.lost = clock::now()
        .since(ctx.started)
        .saturating_sub(ctx.times.queued);
    ctx.attempts.planned = Some(Planned { picked, wait });
}
