//! How a Docker Engine is reached: for discovery, for the drivers `docker` and `swarm`, and for the
//! client library that the first of them uses.
//!
//! The library brings what calls and answers look like. The connection is ours,
//! for three reasons: the library would verify a certificate against the system's
//! authorities too and not only against the one that is configured, it sets no
//! bound to an answer, and it would bring a second TLS connector. The files of TLS
//! are read for each connection, so renewed ones count at once.

use std::io;
use std::path::Path;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::{Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::RootCertStore;

use super::outbound::{self, Place};
use crate::config::{ClientCert, Endpoint, EngineTls};

/// What the library itself would wait for an answer; every caller is sooner.
const BEYOND_SECONDS: u64 = 120;

/// Bytes of an answer to the library, its head and its framing included: ten thousand containers.
const MAX_ANSWER: usize = 32 << 20;

/// Where the Engine is. An error is a sentence about a file that cannot be used.
pub(super) fn place(endpoint: &Endpoint) -> Result<Place, String> {
    match endpoint {
        Endpoint::Unix(path) => Ok(Place::unix(path.clone())),
        Endpoint::Tcp(address) => Place::tcp(address.clone()),
        Endpoint::Tls(address, tls) => {
            let roots = match &tls.ca {
                Some(file) => authorities(file)?,
                None => outbound::system_roots()?,
            };
            let own = tls.client_cert.as_ref().map(own).transpose()?;
            let config = outbound::trusting(roots, own)?;
            Place::tls(address.clone(), name(address, tls), config)
        }
    }
}

/// What people know the Engine by.
pub(super) fn title(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(socket) => format!("the Engine at {}", socket.display()),
        Endpoint::Tcp(address) | Endpoint::Tls(address, _) => format!("the Engine at {address}"),
    }
}

/// The library's client, which makes a connection for each call.
pub(super) fn client(endpoint: &Endpoint) -> Result<Docker, Error> {
    let endpoint = endpoint.clone();
    let send = move |request: BollardRequest| {
        let endpoint = endpoint.clone();
        async move {
            let place = place(&endpoint).map_err(io::Error::other)?;
            let (mut head, body) = request.into_parts();
            head.uri = in_origin_form(&head.uri)?;
            let answer = place.send(Request::from_parts(head, body), MAX_ANSWER);
            Ok(answer.await.map_err(io::Error::other)?)
        }
    };
    // The library wants an address; no call goes to it.
    let nowhere = Some("http://docker");
    Docker::connect_with_custom_transport(send, nowhere, BEYOND_SECONDS, API_DEFAULT_VERSION)
}

fn in_origin_form(uri: &Uri) -> Result<Uri, http::Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::try_from(path).map_err(http::Error::from)
}

/// The name that the certificate must be for.
fn name<'e>(address: &'e str, tls: &'e EngineTls) -> &'e str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    tls.sni.as_deref().unwrap_or_else(|| outbound::bare(host))
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(file, &error))?;
    }
    Ok(roots)
}

fn own(
    files: &ClientCert,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable(&files.key, &error))?;
    Ok((certificates(&files.cert)?, key))
}

/// At least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| unusable(file, &error))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| unusable(file, &error))?;
    if found.is_empty() {
        return Err(unusable(file, &"it holds no certificate"));
    }
    Ok(found)
}

fn unusable(file: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("{} cannot be used: {reason}", file.display())
}

/// What a path or a query may hold as it is (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encoded as the value of a query, or as one segment of a path.
pub(super) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_encoded() {
        assert_eq!(
            encoded(r#"{"a":["b=c é"]}"#).to_string(),
            "%7B%22a%22%3A%5B%22b%3Dc%20%C3%A9%22%5D%7D"
        );
    }

    #[test]
    fn a_name_stays_one_segment_of_the_path() {
        assert_eq!(encoded("app_web-1").to_string(), "app_web-1");
        assert_eq!(encoded("../a b?c").to_string(), "..%2Fa%20b%3Fc");
    }
}
