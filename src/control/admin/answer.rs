//! How the API answers: JSON, errors too.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::code::Code;
use crate::control::reconcile::Refusal;

/// A request that is not done, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Refused {
    /// For programs; it stays the same when the message changes.
    pub(super) code: Code,
    /// What is wrong.
    pub(super) message: String,
    /// What would help.
    pub(super) hint: String,
    /// Everything that is wrong with a configuration, each as `evenkeel check` prints it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<String>,
}

/// What the log says about an answer beside its status.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    pub(super) text: String,
    /// Nothing changed: not worth a line by default.
    pub(super) is_routine: bool,
}

impl Refused {
    pub(super) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            errors: Vec::new(),
        }
    }

    /// The request says something that cannot be meant.
    pub(super) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message, hint)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (code, hint) = match &refusal {
            Refusal::UnknownUpstream(_) => {
                (Code::UnknownUpstream, "GET /api/v1/upstreams lists them")
            }
            Refusal::UnknownBackend(place) => {
                let hint = format!("GET /api/v1/upstreams/{} lists them", place.upstream);
                return Self::new(Code::UnknownBackend, refusal.to_string(), hint);
            }
            Refusal::NoRegistry(_) => (
                Code::NoRegistry,
                "give the upstream `discovery: { type: registry }`",
            ),
            Refusal::Configured(_) => (
                Code::ConfiguredBackend,
                "it needs no heartbeat; change or remove it in the file",
            ),
            Refusal::Discovered { .. } => (
                Code::ConfiguredBackend,
                "it needs no heartbeat; it leaves when its source has it no more",
            ),
            Refusal::AddressTaken { .. } => (
                Code::AddressTaken,
                "remove the other one, or let its ttl pass",
            ),
            Refusal::Full { .. } => (
                Code::TooManyBackends,
                "raise `discovery.max_backends` of the upstream",
            ),
            Refusal::Unresolved(_) => (
                Code::UnknownAddress,
                "say an IP address, or a name that this machine can look up",
            ),
            Refusal::Changed(upstream) => {
                let hint = format!("GET /api/v1/upstreams/{upstream} says how it is now");
                return Self::new(Code::PreconditionFailed, refusal.to_string(), hint);
            }
            Refusal::Ended => (Code::Ending, "try again with the process that takes over"),
        };
        Self::new(code, refusal.to_string(), hint)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = self.code;
        let mut response = json(code.status(), &self);
        let text = self.message;
        response.extensions_mut().insert(Note {
            text,
            is_routine: false,
        });
        if code == Code::Unauthorized {
            let headers = response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer, with what the log says about it.
pub(super) fn noted(mut response: Response, note: Note) -> Response {
    response.extensions_mut().insert(note);
    response
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
