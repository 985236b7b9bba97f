//! The words by which programs know why a call was refused.

use axum::http::StatusCode;
use serde::{Serialize, Serializer};

/// Why a call was refused. The word stays the same when the message changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It says something that cannot be meant.
    InvalidRequest,
    /// It carries no token, or another.
    Unauthorized,
    /// Without a token, its `Host` is neither an IP address nor `localhost`.
    WrongHost,
    /// There is nothing under its path.
    UnknownPath,
    /// There is no such upstream.
    UnknownUpstream,
    /// There is no such backend.
    UnknownBackend,
    /// The path takes other methods.
    WrongMethod,
    /// The body did not arrive.
    LateBody,
    /// The upstream takes no registrations.
    NoRegistry,
    /// The backend stands in the configuration.
    ConfiguredBackend,
    /// Another backend has the address.
    AddressTaken,
    /// The upstream has as many backends as it may have.
    TooManyBackends,
    /// The body broke off or is too large.
    BrokenBody,
    /// The address's name cannot be looked up.
    UnknownAddress,
    /// Too many calls wait already.
    TooManyWaits,
    /// The process is ending.
    Ending,
}

impl Code {
    /// Every one, by status.
    pub const ALL: [Self; 16] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::WrongHost,
        Self::UnknownPath,
        Self::UnknownUpstream,
        Self::UnknownBackend,
        Self::WrongMethod,
        Self::LateBody,
        Self::NoRegistry,
        Self::ConfiguredBackend,
        Self::AddressTaken,
        Self::TooManyBackends,
        Self::BrokenBody,
        Self::UnknownAddress,
        Self::TooManyWaits,
        Self::Ending,
    ];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::WrongHost => "wrong_host",
            Self::UnknownPath => "unknown_path",
            Self::UnknownUpstream => "unknown_upstream",
            Self::UnknownBackend => "unknown_backend",
            Self::WrongMethod => "wrong_method",
            Self::LateBody => "late_body",
            Self::NoRegistry => "no_registry",
            Self::ConfiguredBackend => "configured_backend",
            Self::AddressTaken => "address_taken",
            Self::TooManyBackends => "too_many_backends",
            Self::BrokenBody => "broken_body",
            Self::UnknownAddress => "unknown_address",
            Self::TooManyWaits => "too_many_waits",
            Self::Ending => "ending",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongHost => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::UnknownUpstream | Self::UnknownBackend => {
                StatusCode::NOT_FOUND
            }
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::LateBody => StatusCode::REQUEST_TIMEOUT,
            Self::NoRegistry
            | Self::ConfiguredBackend
            | Self::AddressTaken
            | Self::TooManyBackends => StatusCode::CONFLICT,
            Self::BrokenBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownAddress => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyWaits | Self::Ending => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}
