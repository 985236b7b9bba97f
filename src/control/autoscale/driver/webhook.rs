//! A size that somebody is told over HTTP.
//!
//! The body is signed together with the time, so that who receives it can tell
//! that it is from here, is whole, and is not an old one sent again.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;
use serde::Serialize;
use sha2::Sha256;

use super::call::Place;
use super::contract::{DriverError, Sizer};
use crate::clock;
use crate::config::Secret;

/// When it was signed, in seconds since 1970.
const TIMESTAMP: &str = "evenkeel-timestamp";

/// `sha256=` and the HMAC-SHA256 of the timestamp as it stands in its header, a full stop and the
/// body, in hexadecimal.
const SIGNATURE: &str = "evenkeel-signature";

/// Bytes of the answer that are read; nothing in it counts but the status.
const MAX_ANSWER: usize = 64 << 10;

/// Tells the size to an address.
pub(super) struct Webhook {
    place: Place,
    path: String,
    secret: Secret,
    timeout: Duration,
    upstream: String,
}

/// What is told.
#[derive(Serialize)]
struct Told<'t> {
    upstream: &'t str,
    size: u32,
    from: u32,
    /// Seconds since 1970.
    at: u64,
}

impl Webhook {
    pub(super) fn new(
        url: &str,
        secret: Secret,
        timeout: Duration,
        upstream: String,
    ) -> Result<Self, DriverError> {
        let uri: Uri = url
            .parse()
            .map_err(|error| DriverError::Impossible(format!("the webhook's address: {error}")))?;
        let query = uri.query().map(|query| format!("?{query}"));
        Ok(Self {
            place: Place::of(&uri)?,
            path: format!("{}{}", uri.path(), query.unwrap_or_default()),
            secret,
            timeout,
            upstream,
        })
    }

    fn request(&self, from: u32, to: u32, at: u64) -> Result<Request<Full<Bytes>>, DriverError> {
        let body = Told {
            upstream: &self.upstream,
            size: to,
            from,
            at,
        };
        let impossible = |reason: String| DriverError::Impossible(format!("the webhook: {reason}"));
        let body = serde_json::to_vec(&body).map_err(|error| impossible(error.to_string()))?;
        let signature = signature(&self.secret, at, &body);
        Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .header(TIMESTAMP, at)
            .header(SIGNATURE, signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| impossible(error.to_string()))
    }
}

#[async_trait]
impl Sizer for Webhook {
    async fn size(&self) -> Result<Option<u32>, DriverError> {
        Ok(None)
    }

    async fn resize(&self, from: u32, to: u32) -> Result<(), DriverError> {
        let request = self.request(from, to, clock::unix_seconds())?;
        let what = "tell the webhook a size";
        let answer = self
            .place
            .call(what, request, self.timeout, MAX_ANSWER)
            .await?;
        answer.successful(what).map(|_| ())
    }
}

fn signature(secret: &Secret, at: u64, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes a key of any length");
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests;
