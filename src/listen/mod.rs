//! Stage 1: sockets, connection limits and the reading of request heads.
//!
//! Pingora accepts connections and calls [`Frontend`], which owns each one
//! between requests: it waits for a head under a deadline, refuses what is
//! malformed, and only then lets Pingora's proxy serve that one request. So
//! slow or ambiguous input never reaches the proxy, and an idle connection
//! costs under 4 KiB.

mod caps;
mod chunked;
mod downstream;
mod head;
mod settings;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;

use crate::clock::{self, Moment};
use crate::config;
use crate::reject::Reject;
use caps::{Cap, Caps};
pub use downstream::{Downstream, Released};
use head::{Head, Scanner};
use settings::{Settings, Shared};

/// While draining, an idle connection may send one more request for this long:
/// a request already on its way is then answered rather than reset.
const DRAIN_LINGER: Duration = Duration::from_millis(500);

/// The start of an HTTP/2 connection (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes buffered for writing before they go out; a small response leaves in one packet.
const WRITE_BUFFER_BYTES: usize = 1460;

/// Told about connections that are answered before they become requests.
pub trait Observer: Send + Sync + 'static {
    /// A connection on `listener` got the answer `reason` without a route.
    fn refused(&self, listener: usize, client: IpAddr, reason: Reject);
}

/// One listening socket's settings and count.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    settings: Shared,
    caps: Caps,
}

/// The connections open on every listener, for metrics and for draining.
#[derive(Debug)]
pub struct Connections {
    total: Arc<Cap>,
    listeners: Vec<Listener>,
}

impl Connections {
    /// Prepares the limits of every listener.
    #[must_use]
    pub fn new(config: &config::Config) -> Self {
        let total = Arc::new(Cap::new(config.server.max_connections));
        let listener = |listener: &config::Listener| Listener {
            address: listener.address,
            settings: Shared::new(Settings::of(listener)),
            caps: Caps::new(
                Arc::clone(&total),
                listener.max_connections,
                listener.max_connections_per_ip,
            ),
        };
        Self {
            listeners: config.listeners.iter().map(listener).collect(),
            total,
        }
    }

    /// Takes over the limits of another configuration with the same listeners in the same order.
    /// Connections that are open keep the timeouts they were opened with.
    pub fn adapt(&self, config: &config::Config) {
        self.total.limit(config.server.max_connections);
        for (own, listener) in self.listeners.iter().zip(&config.listeners) {
            own.settings.set(Settings::of(listener));
            let per_address = listener.max_connections_per_ip;
            own.caps.limit(listener.max_connections, per_address);
        }
    }

    /// Connections open on the listener at this position.
    #[must_use]
    pub fn open(&self, listener: usize) -> usize {
        self.listeners.get(listener).map_or(0, |l| l.caps.open())
    }

    /// Connections open on any listener.
    #[must_use]
    pub fn total(&self) -> usize {
        self.listeners.iter().map(|l| l.caps.open()).sum()
    }

    /// The listener that accepted a connection on this local address.
    #[must_use]
    pub fn listener_of(&self, local: &SocketAddr) -> Option<usize> {
        let exact = |l: &Listener| l.address == *local;
        let any =
            |l: &Listener| l.address.port() == local.port() && l.address.ip().is_unspecified();
        let find = |matches: &dyn Fn(&Listener) -> bool| self.listeners.iter().position(matches);
        find(&exact).or_else(|| find(&any))
    }
}

/// How Pingora should open the socket of `listener`.
///
/// Reads are unbuffered because [`Downstream`] buffers what it needs while it needs it.
#[must_use]
pub fn endpoint(listener: &config::Listener) -> ListenerConfig {
    ListenerConfig::tcp(listener.address.to_string())
        .l4_buffer(L4BufferSettings::new(0, WRITE_BUFFER_BYTES))
}

/// Accepts connections and feeds their requests to an HTTP application one by one.
pub struct Frontend<A, O> {
    app: Arc<A>,
    connections: Arc<Connections>,
    observer: O,
}

/// Why the wait for a head ended without one.
enum NoHead {
    /// Nothing to answer: the client left, or stayed silent between requests.
    Gone,
    /// Answer this and close.
    Refuse(Reject),
}

/// What a connection turned out to carry next.
enum Next {
    Request(Head),
    Http2,
}

impl<A, O> Frontend<A, O>
where
    A: HttpServerApp + Send + Sync + 'static,
    O: Observer,
{
    /// A frontend for `app`.
    #[must_use]
    pub const fn new(app: Arc<A>, connections: Arc<Connections>, observer: O) -> Self {
        Self {
            app,
            connections,
            observer,
        }
    }

    async fn serve(&self, stream: Stream, shutdown: &ShutdownWatch) -> Option<()> {
        let digest = stream.get_socket_digest()?;
        let client = digest.peer_addr()?.as_inet()?.ip();
        let index = self
            .connections
            .listener_of(digest.local_addr()?.as_inet()?)?;
        let listener = &self.connections.listeners[index];
        let settings = listener.settings.get();
        let mut connection = Box::new(Downstream::new(stream));
        let Some(_permit) = listener.caps.admit(client) else {
            let reason = Reject::TooManyConnections;
            return self.refuse(index, client, connection, reason).await;
        };
        let mut closing = shutdown.clone();
        connection.set_deadline(Some(clock::now().after(settings.header_timeout)));
        let mut kept: Option<HttpPersistentSettings> = None;
        loop {
            let fresh = kept.is_none();
            let head = match next(&mut connection, settings, fresh, &mut closing).await {
                Ok(Next::Request(head)) => head,
                Ok(Next::Http2) => return self.serve_http2(connection, shutdown).await,
                Err(NoHead::Gone) => return None,
                Err(NoHead::Refuse(reason)) => {
                    return self.refuse(index, client, connection, reason).await;
                }
            };
            let session = session(connection, &head, kept);
            let reused = self.app.process_new_http(session, shutdown).await?;
            let (stream, persistent) = reused.consume();
            connection = stream.into_any().downcast::<Downstream>().ok()?;
            if connection.close_after() || !connection.at_boundary() {
                return None;
            }
            kept = persistent;
            let idle = if *closing.borrow() {
                DRAIN_LINGER
            } else {
                settings.keepalive
            };
            connection.set_deadline(Some(clock::now().after(idle)));
        }
    }

    async fn serve_http2(
        &self,
        mut connection: Box<Downstream>,
        shutdown: &ShutdownWatch,
    ) -> Option<()> {
        connection.pass_through();
        ServerApp::process_new(&self.app, connection, shutdown).await;
        None
    }

    async fn refuse(
        &self,
        listener: usize,
        client: IpAddr,
        mut connection: Box<Downstream>,
        reason: Reject,
    ) -> Option<()> {
        self.observer.refused(listener, client, reason);
        let answer = answer(reason);
        let write = async {
            connection.write_all(answer.as_bytes()).await?;
            connection.flush().await?;
            connection.shutdown().await?;
            // Closing with unread input resets the connection, and the answer with it.
            connection.set_deadline(Some(clock::now().after(Duration::from_secs(1))));
            while connection.fill().await? > 0 {
                connection.skip(connection.buffered().len());
            }
            std::io::Result::Ok(())
        };
        write.await.ok();
        None
    }
}

/// The whole answer to a connection that is refused.
fn answer(reason: Reject) -> String {
    let status = reason.status();
    let body = format!("{}: {}\n", status.as_str(), reason.label());
    let retry_after = reason
        .retry_after()
        .map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
    format!(
        "HTTP/1.1 {} {}\r\nX-Evenkeel-Reason: {}\r\n{retry_after}Content-Type: text/plain\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        status.as_str(),
        status.canonical_reason().unwrap_or_default(),
        reason.label(),
        body.len(),
    )
}

/// Puts the connection into a session that has its head already.
fn session(
    mut connection: Box<Downstream>,
    head: &Head,
    settings: Option<HttpPersistentSettings>,
) -> ServerSession {
    let bytes = connection.begin(head);
    connection.set_deadline(None);
    let mut session = ServerSession::new_http1(connection);
    if let Some(settings) = settings {
        settings.apply_to_session(&mut session);
    }
    session.set_pipelined_prefix(bytes);
    session
}

/// Waits for the next head on a connection.
async fn next(
    connection: &mut Downstream,
    settings: Settings,
    fresh: bool,
    closing: &mut ShutdownWatch,
) -> Result<Next, NoHead> {
    let mut scanner = Scanner::default();
    let mut started = false;
    loop {
        connection.skip(head::leading_empty_lines(connection.buffered()));
        let buffered = connection.buffered();
        if fresh && settings.h2c && buffered.starts_with(&H2_PREFACE[..4]) {
            if buffered.starts_with(H2_PREFACE) {
                return Ok(Next::Http2);
            }
        } else if let Some(end) = scanner.end_of_head(buffered) {
            if end > settings.max_header_bytes {
                return Err(NoHead::Refuse(Reject::HeaderTooLarge));
            }
            return head::inspect(&buffered[..end])
                .map(Next::Request)
                .map_err(NoHead::Refuse);
        }
        if buffered.len() > settings.max_header_bytes {
            return Err(NoHead::Refuse(Reject::HeaderTooLarge));
        }
        if !started && !buffered.is_empty() {
            started = true;
            if !fresh {
                let deadline = clock::now().after(settings.header_timeout);
                connection.set_deadline(Some(deadline));
            }
        }
        wait(connection, started, closing).await?;
    }
}

/// Waits for more bytes, for the deadline, or for the end of the process.
async fn wait(
    connection: &mut Downstream,
    started: bool,
    closing: &mut ShutdownWatch,
) -> Result<(), NoHead> {
    let draining = *closing.borrow();
    let read = if draining {
        connection.fill().await
    } else {
        tokio::select! {
            biased;
            read = connection.fill() => read,
            changed = closing.changed() => {
                if changed.is_err() {
                    return Err(NoHead::Gone);
                }
                if !started {
                    let deadline: Moment = clock::now().after(DRAIN_LINGER);
                    connection.set_deadline(Some(deadline));
                }
                return Ok(());
            }
        }
    };
    match read {
        Ok(1..) => Ok(()),
        Err(_) if connection.expired() && started => Err(NoHead::Refuse(Reject::HeaderTimeout)),
        Ok(_) | Err(_) => Err(NoHead::Gone),
    }
}

#[async_trait]
impl<A, O> ServerApp for Frontend<A, O>
where
    A: HttpServerApp + Send + Sync + 'static,
    O: Observer,
{
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let (frontend, shutdown) = (Arc::clone(self), shutdown.clone());
        // Pingora's task has room for a TLS handshake, 9 KiB, for as long as it runs. Ending it
        // leaves an idle connection with a task of ours, which is a fraction of that.
        tokio::spawn(async move { frontend.serve(stream, &shutdown).await });
        None
    }

    async fn cleanup(&self) {
        self.app.http_cleanup().await;
    }
}
