//! A GET whose status and body are looked at.
//!
//! It is a [`HealthCheck`] on Pingora's connector like Pingora's own
//! `HttpHealthCheck`, which could not be used: that one owns its connector, so
//! a thousand of them would read the system's certificates two thousand times
//! and could not share anything; its request, `Host` included, is the same for
//! every target; and it reads the body without a bound and without looking.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use http::header::{CONNECTION, HOST, USER_AGENT};
use memchr::memmem;
use pingora_core::Result;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthCheck;

use super::verdict::unexpected;
use crate::config::HttpProbe;

/// Who asks.
pub(super) const AGENT: &str = concat!("evenkeel-health/", env!("CARGO_PKG_VERSION"));

/// No more of a body is read.
const MAX_BODY: usize = 64 * 1024;

/// Longest text of a body match that a failure repeats.
const MAX_SHOWN: usize = 80;

/// The GET of one check.
pub(super) struct HttpCheck<'a> {
    pub(super) connector: &'a Connector,
    pub(super) probe: &'a HttpProbe,
    /// How the target is reached; its address is the target's.
    pub(super) peer: HttpPeer,
    /// `host` or `host:port` for the `Host` header.
    pub(super) authority: &'a str,
}

#[async_trait]
impl HealthCheck for HttpCheck<'_> {
    async fn check(&self, target: &Backend) -> Result<()> {
        let mut peer = self.peer.clone();
        peer._address = target.addr.clone();
        let (mut session, _) = self.connector.get_http_session(&peer).await?;
        let http1 = session.as_http1().is_some();
        session.write_request_header(self.request(http1)?).await?;
        session.finish_request_body().await?;
        let status = self.status(&mut session).await?;
        if !expects(&self.probe.expect, status) {
            let expected = ranges(&self.probe.expect);
            return unexpected(format!("HTTP {status}, expected {expected}"));
        }
        self.body(&mut session).await
    }

    fn health_threshold(&self, _success: bool) -> usize {
        // Counting is the upstream's business.
        1
    }
}

impl HttpCheck<'_> {
    fn request(&self, http1: bool) -> Result<Box<RequestHeader>> {
        let mut request = RequestHeader::build("GET", self.probe.path.as_bytes(), None)?;
        request.insert_header(USER_AGENT, AGENT)?;
        for (name, value) in &self.probe.headers {
            request.insert_header(name, value)?;
        }
        request.insert_header(HOST, self.authority)?;
        if http1 {
            // The backend closes first, so no port of ours is left in TIME_WAIT.
            request.insert_header(CONNECTION, "close")?;
        }
        Ok(Box::new(request))
    }

    /// The status of the final answer.
    async fn status(&self, session: &mut HttpSession) -> Result<u16> {
        loop {
            session.read_response_header().await?;
            let status = session.response_header().map_or(0, |h| h.status.as_u16());
            let interim = (100..200).contains(&status) && status != 101;
            if !interim {
                return Ok(status);
            }
        }
    }

    /// Reads the body, up to a bound, and looks for the text.
    async fn body(&self, session: &mut HttpSession) -> Result<()> {
        let wanted = self.probe.body.as_deref();
        let (mut read, mut kept) = (0, Vec::new());
        while read < MAX_BODY
            && let Some(chunk) = session.read_response_body().await?
        {
            if wanted.is_some() {
                let room = MAX_BODY - read;
                kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            read += chunk.len();
        }
        match wanted {
            Some(text) if memmem::find(&kept, text.as_bytes()).is_none() => {
                let shown: String = text.chars().take(MAX_SHOWN).collect();
                unexpected(format!("body does not contain `{shown}`"))
            }
            _ => Ok(()),
        }
    }
}

fn expects(ranges: &[RangeInclusive<u16>], status: u16) -> bool {
    ranges.iter().any(|range| range.contains(&status))
}

fn ranges(ranges: &[RangeInclusive<u16>]) -> String {
    let one = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
        (start, end) if start == end => start.to_string(),
        (start, end) => format!("{start}-{end}"),
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}
