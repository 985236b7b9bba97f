//! The client's end of a connection, as a request's handler knows it.

use std::net::SocketAddr;

use tokio::sync::watch;

/// One accepted connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// The client's address.
    pub(super) peer: SocketAddr,
    /// Counts the connections of this backend from 1; tells reuse from reconnection.
    pub(super) serial: u64,
}

/// Tells a connection that the backend stops; the backend waits until every copy is gone.
#[derive(Clone)]
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self(stop)
    }

    /// Waits until the backend stops, or is gone.
    pub(super) async fn begun(&mut self) {
        // An error means that the backend was dropped, which is a stop too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
