//! One request on its way to the log: everything owned, every text bounded.
//!
//! The request thread only copies what would otherwise be gone; decoding,
//! escaping and formatting are the writer's work.

use std::net::IpAddr;
use std::sync::Arc;

use http::{StatusCode, Version};

use crate::clock::Moment;
use crate::observe::outcome::{Description, Handles, Outcome, Pick, Times};
use crate::reject::Reject;

/// Bytes kept of a method.
pub(super) const METHOD_MAX: usize = 32;
/// Bytes kept of a request id.
pub(super) const REQUEST_ID_MAX: usize = 128;
/// Bytes kept of a host.
pub(super) const HOST_MAX: usize = 255;
/// Bytes kept of a path.
pub(super) const PATH_MAX: usize = 1024;
/// Bytes kept of a `User-Agent` and of a `Referer`.
pub(super) const HEADER_MAX: usize = 512;

/// Stands where a text was cut.
const CUT: &str = "\u{2026}";

/// One request, as it waits for the writer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) started: Moment,
    pub(super) request_id: Box<[u8]>,
    pub(super) client: IpAddr,
    pub(super) listener: Option<Arc<str>>,
    pub(super) method: Box<[u8]>,
    pub(super) host: Box<[u8]>,
    pub(super) path: Box<[u8]>,
    pub(super) version: Version,
    pub(super) status: StatusCode,
    pub(super) reject: Option<Reject>,
    pub(super) route: Arc<str>,
    pub(super) upstream: Arc<str>,
    pub(super) backend: Option<Arc<str>>,
    pub(super) pick: Option<Pick>,
    pub(super) attempts: u32,
    pub(super) retried: Box<[&'static str]>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) times: Times,
    pub(super) user_agent: Option<Box<[u8]>>,
    pub(super) referer: Option<Box<[u8]>>,
    pub(super) sticky: Option<&'static str>,
}

impl Entry {
    pub(super) fn new(
        outcome: &Outcome<'_>,
        handles: &Handles<'_>,
        description: &Description<'_>,
    ) -> Self {
        let route = handles.route;
        let listener = route.listener(outcome.listener);
        let header = |value: &[u8]| bounded(value, HEADER_MAX);
        Self {
            started: outcome.started,
            request_id: bounded(description.request_id.as_bytes(), REQUEST_ID_MAX),
            client: description.client,
            listener: listener.map(|listener| Arc::clone(listener.name())),
            method: bounded(outcome.method.as_str().as_bytes(), METHOD_MAX),
            host: bounded(description.host.as_bytes(), HOST_MAX),
            path: bounded(description.path.as_bytes(), PATH_MAX),
            version: description.version,
            status: outcome.status,
            reject: outcome.reject,
            route: Arc::clone(route.route()),
            upstream: Arc::clone(route.upstream()),
            backend: handles.backend.map(|backend| Arc::clone(backend.name())),
            pick: outcome.pick,
            attempts: outcome.attempts,
            retried: outcome.retried.into(),
            bytes_in: outcome.bytes_in,
            bytes_out: outcome.bytes_out,
            times: outcome.times,
            user_agent: description.user_agent.map(header),
            referer: description.referer.map(header),
            sticky: description.sticky,
        }
    }
}

/// At most `max` bytes of `text`, not cut inside a UTF-8 character, and a mark
/// where something is missing.
fn bounded(text: &[u8], max: usize) -> Box<[u8]> {
    if text.len() <= max {
        return text.into();
    }
    let within = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    // A character has at most three bytes after its first; more are no UTF-8.
    let back = (0..=3).find(|back| !within(&text[max - back])).unwrap_or(0);
    [&text[..max - back], CUT.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_whole() {
        assert_eq!(*bounded(b"/path", 5), *b"/path");
        assert_eq!(*bounded(b"", 0), *b"");
    }

    #[test]
    fn a_cut_is_marked_and_falls_between_characters() {
        assert_eq!(*bounded(b"/path", 4), *"/pat…".as_bytes());
        assert_eq!(*bounded("aé".as_bytes(), 2), *"a…".as_bytes());
        assert_eq!(*bounded("a\u{1f600}".as_bytes(), 4), *"a…".as_bytes());
        assert_eq!(*bounded("é\u{1f600}".as_bytes(), 2), *"é…".as_bytes());
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_all_the_same() {
        assert_eq!(bounded(&[0x80; 9], 6).len(), 6 + CUT.len());
    }
}
