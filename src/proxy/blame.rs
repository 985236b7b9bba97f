//! What a failure is called, and so whose fault it is.

use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

use super::context::{Context, downstream};
use crate::clock;
use crate::listen::Downstream;
use crate::reject::Reject;

/// Why there is no client to wait for any more.
pub(super) fn no_client(session: &Session) -> Reject {
    if downstream(session).is_some_and(Downstream::expired) {
        Reject::RequestTimeout
    } else {
        Reject::ClientClosed
    }
}

/// Whether an error means that there was no connection.
const fn is_connect(etype: &ErrorType) -> bool {
    matches!(
        etype,
        ErrorType::ConnectTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::ConnectProxyFailure
            | ErrorType::BindError
            | ErrorType::SocketError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::InvalidCert
            | ErrorType::HandshakeError
    )
}

/// Whether an error came about while the client was to take something.
pub(super) fn client_is_slow(error: &Error) -> bool {
    *error.esource() == ErrorSource::Downstream
        && matches!(
            error.etype(),
            ErrorType::WriteError | ErrorType::WriteTimedout
        )
}

/// What a failed connection is called.
pub(super) fn connect(error: &Error) -> Reject {
    match error.etype() {
        ErrorType::ConnectTimedout => Reject::ConnectTimeout,
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => Reject::BackendTls,
        _ => Reject::ConnectFailed,
    }
}

/// What an error after the connection is called, and so whose fault it is.
pub(super) fn reason(session: &Session, ctx: &Context, error: &Error) -> Reject {
    if let (ErrorType::HTTPStatus(_), Some(reason)) = (error.etype(), ctx.reject) {
        return reason;
    }
    match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, etype) if is_connect(etype) => connect(error),
        (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            if ctx.left(clock::now()).is_zero() {
                Reject::RequestTimeout
            } else {
                Reject::BackendTimeout
            }
        }
        (
            ErrorSource::Upstream,
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::InvalidH2,
        ) => Reject::BadResponse,
        (ErrorSource::Upstream, _) => Reject::BackendReset,
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Reject::BodyTimeout,
        (
            ErrorSource::Downstream,
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed
            | ErrorType::ConnectError
            | ErrorType::H2Error,
        ) => no_client(session),
        (ErrorSource::Downstream, _) => Reject::BadRequest,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Reject::Internal,
    }
}
