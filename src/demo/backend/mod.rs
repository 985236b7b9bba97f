//! The demo backend: a small HTTP server whose behaviour the caller chooses.
//!
//! It speaks HTTP/1.1 (keep-alive, pipelining) and plaintext HTTP/2 on one port.
//! Hyper is used bare: a benchmark through the balancer must not measure a web
//! framework behind it.
//!
//! # Pages
//!
//! Every answer carries `X-Server-Id`. JSON keys are part of the interface.
//!
//! | path | answer |
//! |---|---|
//! | `/` | JSON `server_id`, `hostname`, `address`, `request_count` (of `/`), `processing_time_ms`; delayed by the simulated delay; 500 at the error rate |
//! | `/health` | JSON `status`: `healthy` (200), `warming_up` or `failing` (503) |
//! | `/load?ms=N` | burns a core for N ms (at most 10,000), then JSON `burned_ms`; 503 when too many wait |
//! | `/delay?ms=N` | waits N ms (at most 60,000), then JSON `delayed_ms` |
//! | `/status/N` | that status (200 to 599), JSON `status` |
//! | `/bytes/N` | N bytes (at most 1 GiB), the alphabet over and over |
//! | `/echo` | JSON of the request: `server_id`, `method`, `scheme`, `authority`, `path`, `query`, `version`, `peer`, `connection` (a serial number), `headers` (list of pairs), `body`, `body_encoding` (`utf-8` or `base64`), `body_length`, `trailers` (list of pairs); trailers also come back as trailers |
//! | `/ws` | WebSocket echo |
//! | `/metrics` | Prometheus text |
//!
//! Anything else is a 404 that lists the paths. Errors are JSON with the key `error`.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use connection::{Connection, Stopping};
pub use options::{BackendOptions, Delay};
pub(in crate::demo) use pages::StopFor;
use register::Registrar;
pub use register::{Registration, Registry, Token};
use site::Site;

mod body;
mod burn;
mod connection;
mod echo;
mod options;
mod pages;
mod record;
mod register;
mod site;
mod websocket;

#[cfg(test)]
mod tests;

/// How long requests in flight get after the stop.
const GRACE: Duration = Duration::from_secs(2);
/// Connections at a time; more wait in the backlog. Below the usual limit on open files.
const MAX_CONNECTIONS: usize = 18_000;
/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 4_096;
/// Pause after a failed accept, which is nearly always a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A demo backend that holds its port.
pub struct Backend {
    listener: TcpListener,
    address: SocketAddr,
    shutdown_delay: Duration,
    site: Site,
}

impl Backend {
    /// Takes the port; from here on connections are held until [`run`](Self::run) answers them.
    ///
    /// The error names the address.
    pub fn bind(options: BackendOptions) -> io::Result<Self> {
        let BackendOptions {
            listen: wanted,
            shutdown_delay,
            ..
        } = options;
        let listener = TcpListener::bind(wanted).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {wanted}: {error}"))
        })?;
        let address = listener.local_addr()?;
        let site = Site::new(options, address, cores().get())?;
        Ok(Self {
            listener,
            address,
            shutdown_delay,
            site,
        })
    }

    /// Lets `POST /_demo/stop?secs=N` send a duration.
    pub(in crate::demo) fn allow_stop(&mut self, stop_for: StopFor) {
        self.site.allow_stop(stop_for);
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until the shutdown delay after `shutdown` is ready, then finishes what is in
    /// flight, for 2 s at most.
    ///
    /// Dropping the future closes every connection at once; an upgraded one is told to go away.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = listen(self.listener)?;
        let (stop, stopping) = watch::channel(false);
        let stopping = Stopping::new(stopping);
        let mut connections = JoinSet::new();
        let site = Arc::new(self.site);
        let delay = self.shutdown_delay;
        let shutdown = async {
            shutdown.await;
            sleep(delay).await;
        };
        tokio::select! {
            () = accept(&listener, &site, &stopping, &mut connections) => {}
            () = shutdown => {}
        }
        drop(listener);
        drop(stopping);
        stop.send_replace(true);
        if timeout(GRACE, stop.closed()).await.is_err() {
            log::warn!("{}: requests still in flight are cut off", self.address);
        }
        Ok(())
    }
}

/// The listening socket on this runtime, with a backlog for bursts.
///
/// The standard library offers no choice of backlog; listening again changes it.
fn listen(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    TcpSocket::from_std_stream(TcpStream::from(OwnedFd::from(listener))).listen(BACKLOG)
}

async fn accept(
    listener: &tokio::net::TcpListener,
    site: &Arc<Site>,
    stopping: &Stopping,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut serial = 0;
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("{peer}: cannot turn off Nagle's algorithm: {error}");
        }
        serial += 1;
        let serve = serve(
            stream,
            Connection { peer, serial },
            Arc::clone(site),
            stopping.clone(),
        );
        connections.spawn(async move {
            serve.await;
            drop(place);
        });
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    connection: Connection,
    site: Arc<Site>,
    mut stopping: Stopping,
) {
    let shared = Arc::new((site, stopping.clone()));
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let (site, stopping) = &*shared;
            Ok::<_, std::convert::Infallible>(site.answer(connection, stopping, request).await)
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().max_concurrent_streams(1_024);
    let serving = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopping.begun() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        log::debug!("{}: connection ended: {error}", connection.peer);
    }
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Runs a backend in the foreground until SIGTERM or SIGINT: `evenkeel backend`.
///
/// Messages go to `out` and `err`. Exit code 2 when it could not start.
pub fn execute(
    options: BackendOptions,
    out: &mut impl io::Write,
    err: &mut impl io::Write,
) -> ExitCode {
    match start(options, out, err) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(err, "evenkeel backend: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(
    options: BackendOptions,
    out: &mut impl io::Write,
    err: &mut impl io::Write,
) -> io::Result<()> {
    let threads = options.threads.unwrap_or_else(cores);
    let registration = options.registration.clone();
    let backend = Backend::bind(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.get())
        .thread_name("backend")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        writeln!(
            out,
            "backend {} listens on http://{}",
            backend.site.server_id(),
            backend.local_addr()
        )?;
        out.flush()?;
        let signal = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let registrar = Registrar::new(&registration, backend.local_addr());
        let mut say = |what: &str| {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(err, "evenkeel backend: {what}");
        };
        // It leaves before it stops listening, so that no request finds it gone.
        let shutdown = async {
            match registrar {
                Some(registrar) => registrar.keep(signal, &mut say, rand::random::<f64>).await,
                None => signal.await,
            }
        };
        backend.run(shutdown).await
    })?;
    // A burn still running would hold the exit up.
    runtime.shutdown_background();
    Ok(())
}
