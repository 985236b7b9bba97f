//! Tests over TLS; `tests/it/drivers` makes calls without.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// A server for `localhost` that answers once: its address, its certificate, and whether a client
/// spoke to it.
async fn server() -> (Uri, CertificateDer<'static>, JoinHandle<bool>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it is made");
    let key = PrivateKeyDer::try_from(made.key_pair.serialize_der()).expect("it is a key");
    let certificate = made.cert.der().clone();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("they fit")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let spoken = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("it comes");
        let Ok(mut stream) = acceptor.accept(stream).await else {
            return false;
        };
        let heard = stream.read(&mut [0; 1024]).await.expect("it speaks");
        assert!(heard > 0);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        stream.write_all(answer).await.expect("it listens");
        true
    });
    let url = format!("https://localhost:{port}/");
    (url.parse().expect("an address"), certificate, spoken)
}

async fn call(place: &Place) -> Result<Answer, DriverError> {
    let request = Request::new(Full::default());
    place
        .call("ask", request, Duration::from_secs(20), 10)
        .await
}

#[tokio::test]
async fn a_certificate_that_is_trusted_is_spoken_to() {
    let (url, certificate, spoken) = server().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("it is one");
    let place = Place::trusting(&url, || Ok(roots)).expect("an address");
    let answer = call(&place).await.expect("it answers");
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (200, &b"ok"[..])
    );
    assert!(spoken.await.expect("it ends"));
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_ends_the_call() {
    let (url, _, spoken) = server().await;
    let place = Place::of(&url).expect("the system trusts somebody");
    let error = call(&place).await.err().expect("it is not trusted");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(!spoken.await.expect("it ends"), "nothing was sent");
}
