//! How the API answers: JSON, errors too.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::control::reconcile::Refusal;

/// A request that is not done, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    #[serde(skip)]
    pub(super) status: StatusCode,
    /// A word for programs; it stays the same when the message changes.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What the log says about an answer beside its status.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) text: String,
    /// Nothing changed: not worth a line by default.
    pub(super) is_routine: bool,
}

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The request says something that cannot be meant.
    pub(super) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message, hint)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (status, code, hint) = match &refusal {
            Refusal::UnknownUpstream(_) => (
                StatusCode::NOT_FOUND,
                "unknown_upstream",
                "GET /api/v1/upstreams lists them",
            ),
            Refusal::UnknownBackend(place) => {
                let hint = format!("GET /api/v1/upstreams/{} lists them", place.upstream);
                let status = StatusCode::NOT_FOUND;
                return Self::new(status, "unknown_backend", refusal.to_string(), hint);
            }
            Refusal::NoRegistry(_) => (
                StatusCode::CONFLICT,
                "no_registry",
                "give the upstream `discovery: { type: registry }`",
            ),
            Refusal::Configured(_) => (
                StatusCode::CONFLICT,
                "configured_backend",
                "it needs no heartbeat; change or remove it in the file",
            ),
            Refusal::AddressTaken { .. } => (
                StatusCode::CONFLICT,
                "address_taken",
                "remove the other one, or let its ttl pass",
            ),
            Refusal::Full { .. } => (
                StatusCode::CONFLICT,
                "too_many_backends",
                "raise `discovery.max_backends` of the upstream",
            ),
            Refusal::Unresolved(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "unknown_address",
                "say an IP address, or a name that this machine can look up",
            ),
            Refusal::Ended => (
                StatusCode::SERVICE_UNAVAILABLE,
                "ending",
                "try again with the process that takes over",
            ),
        };
        Self::new(status, code, refusal.to_string(), hint)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self);
        let text = self.message;
        response.extensions_mut().insert(Note {
            text,
            is_routine: false,
        });
        if self.status == StatusCode::UNAUTHORIZED {
            let headers = response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    const HEADERS: [(HeaderName, &str); 2] = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    match serde_json::to_vec(body) {
        Ok(body) => (status, HEADERS, body).into_response(),
        Err(error) => {
            tracing::error!(%error, "admin: an answer cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
