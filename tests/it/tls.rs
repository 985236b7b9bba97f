//! TLS towards backends: what is verified, and what a failure looks like.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

use crate::support::{Evenkeel, Setup};

/// The backend's certificate names this host, and 127.0.0.1.
const NAME: &str = "backend.test";

/// A backend that speaks TLS, and the authority that vouches for it.
struct Backend {
    address: SocketAddr,
    authority: PathBuf,
}

impl Backend {
    async fn start() -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("valid names");
        let certificate = params.signed_by(&key, &authority, &authority_key);
        let chain = vec![certificate.expect("a certificate").der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(DEFAULT_VERSIONS)
            .expect("versions the provider has")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key fits");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));
        Self {
            address,
            authority: file(&authority.pem()),
        }
    }

    /// Evenkeel in front of it, with these keys under `tls:`.
    fn behind(&self, tls: &str) -> Evenkeel {
        Setup::new(&[])
            .backend(self.address, "")
            .upstream(&format!("tls: {{ enabled: true, {tls} }}"))
            .start()
    }

    fn trusted(&self) -> String {
        format!("ca: \"{}\"", self.authority.display())
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
            stream.write_all(answer).await?;
            stream.shutdown().await
        });
    }
}

/// A file of this test run with `text` in it.
fn file(text: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tls-{}-{count}.pem", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the directory is writable");
    path
}

/// The status and the reason of one GET, off the runtime's threads.
async fn told(evenkeel: Evenkeel) -> (u16, Option<String>) {
    let ask = move || {
        let response = evenkeel.get("/");
        (response.status, response.reason().map(str::to_owned))
    };
    tokio::task::spawn_blocking(ask).await.expect("it answers")
}

fn refused() -> (u16, Option<String>) {
    (502, Some("backend_tls".to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_is_verified_by_the_configured_authority_and_name() {
    let backend = Backend::start().await;
    let keys = format!("sni: {NAME}, {}", backend.trusted());
    assert_eq!(told(backend.behind(&keys)).await, (200, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_name_the_address_is_verified() {
    let backend = Backend::start().await;
    let keys = backend.trusted();
    assert_eq!(told(backend.behind(&keys)).await, (200, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused() {
    let backend = Backend::start().await;
    let keys = format!("sni: other.test, {}", backend.trusted());
    assert_eq!(told(backend.behind(&keys)).await, refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_authority_is_refused() {
    let backend = Backend::start().await;
    let keys = format!("sni: {NAME}");
    assert_eq!(told(backend.behind(&keys)).await, refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_can_be_turned_off() {
    let backend = Backend::start().await;
    assert_eq!(told(backend.behind("verify: false")).await, (200, None));
}

/// A certificate of our own that ends at the start of the year, and its key, in PEM.
fn own_certificate(year: i32) -> [String; 2] {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["client.test".to_owned()]).expect("a name");
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    [certificate.pem(), key.serialize_pem()]
}

#[test]
fn the_end_of_the_own_certificate_is_a_metric_and_a_reload_takes_a_renewed_one() {
    let [cert, key] = own_certificate(2040).map(|pem| file(&pem));
    let evenkeel = Setup::new(&[])
        .backend(([127, 0, 0, 1], 9).into(), "")
        .upstream(&format!(
            "tls: {{ enabled: true, client_cert: {{ cert: \"{}\", key: \"{}\" }} }}",
            cert.display(),
            key.display()
        ))
        .start();
    let ends = |at| {
        let labels = [("certificate", "upstreams.main.tls.client_cert")];
        let name = "evenkeel_certificate_expiry_timestamp_seconds";
        evenkeel.wait_for_metric(name, &labels, at);
    };
    ends(2_208_988_800.0);
    for (path, pem) in [&cert, &key].into_iter().zip(own_certificate(2041)) {
        std::fs::write(path, pem).expect("the file can be written");
    }
    // The configuration says what it said before.
    evenkeel.process().signal("HUP");
    ends(2_240_611_200.0);
}
