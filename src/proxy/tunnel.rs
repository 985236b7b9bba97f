//! Bytes both ways between two connections that no longer speak HTTP.
//!
//! Both directions are polled in one task, each with its own buffer, so a side
//! that is slow to read holds up only what is meant for it. One timer watches
//! over both: whatever moves anywhere shows that the tunnel is in use.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::clock::{self, Moment};

/// Bytes on their way in one direction at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// How long a tunnel may be silent once one side has ended.
const HALF_CLOSED: Duration = Duration::from_secs(5);

/// One end of a tunnel.
pub(super) struct Side<S = pingora_core::protocols::Stream> {
    /// The connection.
    pub(super) io: S,
    /// What was read from it before.
    pub(super) first: Bytes,
}

/// Bytes that reached either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) to_client: u64,
    pub(super) to_backend: u64,
}

/// Passes bytes both ways until both sides have ended, one fails, or nothing moves for `idle`.
///
/// The end of one side is passed on to the other, which may go on for as long
/// as it is never silent for [`HALF_CLOSED`].
pub(super) async fn run<C, B>(client: Side<C>, backend: Side<B>, idle: Duration) -> Passed
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity::default();
    activity.note();
    let mut client = Watched::new(client, &activity);
    let mut backend = Watched::new(backend, &activity);
    let copy = tokio::io::copy_bidirectional_with_sizes(
        &mut client,
        &mut backend,
        BUFFER_BYTES,
        BUFFER_BYTES,
    );
    tokio::select! {
        // How a tunnel ends says nothing about anybody's health.
        _ = copy => {}
        () = activity.silence(idle) => {}
    }
    Passed {
        to_client: client.written,
        to_backend: backend.written,
    }
}

/// What happens on either side of one tunnel.
#[derive(Default)]
struct Activity {
    /// Microseconds of the [`Moment`] when bytes moved last.
    last: AtomicU64,
    /// One side has ended.
    ended: Notify,
}

impl Activity {
    fn note(&self) {
        self.last.store(clock::now().as_micros(), Ordering::Relaxed);
    }

    /// Waits until nothing has moved for `limit`, which a side's end shortens.
    async fn silence(&self, mut limit: Duration) {
        loop {
            let last = Moment::from_micros(self.last.load(Ordering::Relaxed));
            let left = limit.saturating_sub(clock::now().since(last));
            if left.is_zero() {
                return;
            }
            // The timer's resolution: without it, this would wake just early and once more.
            let wait = left + Duration::from_millis(1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.ended.notified() => limit = limit.min(HALF_CLOSED),
            }
        }
    }
}

/// A side whose activity is noted.
struct Watched<'a, S> {
    io: S,
    first: Bytes,
    written: u64,
    activity: &'a Activity,
}

impl<'a, S> Watched<'a, S> {
    fn new(side: Side<S>, activity: &'a Activity) -> Self {
        Self {
            io: side.io,
            first: side.first,
            written: 0,
            activity,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let count = this.first.len().min(buf.remaining());
            buf.put_slice(&this.first[..count]);
            this.first.advance(count);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.activity.note();
        if buf.filled().len() == before {
            this.activity.ended.notify_one();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.written += count as u64;
        this.activity.note();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
