//! A client that writes bytes as told and reads responses with a deadline.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
use std::time::Duration;

use super::deadline::{PATIENCE, Stopwatch};
use super::message::{Message, Reader, Unframed};

/// One connection.
pub(crate) struct Client {
    reader: Reader<TcpStream>,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    message: Message,
}

impl Deref for Response {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Response {
    /// Why Evenkeel answered in a backend's stead.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.header("x-evenkeel-reason")
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// The same, whose answers may take longer than those of Evenkeel.
    pub(crate) fn patient(mut self, limit: Duration) -> Self {
        let stream = self.reader.stream();
        stream.set_read_timeout(Some(limit)).expect("it is open");
        self
    }

    /// A connection that comes from another loopback address.
    pub(crate) fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind((source, 0).into())?;
            socket.connect(address).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        Self::over(stream)
    }

    /// A connection whose side here takes few bytes before they are read.
    pub(crate) fn connect_narrow(address: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4096)?;
            socket.connect(address).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        Self::over(stream)
    }

    /// The connection, and what was read from it and belongs to no response yet.
    pub(crate) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        self.reader.into_parts()
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: Reader::new(stream),
        })
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes)
            .expect("the connection takes the bytes");
    }

    /// Writes bytes; the peer may have closed already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.stream().write_all(bytes.as_ref())
    }

    /// Ends the sending direction.
    pub(crate) fn finish(&mut self) {
        let _ = self.reader.stream().shutdown(Shutdown::Write);
    }

    /// Sends a well-formed request with a Host; a body gets its Content-Length.
    pub(crate) fn send_request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\n");
        let has = |name: &str| {
            headers
                .iter()
                .any(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        if !has("host") {
            bytes += "Host: test.example\r\n";
        }
        for (name, value) in headers {
            let _ = write!(bytes, "{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" || method == "PUT" {
            let _ = write!(bytes, "Content-Length: {}\r\n", body.len());
        }
        bytes += "\r\n";
        self.send([bytes.as_bytes(), body].concat());
    }

    /// Sends a well-formed request and reads its response.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send_request(method, target, headers, body);
        if method == "HEAD" {
            self.response_to_head()
        } else {
            self.response()
        }
    }

    /// One GET.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// The next final response; interim ones are passed over.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.try_response()
            .unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// The next final response, or why there is none.
    pub(crate) fn try_response(&mut self) -> io::Result<Response> {
        loop {
            let response = self.head()?;
            if response.status >= 200 || response.status == 101 {
                return self.with_body(response);
            }
        }
    }

    /// The next response head, interim or not; the body is left unread.
    pub(crate) fn head(&mut self) -> io::Result<Response> {
        let message = self.reader.head()?.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection ended before a response",
            )
        })?;
        let status = message
            .start_line()
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other(format!("status line {:?}", message.start_line())))?;
        Ok(Response { status, message })
    }

    fn response_to_head(&mut self) -> Response {
        self.head().expect("a response")
    }

    fn with_body(&mut self, mut response: Response) -> io::Result<Response> {
        let bodiless = matches!(response.status, 101 | 204 | 304);
        if !bodiless {
            self.reader
                .body(&mut response.message, Unframed::UntilClose)?;
        }
        Ok(response)
    }

    /// Exactly so many bytes.
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        self.reader.exactly(count).expect("the bytes arrive")
    }

    /// Everything until the peer closes; a reset ends it too.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut bytes = self.reader.some().unwrap_or_default();
        let mut rest = Vec::new();
        match self.reader.stream().read_to_end(&mut rest) {
            Err(error) if is_timeout(&error) => panic!("still open after {PATIENCE:?}"),
            _ => bytes.extend(rest),
        }
        bytes
    }

    /// Fails unless the peer closes now, without another byte.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        match self.reader.some() {
            Err(error) if is_timeout(&error) => panic!("still open after {PATIENCE:?}"),
            Ok(bytes) if !bytes.is_empty() => {
                panic!(
                    "bytes instead of a close: {:?}",
                    String::from_utf8_lossy(&bytes)
                )
            }
            _ => {}
        }
    }

    /// How long it takes until the peer closes.
    #[track_caller]
    pub(crate) fn time_to_close(&mut self) -> Duration {
        let watch = Stopwatch::start();
        self.expect_closed();
        watch.elapsed()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
