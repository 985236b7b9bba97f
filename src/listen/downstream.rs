//! One client connection, wrapped so that Pingora reads one request at a time.
//!
//! Pingora parses whatever it reads; a byte too many and the connection cannot
//! be used again. This wrapper gives it exactly the head and the body of the
//! current request and keeps what follows for its turn: pipelining works, an
//! idle connection holds no buffer, and every wait is under one deadline that
//! the stages may move without touching a timer. Once another protocol is
//! spoken, the connection is released to whoever speaks it.

mod stream;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::chunked::Chunks;
use super::head::{Framing, Head};
use crate::clock::{self, Moment};

/// Bytes taken from the socket at once while no request is being served.
const READ_BYTES: usize = 8 * 1024;

/// What may be read of the current request.
#[derive(Debug)]
enum Remaining {
    /// So many bytes of a body with a known length.
    Length(u64),
    /// The chunks that are left.
    Chunked(Chunks),
    /// All there is: HTTP/2.
    Everything,
}

/// A client connection that speaks another protocol from here on.
#[derive(Debug)]
pub struct Released {
    /// The connection.
    pub io: Stream,
    /// What has been read from it and belongs to the other protocol.
    pub first: Bytes,
}

/// A client connection between the socket and Pingora.
pub struct Downstream {
    /// Gone once the connection was released.
    io: Option<Stream>,
    /// Read from the socket and not yet given to Pingora.
    lookahead: BytesMut,
    remaining: Remaining,
    /// The client has closed its side.
    ended: bool,
    close_after: bool,
    /// Microseconds of [`Moment`]; 0 is no deadline.
    deadline: AtomicU64,
    expired: AtomicBool,
    /// Where the connection goes when Pingora next reads from it.
    release: OnceLock<oneshot::Sender<Released>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When `timer` fires; it may be earlier than the deadline, never later.
    armed: Moment,
}

impl Downstream {
    pub(super) fn new(io: Stream) -> Self {
        Self {
            io: Some(io),
            lookahead: BytesMut::new(),
            remaining: Remaining::Length(0),
            ended: false,
            close_after: false,
            deadline: AtomicU64::new(0),
            expired: AtomicBool::new(false),
            release: OnceLock::new(),
            timer: None,
            armed: Moment::ZERO,
        }
    }

    /// Sets when waiting for the client, or for a backend on its behalf, ends with an error.
    pub fn set_deadline(&self, deadline: Option<Moment>) {
        let micros = deadline.map_or(0, Moment::as_micros);
        self.deadline.store(micros, Ordering::Relaxed);
    }

    /// Whether the deadline has ended a read.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Releases the connection, because the protocol was switched.
    ///
    /// Pingora lends the connection out for reading only through its session, so
    /// it arrives once the session reads the next time, which then ends.
    pub fn release(&self) -> oneshot::Receiver<Released> {
        let (sender, receiver) = oneshot::channel();
        // A second call finds the place taken, and its receiver is told that nothing comes.
        self.release.set(sender).ok();
        receiver
    }

    fn hand_over(&mut self, receiver: oneshot::Sender<Released>) {
        if let Some(io) = self.io.take() {
            let first = std::mem::take(&mut self.lookahead).freeze();
            // Dropped where nobody waits for it any more.
            receiver.send(Released { io, first }).ok();
        }
    }

    fn io(&mut self) -> io::Result<Pin<&mut Stream>> {
        match &mut self.io {
            Some(io) => Ok(Pin::new(io)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Whether the connection must not serve another request after this one.
    #[must_use]
    pub const fn close_after(&self) -> bool {
        self.close_after
    }

    pub(super) fn buffered(&self) -> &[u8] {
        &self.lookahead
    }

    /// Whether the last request was read to its end.
    pub(super) fn at_boundary(&self) -> bool {
        matches!(
            self.remaining,
            Remaining::Length(0) | Remaining::Chunked(Chunks::Done)
        )
    }

    /// Drops bytes from the front of what is buffered.
    pub(super) fn skip(&mut self, count: usize) {
        self.lookahead.advance(count);
        if self.lookahead.is_empty() {
            // An idle connection must not keep the allocation.
            self.lookahead = BytesMut::new();
        }
    }

    /// Starts the request whose head is buffered; the head's bytes.
    pub(super) fn begin(&mut self, head: &Head) -> BytesMut {
        self.remaining = match head.framing {
            Framing::Length(length) => Remaining::Length(length),
            Framing::Chunked => Remaining::Chunked(Chunks::START),
        };
        self.close_after = head.close_after;
        if head.len == self.lookahead.len() {
            std::mem::take(&mut self.lookahead)
        } else {
            self.lookahead.split_to(head.len)
        }
    }

    /// Hands everything to Pingora from here on: the connection speaks HTTP/2.
    pub(super) fn pass_through(&mut self) {
        self.set_deadline(None);
        self.remaining = Remaining::Everything;
    }

    /// Reads more bytes into the buffer; 0 at the end of the stream.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let mut space = [std::mem::MaybeUninit::uninit(); READ_BYTES];
        let mut buf = ReadBuf::uninit(&mut space);
        if self.io()?.poll_read(cx, &mut buf)?.is_pending() {
            return self.poll_deadline(cx).map(Err);
        }
        self.ended = buf.filled().is_empty();
        self.lookahead.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Ready with the error once the deadline has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let deadline = Moment::from_micros(self.deadline.load(Ordering::Relaxed));
        if deadline == Moment::ZERO {
            return Poll::Pending;
        }
        if self.timer.is_none() || deadline < self.armed {
            self.arm(deadline, clock::now());
        }
        while let Some(timer) = self.timer.as_mut() {
            ready!(timer.as_mut().poll(cx));
            let now = clock::now();
            if now >= deadline {
                self.expired.store(true, Ordering::Relaxed);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.arm(deadline, now);
        }
        Poll::Pending
    }

    fn arm(&mut self, deadline: Moment, now: Moment) {
        // One millisecond is the timer's resolution: without it, it may fire just early.
        let wait = deadline.since(now) + Duration::from_millis(1);
        self.armed = deadline;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(tokio::time::Instant::now() + wait),
            None => self.timer = Some(Box::pin(tokio::time::sleep(wait))),
        }
    }

    /// Gives buffered bytes of the current request to Pingora.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let most = buf.remaining().min(self.lookahead.len());
        let count = match &mut self.remaining {
            Remaining::Everything => most,
            Remaining::Length(left) => {
                let count = usize::try_from(*left).map_or(most, |left| left.min(most));
                *left -= count as u64;
                count
            }
            Remaining::Chunked(chunks) => chunks.advance(&self.lookahead[..most]),
        };
        buf.put_slice(&self.lookahead[..count]);
        self.skip(count);
    }

    /// Reads the body straight into Pingora's buffer, as far as it belongs to this request.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = match self.remaining {
            Remaining::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
            Remaining::Chunked(_) | Remaining::Everything => usize::MAX,
        };
        let before = buf.filled().len();
        let space = buf.initialize_unfilled_to(most.min(buf.remaining()));
        let mut part = ReadBuf::new(space);
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(()));
        };
        if Pin::new(io).poll_read(cx, &mut part)?.is_pending() {
            return self.poll_deadline(cx).map(Err);
        }
        let count = part.filled().len();
        buf.advance(count);
        self.ended = count == 0;
        match &mut self.remaining {
            Remaining::Length(left) => *left -= count as u64,
            Remaining::Everything => {}
            Remaining::Chunked(chunks) => {
                let own = chunks.advance(&buf.filled()[before..]);
                let next = &buf.filled()[before + own..];
                self.lookahead.extend_from_slice(next);
                buf.set_filled(before + own);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Watches for the client going away while its request is being served.
    ///
    /// Bytes of a next request are kept, up to one read's worth; with any of
    /// them at hand an end of the stream is not told, because they deserve an
    /// answer first.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.lookahead.len() < READ_BYTES {
            match ready!(self.poll_fill(cx)) {
                Ok(0) if self.lookahead.is_empty() => return Poll::Ready(Ok(())),
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.poll_deadline(cx).map(Err)
    }
}

impl AsyncRead for Downstream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(receiver) = this.release.take() {
            this.hand_over(receiver);
        }
        if this.io.is_none() {
            return Poll::Ready(Ok(()));
        }
        if this.at_boundary() {
            this.poll_idle(cx)
        } else if this.lookahead.is_empty() {
            this.poll_body(cx, buf)
        } else {
            this.give(buf);
            Poll::Ready(Ok(()))
        }
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().io()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().io()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

impl fmt::Debug for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downstream")
            .field("io", &self.io)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}
