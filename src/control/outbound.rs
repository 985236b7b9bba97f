//! One HTTP/1.1 call to somebody else's server, on a connection of its own: over TCP, TLS or a Unix
//! socket.
//!
//! Control calls a few servers, each once in a while. A connection that is kept
//! would be one more thing to go stale, so none is. What may come back is bounded
//! where it is read off the connection: whoever reads the answer, a library too,
//! gets no more than that.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Where calls go.
#[derive(Clone)]
pub(super) struct Place {
    way: Way,
    /// For the header `Host`.
    authority: HeaderValue,
}

#[derive(Clone)]
enum Way {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    Tls(String, ServerName<'static>, TlsConnector),
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no connection.
    #[error("{0}")]
    Unconnected(#[source] io::Error),
    /// TLS is refused, by one side or the other.
    #[error("TLS: {0}")]
    Untrusted(#[source] io::Error),
    /// What comes is no HTTP.
    #[error("what comes is no HTTP: {0}")]
    Foreign(#[source] hyper::Error),
    /// It broke off.
    #[error("{}", root(.0))]
    Broken(#[source] hyper::Error),
    /// The body did.
    #[error("the answer broke off: {0}")]
    Cut(String),
    /// The body has more bytes than it may.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::Foreign(error)
        } else {
            Self::Broken(error)
        }
    }
}

impl Place {
    /// A socket in the file system.
    pub(super) fn unix(path: PathBuf) -> Self {
        Self {
            way: Way::Unix(path),
            authority: HeaderValue::from_static("docker"),
        }
    }

    /// `host:port`, without TLS. An error is a reason.
    pub(super) fn tcp(address: String) -> Result<Self, String> {
        let authority = authority(&address)?;
        let way = Way::Tcp(address);
        Ok(Self { way, authority })
    }

    /// `host:port` with TLS; the certificate must be for `name`. An error is a reason.
    pub(super) fn tls(address: String, name: &str, config: ClientConfig) -> Result<Self, String> {
        let authority = authority(&address)?;
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|_| "the host is no name and no address".to_owned())?;
        let way = Way::Tls(address, name, TlsConnector::from(Arc::new(config)));
        Ok(Self { way, authority })
    }

    /// The server of an `http://` or `https://` address that holds no password; with TLS, `roots`
    /// are trusted. An error is a reason, without the address.
    pub(super) fn of(
        url: &Uri,
        roots: impl FnOnce() -> Result<RootCertStore, String>,
    ) -> Result<Self, String> {
        let authority = url.authority().ok_or("it names no host")?;
        let host = authority.host();
        let at = |port| format!("{host}:{}", authority.port_u16().unwrap_or(port));
        let mut place = match url.scheme_str() {
            Some("http") => Self::tcp(at(80))?,
            Some("https") => Self::tls(at(443), bare(host), trusting(roots()?, None)?)?,
            _ => return Err("it begins with neither `http://` nor `https://`".to_owned()),
        };
        place.authority = self::authority(authority.as_str())?;
        Ok(place)
    }

    /// Makes a call, whose path is all that its address says. The connection ends with the answer,
    /// or when nobody waits for that any more; more than `max` bytes of it are an error.
    pub(super) async fn send<B>(
        &self,
        mut request: Request<B>,
        max: usize,
    ) -> Result<Response<Incoming>, Failure>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        request.headers_mut().insert(HOST, self.authority.clone());
        let stream = Bounded {
            stream: self.connect().await?,
            left: max,
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another server ended");
            }
        });
        Ok(sender.send_request(request).await?)
    }

    /// The same with the whole answer, whose body has at most `max` bytes.
    pub(super) async fn call(
        &self,
        request: Request<Full<Bytes>>,
        max: usize,
    ) -> Result<Response<Bytes>, Failure> {
        let (head, body) = self.send(request, usize::MAX).await?.into_parts();
        let body = Limited::new(body, max).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failure::TooLong(max)
            } else {
                Failure::Cut(root(&*error))
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let tcp = |address| async move {
            let stream = TcpStream::connect(address).await;
            stream.map_err(Failure::Unconnected)
        };
        Ok(match &self.way {
            Way::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                Box::new(stream.map_err(Failure::Unconnected)?)
            }
            Way::Tcp(address) => Box::new(tcp(address).await?),
            Way::Tls(address, name, connector) => {
                let stream = connector.connect(name.clone(), tcp(address).await?).await;
                Box::new(stream.map_err(Failure::Untrusted)?)
            }
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Unix(path) => write!(f, "{}", path.display()),
            Way::Tcp(address) | Way::Tls(address, ..) => f.write_str(address),
        }
    }
}

/// A host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// TLS that trusts `roots` alone and shows `own`, a chain and its key.
pub(super) fn trusting(
    roots: RootCertStore,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of both versions")
        .with_root_certificates(roots);
    match own {
        None => Ok(config.with_no_client_auth()),
        Some((chain, key)) => {
            let config = config.with_client_auth_cert(chain, key);
            config.map_err(|error| format!("the client's certificate cannot be used: {error}"))
        }
    }
}

/// The certificates that this machine trusts, or those of the file that `SSL_CERT_FILE` names.
pub(super) fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs()
        .map_err(|error| format!("the machine's trusted certificates cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        let what = "this machine trusts no certificate: install its CA certificates, or name a file in SSL_CERT_FILE";
        return Err(what.to_owned());
    }
    Ok(roots)
}

/// What an error was caused by in the end; what is above that says little.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

fn authority(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "the host is no name and no address".to_owned())
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection from which a certain number of bytes can be read.
struct Bounded {
    stream: Box<dyn Stream>,
    left: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        let left = self.left.checked_sub(read);
        Poll::Ready(match left {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(io::Error::other("the answer is longer than it may be")),
        })
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
