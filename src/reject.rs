//! Every answer Evenkeel gives in a backend's stead: status, reason, fault.
//!
//! One enum is shared by the response, the metrics and the access log, so the
//! same word stands in `X-Evenkeel-Reason`, in `rejects_total{reason}` and in
//! the log line.

use http::StatusCode;

/// Whose fault a rejection is: the first thing to know at 3 a.m.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client sent something that cannot be served.
    Client,
    /// A backend did not answer, or not in time.
    Backend,
    /// Evenkeel's own limits or an internal error.
    Us,
}

macro_rules! rejects {
    ($($(#[$doc:meta])* $variant:ident => $status:literal, $label:literal, $fault:ident;)*) => {
        /// Why a request was answered without (or instead of) a backend's response.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reject { $($(#[$doc])* $variant,)* }

        impl Reject {
            /// Every reason, in the order of their discriminants.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The HTTP status of the answer.
            #[must_use]
            pub fn status(self) -> StatusCode {
                let code: u16 = match self { $(Self::$variant => $status,)* };
                StatusCode::from_u16(code).expect("the table holds valid status codes")
            }

            /// The word in `X-Evenkeel-Reason`, the metrics and the log.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault,)* }
            }
        }
    };
}

rejects! {
    /// The request's framing or syntax is malformed or ambiguous.
    BadRequest => 400, "bad_request", Client;
    /// An HTTP/1.1 request without a Host, or with a malformed one.
    BadHost => 400, "bad_host", Client;
    /// `?algo=` names no algorithm.
    UnknownAlgorithm => 400, "unknown_algorithm", Client;
    /// No route matches.
    NoRoute => 404, "no_route", Client;
    /// TRACE or CONNECT.
    MethodNotAllowed => 405, "method_not_allowed", Client;
    /// The client did not finish its request header in time.
    HeaderTimeout => 408, "header_timeout", Client;
    /// The client stopped sending its body.
    BodyTimeout => 408, "body_timeout", Client;
    /// The body is larger than `max_body`.
    BodyTooLarge => 413, "body_too_large", Client;
    /// The header is larger than `max_header_bytes`.
    HeaderTooLarge => 431, "header_too_large", Client;
    /// The client went away before the answer was complete (logged, never sent).
    ClientClosed => 499, "client_closed", Client;
    /// An error of Evenkeel's own.
    Internal => 500, "internal", Us;
    /// No backend could be connected to.
    ConnectFailed => 502, "connect_failed", Backend;
    /// The backend closed or reset the connection before a full answer.
    BackendReset => 502, "backend_reset", Backend;
    /// The backend's answer was not valid HTTP.
    BadResponse => 502, "bad_response", Backend;
    /// The TLS handshake with the backend failed.
    BackendTls => 502, "backend_tls", Backend;
    /// A connection limit is reached.
    TooManyConnections => 503, "too_many_connections", Us;
    /// The upstream has no backend that may get a request.
    NoBackend => 503, "no_backend", Backend;
    /// Every backend is at its in-flight cap and the queue is full or off.
    Saturated => 503, "saturated", Us;
    /// The wait in the queue took longer than `queue.timeout`.
    QueueTimeout => 503, "queue_timeout", Us;
    /// The backend did not accept the connection in time.
    ConnectTimeout => 504, "connect_timeout", Backend;
    /// The backend did not answer, or stopped answering, in time.
    BackendTimeout => 504, "backend_timeout", Backend;
    /// The route's `timeout` passed.
    RequestTimeout => 504, "request_timeout", Backend;
}

impl Reject {
    /// Seconds for `Retry-After`, on answers that waiting may cure.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyConnections | Self::NoBackend | Self::Saturated | Self::QueueTimeout => {
                Some(1)
            }
            _ => None,
        }
    }
}
