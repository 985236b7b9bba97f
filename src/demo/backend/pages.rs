//! The pages that need nothing but the request, and the pieces all pages are made of.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::body::Answer;
use super::options::MAX_DELAY;

/// Stops this backend for a while; only the demo allows it.
pub(in crate::demo) type StopFor = tokio::sync::mpsc::Sender<Duration>;

/// Largest body `/bytes` sends: 1 GiB.
const MAX_BYTES: u64 = 1 << 30;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) async fn delay(request: &Parts) -> Response<Answer> {
    let Some(time) = milliseconds(request, MAX_DELAY) else {
        return error(
            StatusCode::BAD_REQUEST,
            "write /delay?ms=N with N from 0 to 60000",
        );
    };
    tokio::time::sleep(time).await;
    json_page(
        StatusCode::OK,
        format!("{{\"delayed_ms\":{}}}", time.as_millis()),
    )
}

pub(super) fn status(code: Option<u64>) -> Response<Answer> {
    let code = code
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (200..=599).contains(code));
    let Some(status) = code.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return error(
            StatusCode::BAD_REQUEST,
            "write /status/CODE with CODE from 200 to 599",
        );
    };
    let bodiless = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    if !bodiless.contains(&status) {
        return json_page(status, format!("{{\"status\":{}}}", status.as_u16()));
    }
    let mut response = Response::new(Answer::default());
    *response.status_mut() = status;
    response
}

pub(super) fn bytes(count: Option<u64>) -> Response<Answer> {
    let Some(count) = count.filter(|count| *count <= MAX_BYTES) else {
        return error(
            StatusCode::BAD_REQUEST,
            "write /bytes/N with N from 0 to 1073741824",
        );
    };
    let mut response = Response::new(Answer::pattern(count));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    response
}

pub(super) async fn stop(request: &Parts, stop_for: &StopFor) -> Response<Answer> {
    if request.method != Method::POST {
        let mut refusal = error(StatusCode::METHOD_NOT_ALLOWED, "stopping takes a POST");
        refusal
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return refusal;
    }
    match number(request, "secs").filter(|secs| (1..=3600).contains(secs)) {
        Some(secs) if stop_for.send(Duration::from_secs(secs)).await.is_ok() => {
            json_page(StatusCode::OK, format!("{{\"stopped_for_secs\":{secs}}}"))
        }
        Some(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the demo ends already"),
        None => error(
            StatusCode::BAD_REQUEST,
            "write /_demo/stop?secs=N with N from 1 to 3600",
        ),
    }
}

/// The number in `?name=`.
fn number(request: &Parts, name: &str) -> Option<u64> {
    request
        .uri
        .query()?
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .and_then(|(_, value)| value.parse().ok())
}

/// The time in `?ms=`, unless it is missing or above `bound`.
pub(super) fn milliseconds(request: &Parts, bound: Duration) -> Option<Duration> {
    number(request, "ms")
        .map(Duration::from_millis)
        .filter(|time| *time <= bound)
}

pub(super) fn json_page(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer::bytes(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub(super) fn error(status: StatusCode, text: &str) -> Response<Answer> {
    json_page(status, json!({ "error": text }).to_string())
}

pub(super) fn unreadable(cause: &hyper::Error) -> Response<Answer> {
    error(
        StatusCode::BAD_REQUEST,
        &format!("the request body cannot be read: {cause}"),
    )
}

/// The same answer without its body, which HEAD must not carry.
pub(super) fn without_body(mut response: Response<Answer>) -> Response<Answer> {
    let length = response.body().len();
    // Some answers must not have a length at all, and none of those has a body.
    if length > 0 {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Answer::default())
}
