//! Backends that are sick, and one that gets slow and recovers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::backend::{Backend, Reply};
use super::open_loop::NAME;

/// A 200 that says who gave it.
pub(crate) fn signed(name: &str) -> Reply {
    Reply::status(200, &[(NAME, name)], "fine")
}

/// Answers with its name and 200.
pub(crate) fn sound(name: &'static str) -> Backend {
    Backend::start(move |_| signed(name))
}

/// Accepts connections and requests, and never answers.
pub(crate) fn mute() -> Backend {
    Backend::start(|_| Reply::hang())
}

/// Answers 500 to every second request.
pub(crate) fn half_failing(name: &'static str) -> Backend {
    let turn = AtomicUsize::new(0);
    Backend::start(move |_| {
        if turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            Reply::status(500, &[(NAME, name)], "sorry")
        } else {
            signed(name)
        }
    })
}

/// Answers with a chunk whose size is no number.
pub(crate) fn badly_chunked() -> Backend {
    Backend::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n")
            .then_close()
    })
}

/// Sends one byte of its answer each second.
pub(crate) fn dripping() -> Backend {
    Backend::start(|_| {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        answer.bytes().fold(Reply::raw(""), |reply, byte| {
            reply.then_send([byte]).then_pause(Duration::from_secs(1))
        })
    })
}

/// A backend whose time to answer can be changed while it runs.
pub(crate) struct Paced {
    backend: Backend,
    micros: Arc<AtomicU64>,
}

impl Paced {
    pub(crate) fn start(name: &'static str, pace: Duration) -> Self {
        let micros = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&micros);
        let backend = Backend::start(move |_| {
            signed(name).delayed(Duration::from_micros(read.load(Ordering::SeqCst)))
        });
        let paced = Self { backend, micros };
        paced.takes(pace);
        paced
    }

    /// What every further request takes.
    pub(crate) fn takes(&self, pace: Duration) {
        let micros = u64::try_from(pace.as_micros()).expect("tests are short");
        self.micros.store(micros, Ordering::SeqCst);
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }
}

/// When a [`Resetting`] backend cuts a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As soon as it is accepted.
    Accepted,
    /// When the first bytes of a request are there.
    Requested,
}

/// A backend that resets every connection; it listens as long as the test process lives.
pub(crate) struct Resetting(SocketAddr);

impl Resetting {
    pub(crate) fn start(cut: Cut) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    if cut == Cut::Requested {
                        // Closing with bytes unread makes the kernel send a reset.
                        let _ = stream.peek(&mut [0]);
                    }
                });
            }
        });
        Self(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0
    }
}

/// An address where nothing answers a SYN: a listener that accepts nobody, its backlog full.
pub(crate) struct BlackHole {
    address: SocketAddr,
    _listener: std::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            socket.bind(any).expect("a port is free");
            let listener = socket.listen(1).expect("the port is ours");
            listener.into_std().expect("it was registered just now")
        });
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let waiting = std::iter::from_fn(|| connect().ok()).take(64).collect();
        assert!(connect().is_err(), "the backlog of {address} is full");
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
