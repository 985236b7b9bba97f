use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::config::Secret;

fn settings(url: &str) -> config::Prometheus {
    config::Prometheus {
        url: url.to_owned(),
        timeout: Duration::from_secs(20),
        token: None,
    }
}

fn refusal(url: &str) -> String {
    Client::new(&settings(url), Duration::from_secs(15)).expect_err("it is refused")
}

/// A server with a certificate of its own for `localhost`, which answers one value.
async fn serve_tls() -> (SocketAddr, CertificateDer<'static>) {
    let CertifiedKey { cert, key_pair } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(key_pair.serialize_der()).expect("a key");
    let certificate = cert.der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"scalar","result":[{},"3"]}}}}"#,
                clock::unix_seconds()
            );
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, certificate)
}

fn trusting(url: &str, certificate: Option<CertificateDer<'static>>) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificate);
    let settings = settings(url);
    Client {
        place: Place::trusting(&settings, || Ok(roots)).expect("an address"),
        timeout: settings.timeout,
        max_age: Duration::from_secs(30),
    }
}

#[tokio::test]
async fn over_tls_the_name_and_the_issuer_are_checked() {
    let (address, certificate) = serve_tls().await;
    let right = format!("https://localhost:{}", address.port());
    let trusted = trusting(&right, Some(certificate.clone()));
    assert_eq!(trusted.query("up").await, Ok(vec![3.0]));
    let by_address = format!("https://{address}");
    for client in [
        trusting(&right, None),
        trusting(&by_address, Some(certificate)),
    ] {
        let error = client.query("up").await.expect_err("it is not trusted");
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused() {
    for (url, why) in [
        ("ftp://prometheus:9090", "neither `http://` nor `https://`"),
        ("/prometheus", "no host"),
        ("http://prometheus:9090?a=b", "a query"),
        ("http://", "address of a Prometheus"),
        ("https://under_score!:1", "address of a Prometheus"),
    ] {
        let said = refusal(url);
        assert!(said.contains(why), "{url}: {said}");
    }
    let said = refusal("http://user:hunter2@prometheus:9090");
    assert!(!said.contains("hunter2"), "{said}");
    let settings = config::Prometheus {
        token: Some(Secret::new("a\nb".to_owned())),
        ..settings("http://prometheus:9090")
    };
    let said = Client::new(&settings, Duration::from_secs(15)).expect_err("no header");
    assert!(said.contains("token") && !said.contains("a\nb"), "{said}");
}

#[test]
fn addresses_of_every_form_can_be_used() {
    for url in [
        "http://prometheus",
        "http://[::1]:9090",
        "http://192.0.2.1:9090/a/b",
    ] {
        let client = Client::new(&settings(url), Duration::from_secs(15));
        assert!(client.is_ok(), "{url}: {client:?}");
    }
}

#[test]
fn a_short_interval_leaves_clocks_some_room() {
    let age = |seconds| {
        let client = Client::new(&settings("http://a"), Duration::from_secs(seconds));
        client.expect("an address").max_age.as_secs()
    };
    assert_eq!([age(1), age(5), age(15)], [10, 10, 30]);
}

#[test]
fn a_range_is_counted_whole_and_bounded() {
    let count = |start, end, step| point_count(start, end, step).ok();
    assert_eq!(count(0.0, 0.0, 15.0), Some(1));
    assert_eq!(count(0.0, 29.0, 15.0), Some(2));
    assert_eq!(count(0.0, 30.0, 15.0), Some(3));
    assert_eq!(count(0.0, f64::from(MAX_POINTS), 1.0), None);
    assert_eq!(count(1e20, 1e20, 1e-9), Some(1));
}
