//! Backends that do as told and remember every byte they got.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::deadline::{PATIENCE, pause, wait_until};
use super::message::{Message, Reader, Unframed};
use super::ports::Port;

/// A request as a backend received it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    message: Message,
}

impl std::ops::Deref for Request {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.start_line().split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.start_line().split(' ').nth(1).unwrap_or_default()
    }
}

/// What a backend does with a request, step by step.
#[derive(Default)]
pub(crate) struct Reply {
    steps: Vec<Step>,
}

enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    Await(Gate),
    ReadBody,
    Echo,
    Hang,
    Close,
}

impl Reply {
    /// A complete response with a body.
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, &[], body)
    }

    /// A complete response.
    pub(crate) fn status(code: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!(
            "HTTP/1.1 {code} Scripted\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head += "\r\n";
        Self::raw([head.as_bytes(), body].concat())
    }

    /// These bytes as they are.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            steps: vec![Step::Send(bytes.into())],
        }
    }

    /// No answer for as long as the peer stays.
    pub(crate) fn hang() -> Self {
        Self {
            steps: vec![Step::Hang],
        }
    }

    /// The connection closed without a byte.
    pub(crate) fn close() -> Self {
        Self {
            steps: vec![Step::Close],
        }
    }

    /// More bytes.
    pub(crate) fn then_send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// The rest of the request read, for a script that runs on its head.
    pub(crate) fn then_read_body(self) -> Self {
        self.then(Step::ReadBody)
    }

    /// The connection closed.
    pub(crate) fn then_close(self) -> Self {
        self.then(Step::Close)
    }

    /// Every further byte sent back, until the peer ends.
    pub(crate) fn then_echo(self) -> Self {
        self.then(Step::Echo)
    }

    /// A wait until the test opens the gate.
    pub(crate) fn then_await(self, gate: &Gate) -> Self {
        self.then(Step::Await(gate.clone()))
    }

    /// A pause, as of a slow backend.
    pub(crate) fn then_pause(self, length: Duration) -> Self {
        self.then(Step::Pause(length))
    }

    /// This, but only when the gate is open.
    pub(crate) fn after(mut self, gate: &Gate) -> Self {
        self.steps.insert(0, Step::Await(gate.clone()));
        self
    }

    /// This, but so much later.
    pub(crate) fn delayed(mut self, length: Duration) -> Self {
        self.steps.insert(0, Step::Pause(length));
        self
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Holds replies back until a test opens it.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no holder panics") = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().expect("no holder panics");
        let waited = self.0.1.wait_timeout_while(closed, PATIENCE, |open| !*open);
        drop(waited.expect("no holder panics"));
    }
}

/// Any free port.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// A raw-socket HTTP/1 backend; ends with the test.
pub(crate) struct Backend {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    script: Box<Script>,
    /// Whether the script runs when the head is there, before the body.
    early: bool,
    requests: Mutex<Vec<Request>>,
    received: Mutex<Vec<u8>>,
    connections: Mutex<Vec<TcpStream>>,
    open: AtomicUsize,
    stopped: AtomicBool,
}

impl Backend {
    /// Answers each request as the script says.
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(ANY, script, false)
    }

    /// Like [`Self::start`], on this address.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(address, script, false)
    }

    /// Answers everything with its name, on this address.
    pub(crate) fn named_at(address: SocketAddr, name: &'static str) -> Self {
        Self::start_at(address, move |_| Reply::ok(name))
    }

    /// Like [`Self::start`], but the script sees only the head, and the body stays unread
    /// until a step reads it.
    pub(crate) fn start_early(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(ANY, script, true)
    }

    /// Answers everything with its name.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::start(move |_| Reply::ok(name))
    }

    /// An address that refuses connections, reserved for as long as the port is kept.
    pub(crate) fn refusing() -> Port {
        Port::reserve()
    }

    fn listen(
        address: SocketAddr,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        early: bool,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            early,
            requests: Mutex::default(),
            received: Mutex::default(),
            connections: Mutex::default(),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accepting.accept(&listener));
        Self { shared, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every complete request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared
            .requests
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// The one request there is.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "exactly one request: {requests:#?}");
        requests.remove(0)
    }

    /// The number of complete requests so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().expect("no holder panics").len()
    }

    /// Waits for so many requests.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} requests at the backend"), || {
            self.count() >= count
        });
    }

    /// Every byte of every request so far, partial ones not included.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.shared
            .received
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared
            .connections
            .lock()
            .expect("no holder panics")
            .len()
    }

    /// Connections open now.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Dies: the port refuses, open connections are cut.
    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for connection in self
            .shared
            .connections
            .lock()
            .expect("no holder panics")
            .iter()
        {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let bytes = self.received();
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).into_owned();
            super::show(&format!("--- backend {} received\n{shown}", self.address));
        }
        self.stop();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let _ = stream.set_nodelay(true);
            let kept = stream.try_clone().expect("descriptors are left");
            self.connections
                .lock()
                .expect("no holder panics")
                .push(kept);
            self.open.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&self);
            std::thread::spawn(move || {
                // A peer that goes away ends the connection, not the test.
                let _ = shared.serve(&stream);
                let _ = stream.shutdown(Shutdown::Both);
                shared.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = Reader::new(stream.try_clone()?);
        while let Some(mut message) = reader.head()? {
            if !self.early {
                self.read_body(&mut reader, &mut message)?;
            }
            let request = self.record(message);
            let reply = (self.script)(&request);
            for step in reply.steps {
                if !self.take(step, stream, &mut reader, &request)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn read_body(&self, reader: &mut Reader<TcpStream>, message: &mut Message) -> io::Result<()> {
        let outcome = reader.body(message, Unframed::Empty);
        if outcome.is_err() {
            let mut received = self.received.lock().expect("no holder panics");
            received.extend_from_slice(&message.raw);
        }
        outcome
    }

    fn record(&self, message: Message) -> Request {
        let request = Request { message };
        self.received
            .lock()
            .expect("no holder panics")
            .extend_from_slice(&request.raw);
        self.requests
            .lock()
            .expect("no holder panics")
            .push(request.clone());
        request
    }

    /// Takes a step; `false` ends the connection.
    fn take(
        &self,
        step: Step,
        mut stream: &TcpStream,
        reader: &mut Reader<TcpStream>,
        request: &Request,
    ) -> io::Result<bool> {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes)?,
            Step::Pause(length) => pause(length),
            Step::Await(gate) => gate.pass(),
            Step::ReadBody => {
                let mut message = request.message.clone();
                let head = message.raw.len();
                self.read_body(reader, &mut message)?;
                let mut received = self.received.lock().expect("no holder panics");
                received.extend_from_slice(&message.raw[head..]);
            }
            Step::Hang => {
                while !reader.some()?.is_empty() {}
                return Ok(false);
            }
            Step::Echo => loop {
                let bytes = reader.some()?;
                if bytes.is_empty() {
                    return Ok(false);
                }
                stream.write_all(&bytes)?;
            },
            Step::Close => return Ok(false),
        }
        Ok(true)
    }
}
