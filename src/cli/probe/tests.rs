use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

fn options(arguments: &[&str]) -> Result<Options, String> {
    let arguments = std::iter::once(&"probe").chain(arguments);
    let parsed = Command::try_parse_from(arguments);
    parsed
        .map(|command| command.options)
        .map_err(|error| error.to_string())
}

/// The exit code, and what was written to the one output or the other.
fn probe(arguments: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&options(arguments).unwrap(), &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(err))
}

/// A server that answers one connection so, and gives back the request that it got.
fn server(answer: &'static str) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head = lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty());
        let head = head.collect();
        stream.write_all(answer.as_bytes()).unwrap();
        head
    });
    (address, served)
}

#[test]
fn a_success_is_zero_and_one_sentence() {
    let (address, served) = server("HTTP/1.1 204 No Content\r\n\r\n");
    let url = format!("http://{address}/readyz?deep=1");
    let told = format!("{url} answers 204 No Content\n");
    assert_eq!(probe(&[&url]), (0, told, String::new()));
    let head = served.join().unwrap();
    assert_eq!(head[0], "GET /readyz?deep=1 HTTP/1.1");
    let host = format!("host: {address}");
    assert!(head.contains(&host), "{head:?}");
}

#[test]
fn a_path_is_not_needed() {
    let (address, served) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(probe(&[&format!("http://{address}")]).0, 0);
    assert_eq!(served.join().unwrap()[0], "GET / HTTP/1.1");
}

#[test]
fn everything_else_is_one_and_says_why() {
    for (answer, told) in [
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "answers 302"),
        ("SSH-2.0-OpenSSH\r\n", "cannot be asked"),
        ("", "cannot be asked"),
    ] {
        let (address, served) = server(answer);
        let url = format!("http://{address}/");
        let (code, out, err) = probe(&[&url]);
        assert_eq!((code, out.as_str()), (1, ""), "{answer}");
        assert!(err.starts_with(&format!("{url} {told}")), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        served.join().unwrap();
    }
}

#[test]
fn nobody_at_the_port_is_one() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let open = probe(&[&format!("tcp://{address}")]);
    assert_eq!(
        open,
        (0, format!("{address} accepts connections\n"), String::new())
    );
    drop(free);
    for scheme in ["tcp", "http", "https"] {
        let (code, _, err) = probe(&[&format!("{scheme}://{address}")]);
        assert_eq!(code, 1);
        assert!(err.contains("cannot be asked: "), "{err}");
    }
}

#[test]
fn it_waits_no_longer_than_it_may() {
    // The backlog takes the connection, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let (code, _, err) = probe(&["--timeout", "50ms", &url]);
    assert_eq!(
        (code, err),
        (1, format!("{url} does not answer within 50ms\n"))
    );
}

#[test]
fn tls_asks_for_a_certificate_that_is_trusted() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(certified.key_pair.serialize_der());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(Arc::new(
        ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certified.cert.der().clone()], key.unwrap())
    .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        acceptor.accept(stream).await.map(drop)
    });
    let (code, _, err) = probe(&[&format!("https://localhost:{port}/")]);
    assert_eq!(code, 1);
    assert!(err.contains("certificate"), "{err}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    for (url, told) in [
        ("127.0.0.1:80", "none of http://, https:// and tcp://"),
        ("ftp://127.0.0.1/", "none of http://, https:// and tcp://"),
        ("tcp://127.0.0.1", "names no port"),
        ("tcp://127.0.0.1:80/x", "takes no path"),
        ("http://", "invalid"),
        ("http://u:p@127.0.0.1/", "a user cannot stand in it"),
    ] {
        let error = options(&[url]).unwrap_err();
        assert!(error.contains(told), "{url}: {error}");
    }
    for timeout in ["0s", "11m", "2"] {
        assert!(options(&["--timeout", timeout, "tcp://[::1]:80"]).is_err());
    }
    let six = options(&["tcp://[::1]:80"]).unwrap().target;
    assert_eq!((six.host.as_str(), six.port), ("::1", 80));
}
