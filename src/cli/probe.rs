//! `evenkeel probe`: whether something answers, for health checks in images that have no shell.
//!
//! Whoever runs the check reads the exit code, and people the sentence. A redirect is not
//! followed and no success: what it leads to says nothing about the one that was asked.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The longest that a probe may take.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// What is asked, and for how long.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What is asked: `http://HOST[:PORT]/PATH`, the same with `https://`, or `tcp://HOST:PORT`
    #[arg(value_name = "URL")]
    pub target: Target,
    /// For the whole of it, the look-up of the name included: 1ms to 10m
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = patience)]
    pub timeout: Duration,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    way: Way,
    host: String,
    port: u16,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tcp,
    Http,
    Https,
}

fn patience(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_millis(1)..=MAX_TIMEOUT).contains(&duration) {
        Ok(duration)
    } else {
        Err("from 1ms to 10m".to_owned())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        let (way, usual) = match uri.scheme_str() {
            Some("http") => (Way::Http, Some(80)),
            Some("https") => (Way::Https, Some(443)),
            Some("tcp") => (Way::Tcp, None),
            _ => return Err("it begins with none of http://, https:// and tcp://".to_owned()),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("a user cannot stand in it".to_owned());
        }
        let host = authority.host().trim_start_matches('[');
        let host = host.trim_end_matches(']').to_owned();
        let port = authority.port_u16().or(usual).ok_or("it names no port")?;
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        if way == Way::Tcp && uri.path_and_query().is_some_and(|path| path != "/") {
            return Err("tcp:// takes no path".to_owned());
        }
        Ok(Self {
            uri,
            way,
            host,
            port,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Tcp => write!(f, "{}:{}", self.host, self.port),
            Way::Http | Way::Https => self.uri.fmt(f),
        }
    }
}

/// Asks once. 0 with a sentence to `out` when it connected (`tcp`) or a status from 200 to 299
/// came in time; otherwise 1, with why to `err`.
pub fn run(options: &Options, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let target = &options.target;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = runtime.block_on(async { timeout(options.timeout, target.ask()).await });
    // The look-up of a name cannot be cancelled, and is not waited for.
    runtime.shutdown_background();
    let why = match asked {
        Ok(Ok(None)) => {
            writeln!(out, "{target} accepts connections")?;
            return Ok(0);
        }
        Ok(Ok(Some(status))) if status.is_success() => {
            writeln!(out, "{target} answers {status}")?;
            return Ok(0);
        }
        Ok(Ok(Some(status))) => format!("answers {status}"),
        Ok(Err(error)) => format!("cannot be asked: {error}"),
        Err(_) => {
            let limit = humantime::format_duration(options.timeout);
            format!("does not answer within {limit}")
        }
    };
    writeln!(err, "{target} {why}")?;
    Ok(1)
}

impl Target {
    /// The status, or `None` where a connection is all.
    async fn ask(&self) -> io::Result<Option<StatusCode>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match self.way {
            Way::Tcp => Ok(None),
            Way::Http => self.get(stream).await.map(Some),
            Way::Https => {
                let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
                let stream = connector()?.connect(name, stream).await?;
                self.get(stream).await.map(Some)
            }
        }
    }

    async fn get<S>(&self, stream: S) -> io::Result<StatusCode>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |host| host.as_str());
        let request = Request::get(path)
            .header(HOST, authority)
            .header(
                USER_AGENT,
                concat!("evenkeel-probe/", env!("CARGO_PKG_VERSION")),
            )
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(io::Error::other)?;
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What it brought before it ended may be an answer.
            _ = connection => answer.await,
        };
        answer
            .map(|answer| answer.status())
            .map_err(io::Error::other)
    }
}

/// Trusts what the machine trusts; `SSL_CERT_FILE` names others.
fn connector() -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs()?);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
