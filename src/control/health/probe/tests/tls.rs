//! Checks over TLS verify what traffic verifies.

use std::sync::Arc;

use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rcgen::KeyPair;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

use super::grpc::{Health, call, speak};
use super::*;

const NAME: &str = "backend.test";

/// A server with a certificate of its own making for [`NAME`].
async fn secure(protocol: &[u8]) -> (Server, WrappedX509) {
    let key = KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(DEFAULT_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                return speak(stream, Health::Status(1)).await;
            }
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let certificate = WrappedX509::new(certificate.der().to_vec(), parse_x509);
    (server, certificate)
}

fn peer(server: &Server, name: &str, trusted: Option<WrappedX509>) -> HttpPeer {
    let mut peer = HttpPeer::new(server.address, true, name.to_owned());
    peer.options.ca = trusted.map(|one| Arc::from(vec![one]));
    peer
}

#[tokio::test]
async fn the_certificate_is_verified() {
    for check in [http(), active(Probe::Tcp, PATIENCE)] {
        let (server, certificate) = secure(b"http/1.1").await;
        let said = verdict(&check, peer(&server, NAME, None)).await;
        assert_eq!(said, failed("certificate not trusted: UnknownIssuer"));
        let mut blind = peer(&server, NAME, None);
        blind.options.verify_cert = false;
        assert_eq!(verdict(&check, blind).await, Verdict::Passed);
        let trusting = peer(&server, NAME, Some(certificate));
        assert_eq!(verdict(&check, trusting).await, Verdict::Passed);
    }
}

#[tokio::test]
async fn the_name_is_verified() {
    let (server, certificate) = secure(b"http/1.1").await;
    let said = verdict(&http(), peer(&server, "other.test", Some(certificate))).await;
    let Verdict::Failed(words) = said else {
        panic!("{said:?}");
    };
    assert!(words.starts_with("certificate not trusted: "), "{words}");
    assert!(words.contains("other.test"), "{words}");
}

#[tokio::test]
async fn grpc_is_negotiated() {
    let (server, certificate) = secure(b"h2").await;
    let said = verdict(&call(""), peer(&server, NAME, Some(certificate))).await;
    assert_eq!(said, Verdict::Passed);
    let (server, certificate) = secure(b"http/1.1").await;
    let said = verdict(&call(""), peer(&server, NAME, Some(certificate))).await;
    let Verdict::Failed(words) = said else {
        panic!("{said:?}");
    };
    assert!(words.starts_with("TLS handshake failed: "), "{words}");
}

#[tokio::test]
async fn what_speaks_no_tls_fails_the_handshake() {
    let server = serve(|mut stream| async move {
        let mut hello = [0; 4_096];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let said = verdict(&http(), peer(&server, NAME, None)).await;
    let Verdict::Failed(words) = said else {
        panic!("{said:?}");
    };
    assert!(words.starts_with("TLS handshake failed: "), "{words}");
    let server = serve(|_| async {}).await;
    let said = verdict(&http(), peer(&server, NAME, None)).await;
    let words = "connection closed during the TLS handshake";
    assert_eq!(said, failed(words));
}
