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

/// Passes bytes both ways until both sides have ended, one fails, nothing moves for `idle`, or
/// `cut` says so.
///
/// The end of one side is passed on to the other, which may go on for as long
/// as it is never silent for [`HALF_CLOSED`].
pub(super) async fn run<C, B>(
    client: Side<C>,
    backend: Side<B>,
    idle: Duration,
    cut: impl Future<Output = ()>,
) -> Passed
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
        () = cut => {}
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
///
/// A side that takes no more bytes may still have some to give, such as a
/// farewell; so what cannot be written is dropped until reading has ended too.
struct Watched<'a, S> {
    io: S,
    first: Bytes,
    written: u64,
    /// Nothing more comes from here.
    ended: bool,
    /// Nothing more can be written.
    broken: bool,
    activity: &'a Activity,
}

impl<'a, S> Watched<'a, S> {
    fn new(side: Side<S>, activity: &'a Activity) -> Self {
        Self {
            io: side.io,
            first: side.first,
            written: 0,
            ended: false,
            broken: false,
            activity,
        }
    }

    /// Puts up with a failed write for as long as there may be something to read.
    fn tolerate(&mut self, error: io::Error) -> io::Result<()> {
        if self.ended {
            return Err(error);
        }
        self.broken = true;
        self.activity.ended.notify_one();
        Ok(())
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
            this.ended = true;
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
        if this.broken {
            let error = io::ErrorKind::BrokenPipe.into();
            return Poll::Ready(this.tolerate(error).map(|()| buf.len()));
        }
        match ready!(Pin::new(&mut this.io).poll_write(cx, buf)) {
            Ok(count) => {
                this.written += count as u64;
                this.activity.note();
                Poll::Ready(Ok(count))
            }
            Err(error) => Poll::Ready(this.tolerate(error).map(|()| buf.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.io).poll_flush(cx));
        Poll::Ready(flushed.or_else(|error| this.tolerate(error)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = ready!(Pin::new(&mut this.io).poll_shutdown(cx));
        Poll::Ready(shut.or_else(|error| this.tolerate(error)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn side(first: &'static [u8]) -> (Side<DuplexStream>, DuplexStream) {
        let (io, far) = duplex(64);
        let first = Bytes::from_static(first);
        (Side { io, first }, far)
    }

    #[tokio::test]
    async fn what_was_read_before_comes_first_and_counts() {
        let (client, mut browser) = side(b"ask");
        let (backend, mut server) = side(b"tell");
        let peers = async {
            browser.write_all(b"ing").await.expect("open");
            browser.shutdown().await.expect("open");
            server.write_all(b"ing").await.expect("open");
            server.shutdown().await.expect("open");
            let (mut told, mut asked) = (String::new(), String::new());
            browser.read_to_string(&mut told).await.expect("text");
            server.read_to_string(&mut asked).await.expect("text");
            (told, asked)
        };
        let (passed, texts) =
            tokio::join!(run(client, backend, LONG, std::future::pending()), peers);
        assert_eq!(texts, ("telling".to_owned(), "asking".to_owned()));
        let expected = Passed {
            to_client: 7,
            to_backend: 6,
        };
        assert_eq!(passed, expected);
    }

    #[tokio::test]
    async fn the_last_words_of_a_side_that_takes_no_more_arrive() {
        let (client, mut browser) = side(b"not wanted");
        let (backend, mut server) = side(b"");
        server.write_all(b"farewell").await.expect("open");
        drop(server);
        let heard = async {
            let mut text = String::new();
            browser.read_to_string(&mut text).await.expect("text");
            browser.shutdown().await.expect("open");
            text
        };
        let (passed, text) =
            tokio::join!(run(client, backend, LONG, std::future::pending()), heard);
        assert_eq!(text, "farewell");
        assert_eq!(passed.to_backend, 0);
    }

    #[tokio::test]
    async fn nothing_is_taken_for_a_side_that_is_gone() {
        let (client, mut browser) = side(b"");
        let (backend, server) = side(b"");
        drop(server);
        let chatter = async { while browser.write_all(b"more").await.is_ok() {} };
        tokio::join!(run(client, backend, LONG, std::future::pending()), chatter);
    }
}
