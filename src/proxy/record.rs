//! What happened, put into the terms of `observe`: one fact a try, one a request.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{HeaderName, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use pingora_proxy::Session;

use super::context::{Context, Times};
use super::peer::Live;
use crate::clock::{self, Moment};
use crate::observe::decisions::End;
use crate::observe::metrics::Answer;
use crate::observe::{Attempt, Connection, Description, Handles, Outcome, Pick, Recorder};
use crate::reject::Reject;
use crate::upstream::Selection;

fn pick(selection: &Selection) -> Pick {
    Pick {
        algorithm: selection.algorithm(),
        reason: selection.reason().label(),
    }
}

/// Records the current try, once: its response began, or it failed.
pub(super) fn attempt(
    recorder: &Recorder,
    ctx: &mut Context,
    answer: Answer,
    retry: Option<&'static str>,
) {
    let (Some(index), Some(selection)) = (ctx.upstream, &ctx.attempts.selection) else {
        return;
    };
    if std::mem::replace(&mut ctx.attempts.recorded, true) {
        return;
    }
    let group = &ctx.live.groups()[index];
    let times = &ctx.times;
    let connection = match times.connected {
        Moment::ZERO => Connection::Failed,
        _ if times.reused => Connection::Reused,
        connected => Connection::New(connected.since(times.chosen)),
    };
    let attempt = Attempt {
        pick: pick(selection),
        connection,
        answer,
        first_byte: (times.first_byte != Moment::ZERO)
            .then(|| times.first_byte.since(times.connected)),
        retry,
    };
    recorder.attempt(
        &attempt,
        &group.metrics,
        &group.backends[selection.member()],
    );
    if let Some(decision) = ctx.attempts.decision.take() {
        // Set once: a try is recorded once.
        decision.outcome.set(end(&ctx.times, answer, retry)).ok();
    }
}

/// What became of a pick.
fn end(times: &Times, answer: Answer, retry: Option<&'static str>) -> End {
    let ended = match times.first_byte {
        Moment::ZERO => clock::now(),
        first_byte => first_byte,
    };
    End {
        status: match answer {
            Answer::Status(status) => Some(status.as_u16()),
            Answer::Failed | Answer::Cancelled => None,
        },
        retry,
        seconds: ended.since(times.chosen).as_secs_f64(),
    }
}

/// Records the finished request.
pub(super) fn request(recorder: &Recorder, session: &Session, ctx: &mut Context) {
    if ctx.attempts.selection.is_some() && !ctx.attempts.recorded {
        attempt(recorder, ctx, Answer::Cancelled, None);
    }
    let ended = clock::now();
    let header = session.req_header();
    let status = session
        .response_written()
        .map(|response| response.status)
        .or_else(|| ctx.reject.map(Reject::status))
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let live = std::sync::Arc::clone(&ctx.live);
    let group = ctx.upstream.map(|index| &live.groups()[index]);
    let selection = ctx.attempts.selection.as_ref();
    let outcome = Outcome {
        listener: ctx.listener,
        method: &header.method,
        status,
        reject: ctx.reject,
        pick: selection.map(pick),
        attempts: ctx.attempts.count,
        retried: ctx.attempts.retried.as_slice(),
        bytes_in: ctx.body_bytes,
        bytes_out: session.body_bytes_sent() as u64 + ctx.tunnel_bytes,
        started: ctx.started,
        times: times(ctx, ended),
    };
    let handles = Handles {
        route: live.route_metrics(ctx.route.map(|found| found.route), ctx.upstream),
        upstream: group.map(|group| &*group.metrics),
        backend: group
            .zip(selection)
            .map(|(group, selection)| &*group.backends[selection.member()]),
    };
    recorder.request(&outcome, &handles, rand::random, || {
        description(session, ctx)
    });
}

fn times(ctx: &Context, ended: Moment) -> crate::observe::Times {
    let (times, started) = (&ctx.times, ctx.started);
    let set = |moment: Moment| (moment != Moment::ZERO).then_some(moment);
    let connected = set(times.connected);
    let waiting_since = set(times.chosen);
    // A request that failed was waiting for somebody else to the end.
    let answered = set(times.answered)
        .or(set(times.first_byte).filter(|_| ctx.reject.is_none()))
        .unwrap_or(ended);
    let waited = waiting_since.map_or(Duration::ZERO, |since| answered.since(since));
    crate::observe::Times {
        total: ended.since(started),
        queue: (!times.queued.is_zero()).then_some(times.queued),
        connect: connected
            .filter(|_| !times.reused)
            .map(|connected| connected.since(times.chosen)),
        first_byte: connected
            .zip(set(times.first_byte))
            .map(|(connected, first)| first.since(connected)),
        waited: waited + times.queued + times.lost,
    }
}

fn description<'r>(session: &'r Session, ctx: &'r Context) -> Description<'r> {
    let header = session.req_header();
    let facts = ctx.facts(session);
    let field =
        |headers: &'r HeaderMap, name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    Description {
        request_id: ctx.request_id.to_str().unwrap_or_default(),
        client: ctx.origin.client,
        host: facts.host,
        path: facts.path,
        version: header.version,
        user_agent: field(&header.headers, USER_AGENT),
        referer: field(&header.headers, REFERER),
        sticky: ctx.sticky,
    }
}

/// Records a connection that was answered before it became a request.
pub(super) fn refused(
    recorder: &Recorder,
    live: &Live,
    listener: usize,
    client: IpAddr,
    reason: Reject,
) {
    let outcome = Outcome {
        listener,
        // What was asked for is not known; the metrics put it under OTHER.
        method: &Method::TRACE,
        status: reason.status(),
        reject: Some(reason),
        pick: None,
        attempts: 0,
        retried: &[],
        bytes_in: 0,
        bytes_out: 0,
        started: clock::now(),
        times: crate::observe::Times::default(),
    };
    let handles = Handles {
        route: live.route_metrics(None, None),
        upstream: None,
        backend: None,
    };
    let description = || Description {
        request_id: "",
        client,
        host: "",
        path: "",
        version: Version::HTTP_11,
        user_agent: None,
        referer: None,
        sticky: None,
    };
    recorder.request(&outcome, &handles, rand::random, description);
}
