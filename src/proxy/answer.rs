//! The answers Evenkeel gives itself: rejections, fixed responses, redirects.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use pingora_core::{Error, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{FailToProxy, Session};

use super::context::Context;
use super::origin::X_REQUEST_ID;
use super::{blame, edit};
use crate::config::{Action, Algorithm};
use crate::reject::Reject;
use crate::route;

const X_EVENKEEL_REASON: HeaderName = HeaderName::from_static("x-evenkeel-reason");

/// Answers with a rejection.
pub(super) async fn reject(session: &mut Session, ctx: &mut Context, reason: Reject) -> Result<()> {
    ctx.reject = Some(reason);
    let mut header = ResponseHeader::build(reason.status(), Some(8))?;
    header.insert_header(X_EVENKEEL_REASON, reason.label())?;
    if let Some(seconds) = reason.retry_after() {
        header.insert_header(RETRY_AFTER, seconds)?;
    }
    header.insert_header(CONTENT_TYPE, "text/plain; charset=utf-8")?;
    header.insert_header(X_REQUEST_ID, ctx.request_id.clone())?;
    if matches!(
        reason,
        Reject::BadRequest | Reject::BadHost | Reject::MethodNotAllowed
    ) {
        session.set_keepalive(None);
    }
    send(session, header, text(reason)).await
}

/// Ends a request that failed, with an answer where one can still be given.
pub(super) async fn failure(
    session: &mut Session,
    error: &Error,
    ctx: &mut Context,
) -> FailToProxy {
    let reason = blame::reason(session, ctx, error);
    ctx.reject = Some(reason);
    tracing::debug!(reason = reason.label(), %error, "request failed");
    if reason != Reject::ClientClosed && session.response_written().is_none() {
        session.set_keepalive(None);
        if let Err(error) = reject(session, ctx, reason).await {
            tracing::debug!(%error, "the client could not be told");
        }
    }
    FailToProxy {
        error_code: reason.status().as_u16(),
        can_reuse_downstream: false,
    }
}

fn text(reason: Reject) -> String {
    let status = reason.status();
    match reason {
        Reject::UnknownAlgorithm => {
            let names: Vec<&str> = Algorithm::ALL.iter().map(|a| a.name()).collect();
            format!(
                "400: unknown_algorithm: `algo` is one of {}\n",
                names.join(", ")
            )
        }
        _ => format!("{}: {}\n", status.as_str(), reason.label()),
    }
}

/// Gives the matched route's own answer.
pub(super) async fn route(session: &mut Session, ctx: &mut Context) -> Result<()> {
    let live = std::sync::Arc::clone(&ctx.live);
    let Some(found) = ctx.route else {
        return reject(session, ctx, Reject::NoRoute).await;
    };
    let route = &live.config().routes[found.route];
    let (mut header, body) = match &route.action {
        Action::Respond { status, body } => {
            let mut header = ResponseHeader::build(*status, Some(8))?;
            header.insert_header(CONTENT_TYPE, "text/plain; charset=utf-8")?;
            (header, body.clone())
        }
        Action::Redirect { status, to } => {
            let location = route::redirect::location(to, &ctx.facts(session));
            let mut header = ResponseHeader::build(*status, Some(8))?;
            header.insert_header(LOCATION, location)?;
            (header, String::new())
        }
        Action::Forward(_) => return reject(session, ctx, Reject::Internal).await,
    };
    edit::response(&mut header, &route.response_headers)?;
    send(session, header, body).await
}

async fn send(session: &mut Session, mut header: ResponseHeader, body: String) -> Result<()> {
    let bodiless = matches!(
        header.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if !bodiless {
        header.insert_header(CONTENT_LENGTH, body.len())?;
    }
    let silent = bodiless || body.is_empty() || session.req_header().method == Method::HEAD;
    session
        .write_response_header(Box::new(header), silent)
        .await?;
    if !silent {
        session
            .write_response_body(Some(Bytes::from(body)), true)
            .await?;
    }
    Ok(())
}
