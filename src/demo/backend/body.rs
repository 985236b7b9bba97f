//! The one response body: some bytes, a pattern repeated, then trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

use super::record::Ticket;

/// Whole alphabets, about 64 KiB, so that pieces join seamlessly.
const PATTERN_LEN: usize = 26 * 2520;

/// `abc...z` over and over, so that a body cut or reordered on its way is recognised.
static PATTERN: LazyLock<Bytes> =
    LazyLock::new(|| (b'a'..=b'z').cycle().take(PATTERN_LEN).collect());

/// A response body; holds the request's [`Ticket`], so the request ends with it.
#[derive(Default)]
pub(super) struct Answer {
    data: Bytes,
    pattern_left: u64,
    trailers: Option<HeaderMap>,
    ticket: Option<Ticket>,
}

impl Answer {
    pub(super) fn bytes(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// `count` bytes of the alphabet over and over.
    pub(super) fn pattern(count: u64) -> Self {
        Self {
            pattern_left: count,
            ..Self::default()
        }
    }

    pub(super) fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    pub(super) fn holding(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// Bytes still to be sent.
    pub(super) fn len(&self) -> u64 {
        self.data.len() as u64 + self.pattern_left
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if !self.data.is_empty() {
            return Some(std::mem::take(&mut self.data));
        }
        if self.pattern_left == 0 {
            return None;
        }
        let piece =
            usize::try_from(self.pattern_left).map_or(PATTERN_LEN, |left| left.min(PATTERN_LEN));
        self.pattern_left -= piece as u64;
        Some(PATTERN.slice(..piece))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.next_piece() {
            Some(piece) => Some(Frame::data(piece)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // HTTP/1 can carry trailers only in chunks, so a body that has some must not announce its length.
        if self.trailers.is_some() {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.len())
        }
    }
}
