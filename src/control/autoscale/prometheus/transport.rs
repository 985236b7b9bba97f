//! One POST on a connection of its own, with or without TLS.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use tokio_rustls::rustls::RootCertStore;

use super::error::{QueryError, quoted};
use crate::config;
use crate::control::outbound::{self, Failure};

/// Bytes of the longest answer: thousands of samples, or ten thousand points.
pub(super) const MAX_BODY: usize = 1 << 20;

/// Where the API is.
pub(super) struct Place {
    url: String,
    server: outbound::Place,
    /// The path before `/api/v1`, without a slash at the end.
    prefix: String,
    token: Option<HeaderValue>,
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.url).finish()
    }
}

impl Place {
    /// Trusts what the machine trusts.
    pub(super) fn new(config: &config::Prometheus) -> Result<Self, String> {
        Self::trusting(config, outbound::system_roots)
    }

    /// `roots` is called where there is TLS.
    pub(super) fn trusting(
        config: &config::Prometheus,
        roots: impl FnOnce() -> Result<RootCertStore, String>,
    ) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{}` is no address of a Prometheus: {why}", config.url);
        let uri: Uri = config
            .url
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            // Said without repeating it: there may be a password in it.
            return Err("the address of Prometheus holds a user; use `token`".to_owned());
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        Ok(Self {
            server: outbound::Place::of(&uri, roots).map_err(|reason| wrong(&reason))?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            token: config.token.as_ref().map(bearer).transpose()?,
            url: config.url.clone(),
        })
    }

    /// As configured.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Posts a form to a call of the API. Has no timeout of its own.
    pub(super) async fn post(&self, call: &str, form: String) -> Result<Reply, QueryError> {
        let mut request = Request::post(format!("{}/api/v1/{call}", self.prefix))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| self.unreachable(&error))?;
        let answer = self.server.call(request, MAX_BODY).await;
        let (head, body) = answer.map_err(|error| self.failed(&error))?.into_parts();
        let location = head.headers.get(LOCATION);
        Ok(Reply {
            status: head.status,
            location: location.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned()),
            body,
        })
    }

    fn failed(&self, failure: &Failure) -> QueryError {
        match failure {
            Failure::TooLong(max) => QueryError::TooLong(*max),
            Failure::Foreign(_) => QueryError::Foreign {
                server: self.url.clone(),
                what: failure.to_string(),
            },
            _ => self.unreachable(failure),
        }
    }

    fn unreachable(&self, cause: &dyn std::fmt::Display) -> QueryError {
        QueryError::Unreachable {
            server: self.url.clone(),
            cause: quoted(&cause.to_string()),
        }
    }
}

fn bearer(token: &config::Secret) -> Result<HeaderValue, String> {
    let value = [b"Bearer ", token.expose()].concat();
    let mut value = HeaderValue::from_bytes(&value)
        .map_err(|_| "the token of Prometheus cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
