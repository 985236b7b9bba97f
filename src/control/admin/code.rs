//! The words by which programs know why a call was refused.

use std::borrow::Cow;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
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
    /// Without a token, it comes from another site's page.
    WrongOrigin,
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
    /// The process was started without a configuration file.
    NoConfigFile,
    /// The upstream is not as `If-Match` says.
    PreconditionFailed,
    /// The body broke off or is too large.
    BrokenBody,
    /// The body is no JSON, as its `Content-Type` says.
    UnsupportedMediaType,
    /// The address's name cannot be looked up.
    UnknownAddress,
    /// The configuration is wrong.
    InvalidConfig,
    /// Too many calls wait already.
    TooManyWaits,
    /// Too many clients follow the timeline already.
    TooManyStreams,
    /// The process is ending.
    Ending,
}

impl Code {
    /// Every one, by status.
    pub const ALL: [Self; 22] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::WrongHost,
        Self::WrongOrigin,
        Self::UnknownPath,
        Self::UnknownUpstream,
        Self::UnknownBackend,
        Self::WrongMethod,
        Self::LateBody,
        Self::NoRegistry,
        Self::ConfiguredBackend,
        Self::AddressTaken,
        Self::TooManyBackends,
        Self::NoConfigFile,
        Self::PreconditionFailed,
        Self::BrokenBody,
        Self::UnsupportedMediaType,
        Self::UnknownAddress,
        Self::InvalidConfig,
        Self::TooManyWaits,
        Self::TooManyStreams,
        Self::Ending,
    ];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::WrongHost => "wrong_host",
            Self::WrongOrigin => "wrong_origin",
            Self::UnknownPath => "unknown_path",
            Self::UnknownUpstream => "unknown_upstream",
            Self::UnknownBackend => "unknown_backend",
            Self::WrongMethod => "wrong_method",
            Self::LateBody => "late_body",
            Self::NoRegistry => "no_registry",
            Self::ConfiguredBackend => "configured_backend",
            Self::AddressTaken => "address_taken",
            Self::TooManyBackends => "too_many_backends",
            Self::NoConfigFile => "no_config_file",
            Self::PreconditionFailed => "precondition_failed",
            Self::BrokenBody => "broken_body",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnknownAddress => "unknown_address",
            Self::InvalidConfig => "invalid_config",
            Self::TooManyWaits => "too_many_waits",
            Self::TooManyStreams => "too_many_streams",
            Self::Ending => "ending",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongHost | Self::WrongOrigin => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::UnknownUpstream | Self::UnknownBackend => {
                StatusCode::NOT_FOUND
            }
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::LateBody => StatusCode::REQUEST_TIMEOUT,
            Self::NoRegistry
            | Self::ConfiguredBackend
            | Self::AddressTaken
            | Self::TooManyBackends
            | Self::NoConfigFile => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::BrokenBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownAddress | Self::InvalidConfig => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyWaits | Self::TooManyStreams | Self::Ending => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Why a call was refused, for programs.",
            "type": "string",
            "enum": Self::ALL.map(Self::label),
        })
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}
