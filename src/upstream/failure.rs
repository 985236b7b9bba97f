//! The ways an attempt can fail, as far as a backend is to blame.

use http::StatusCode;

/// How an attempt failed at a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection: refused, unreachable, or not accepted in time.
    Connect,
    /// The connection broke before a full answer.
    Reset,
    /// Connected, but no answer in time.
    Timeout,
    /// An answer that counts as a failure.
    Status(StatusCode),
}
