//! A scripted Engine that speaks TLS and wants to see a certificate, as one with `tlsverify` does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::engine::Engine;
use super::folder::Folder;

/// The Engine's certificate is for this name and no other.
pub(crate) const NAME: &str = "engine.test";

/// The Engine, and the files by which it is reached; ends with the test.
pub(crate) struct TlsEngine {
    pub(crate) engine: Engine,
    address: SocketAddr,
    folder: Folder,
}

/// An authority, and certificates by it.
struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("an authority");
        Self { certificate, key }
    }

    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a valid name");
        let issued = params.signed_by(&key, &self.certificate, &self.key);
        (issued.expect("a certificate"), key)
    }
}

impl TlsEngine {
    /// One with these files: `ca.pem`, `cert.pem` and `key.pem`, which belong together, and
    /// `other-ca.pem`, `other-cert.pem` and `other-key.pem` of somebody else.
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let ours = Authority::new("ours");
        for (prefix, authority) in [("", &ours), ("other-", &Authority::new("another"))] {
            let (certificate, key) = authority.issue("client.test");
            folder.write(&format!("{prefix}ca.pem"), &authority.certificate.pem());
            folder.write(&format!("{prefix}cert.pem"), &certificate.pem());
            folder.write(&format!("{prefix}key.pem"), &key.serialize_pem());
        }
        let socket = folder.path("docker.sock");
        let engine = Engine::on_socket(&socket);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let acceptor = acceptor(&ours);
        // A test may have a runtime of its own, in which no other can be waited for.
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("descriptors are left");
            runtime.block_on(serve(listener, acceptor, socket));
        });
        Self {
            engine,
            address,
            folder,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    let root = authority.certificate.der().clone();
    roots.add(root).expect("it is a certificate");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().expect("there is an authority");
    let (certificate, key) = authority.issue(NAME);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions the provider has")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the key fits");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: std::net::TcpListener, acceptor: TlsAcceptor, socket: PathBuf) {
    listener.set_nonblocking(true).expect("it is open");
    let listener = TcpListener::from_std(listener).expect("there is a runtime");
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, socket) = (acceptor.clone(), socket.clone());
        tokio::spawn(async move {
            if let Ok(mut stream) = acceptor.accept(stream).await
                && let Ok(mut engine) = UnixStream::connect(socket).await
            {
                let _ = copy_bidirectional(&mut stream, &mut engine).await;
            }
        });
    }
}
