//! One call of a driver to somebody else's server, within a time and with a bounded answer.
//!
//! A redirect is an answer like any other: nobody is told a size by accident.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::timeout;
use tokio_rustls::rustls::RootCertStore;

use super::contract::{DriverError, shortened};
use crate::config::Endpoint;
use crate::control::{engine, outbound};

/// Where a call goes.
#[derive(Clone)]
pub(super) struct Place(outbound::Place);

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    /// Itself, where the status is one of success.
    pub(super) fn successful(self, what: &str) -> Result<Self, DriverError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let said = String::from_utf8_lossy(&self.body);
        Err(DriverError::refused(what, self.status.as_u16(), &said))
    }
}

impl Place {
    /// An Engine; the files of its TLS are read now.
    pub(super) fn engine(endpoint: &Endpoint) -> Result<Self, DriverError> {
        let place = engine::place(endpoint).map_err(|reason| {
            DriverError::Impossible(format!("{}: {reason}", engine::title(endpoint)))
        })?;
        Ok(Self(place))
    }

    /// The server of an `http://` or `https://` address. The certificates that the system trusts
    /// are read now; `SSL_CERT_FILE` names others.
    pub(super) fn of(url: &Uri) -> Result<Self, DriverError> {
        Self::trusting(url, outbound::system_roots)
    }

    fn trusting(
        url: &Uri,
        roots: impl FnOnce() -> Result<RootCertStore, String>,
    ) -> Result<Self, DriverError> {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            // The address itself would be in every log line.
            return Err(DriverError::Impossible(
                "an address must not hold a password".to_owned(),
            ));
        }
        let place = outbound::Place::of(url, roots);
        let place = place.map_err(|reason| DriverError::Impossible(format!("{url}: {reason}")))?;
        Ok(Self(place))
    }

    /// Makes the call within `limit` in all; a body of more than `max_answer` bytes is an error.
    pub(super) async fn call(
        &self,
        what: &str,
        request: Request<Full<Bytes>>,
        limit: Duration,
        max_answer: usize,
    ) -> Result<Answer, DriverError> {
        match timeout(limit, self.0.call(request, max_answer)).await {
            Ok(Ok(answer)) => {
                let (status, body) = (answer.status(), Response::into_body(answer));
                Ok(Answer { status, body })
            }
            Ok(Err(error)) => Err(DriverError::Unreachable {
                place: self.to_string(),
                reason: shortened(&error.to_string()),
            }),
            Err(_) => Err(DriverError::timeout(what, limit)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
