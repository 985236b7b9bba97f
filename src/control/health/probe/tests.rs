//! Every probe against real sockets, well-behaved and not.

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{HttpProbe, Percent};
use server::{Server, head, serve};

mod grpc;
mod server;
mod tls;

/// Far more than any check here needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// For checks that are to time out.
const SHORT: Duration = Duration::from_millis(100);

fn active(probe: Probe, timeout: Duration) -> ActiveCheck {
    ActiveCheck {
        probe,
        port: None,
        interval: Duration::from_secs(5),
        timeout,
        rise: 2,
        fall: 3,
        jitter: Percent::NONE,
        concurrency: 1,
    }
}

fn get() -> HttpProbe {
    HttpProbe {
        path: "/health?deep=1".to_owned(),
        host: None,
        headers: Vec::new(),
        expect: vec![200..=399],
        body: None,
    }
}

fn get_body(text: &str) -> ActiveCheck {
    let probe = HttpProbe {
        body: Some(text.to_owned()),
        ..get()
    };
    active(Probe::Http(probe), PATIENCE)
}

fn http() -> ActiveCheck {
    active(Probe::Http(get()), PATIENCE)
}

fn plain(address: SocketAddr) -> HttpPeer {
    HttpPeer::new(address, false, String::new())
}

async fn verdict(check: &ActiveCheck, peer: HttpPeer) -> Verdict {
    /// Made once: reading the system's certificates takes long without optimisation.
    static PROBES: LazyLock<Probes> = LazyLock::new(Probes::new);
    let target = Target { peer, host: None };
    PROBES.check(check, target).await
}

fn failed(words: &str) -> Verdict {
    Verdict::Failed(words.to_owned())
}

/// A server that reads a request's head, says `answer` and closes.
async fn saying(answer: &'static str) -> Server {
    serve(move |mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_get_says_what_it_should() {
    let (told, mut heads) = tokio::sync::mpsc::channel(1);
    let server = serve(move |mut stream| {
        let told = told.clone();
        async move {
            let head = head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 204 None\r\n\r\n").await;
            told.send(head).await.unwrap();
        }
    })
    .await;
    let mut check = http();
    assert_eq!(
        verdict(&check, plain(server.address)).await,
        Verdict::Passed
    );
    let head = heads.recv().await.unwrap();
    let lower = head.to_ascii_lowercase();
    assert!(
        head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"),
        "{head}"
    );
    let host = format!("host: {}\r\n", server.address);
    assert!(lower.contains(&host), "{head}");
    assert!(lower.contains("connection: close\r\n"), "{head}");
    assert!(lower.contains("user-agent: evenkeel-health/"), "{head}");

    check.probe = Probe::Http(HttpProbe {
        host: Some("shop.test".to_owned()),
        headers: vec![("user-agent".parse().unwrap(), "somebody".parse().unwrap())],
        ..get()
    });
    assert_eq!(
        verdict(&check, plain(server.address)).await,
        Verdict::Passed
    );
    let lower = heads.recv().await.unwrap().to_ascii_lowercase();
    assert!(lower.contains("host: shop.test\r\n"), "{lower}");
    assert!(lower.contains("user-agent: somebody\r\n"), "{lower}");
    assert!(!lower.contains("evenkeel"), "{lower}");
}

#[tokio::test]
async fn the_status_decides() {
    let server = saying("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").await;
    let said = verdict(&http(), plain(server.address)).await;
    assert_eq!(said, failed("HTTP 500, expected 200-399"));
    let probe = HttpProbe {
        expect: vec![200..=204, 500..=500],
        ..get()
    };
    let expecting = active(Probe::Http(probe), PATIENCE);
    let said = verdict(&expecting, plain(server.address)).await;
    assert_eq!(said, Verdict::Passed);
}

#[tokio::test]
async fn interim_answers_are_not_the_answer() {
    let server =
        saying("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await;
    let said = verdict(&http(), plain(server.address)).await;
    assert_eq!(said, failed("HTTP 404, expected 200-399"));
}

#[tokio::test]
async fn the_body_is_searched() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                  5\r\nall i\r\n4\r\ns ok\r\n0\r\n\r\n";
    let server = saying(answer).await;
    let peer = || plain(server.address);
    assert_eq!(verdict(&get_body("is ok"), peer()).await, Verdict::Passed);
    let said = verdict(&get_body("`bad`"), peer()).await;
    assert_eq!(said, failed("body does not contain ``bad``"));
}

#[tokio::test]
async fn no_more_than_64_kib_of_a_body_are_read() {
    let server = serve(|mut stream| async move {
        head(&mut stream).await;
        let endless = b"HTTP/1.1 200 OK\r\n\r\n";
        let mut written = stream.write_all(endless).await;
        while written.is_ok() {
            written = stream.write_all(&[b'x'; 1_000]).await;
        }
    })
    .await;
    let peer = || plain(server.address);
    assert_eq!(verdict(&http(), peer()).await, Verdict::Passed);
    assert_eq!(verdict(&get_body("xxx"), peer()).await, Verdict::Passed);
    let said = verdict(&get_body("y"), peer()).await;
    assert_eq!(said, failed("body does not contain `y`"));
}

#[tokio::test]
async fn what_breaks_off_fails() {
    let closed = "connection closed before the end of the answer";
    for (answer, says) in [
        ("", closed),
        ("HTTP/1.1 200 OK\r\nContent-", closed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", closed),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP"),
    ] {
        let server = saying(answer).await;
        let said = verdict(&http(), plain(server.address)).await;
        assert_eq!(said, failed(says), "{answer:?}");
    }
}

#[tokio::test]
async fn a_reset_is_called_a_reset() {
    let server = serve(|mut stream| async move {
        head(&mut stream).await;
        #[expect(deprecated, reason = "a linger of zero does not block: it resets")]
        stream.set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let said = verdict(&http(), plain(server.address)).await;
    assert_eq!(said, failed("connection reset"));
}

/// Times out, and hangs up.
async fn gives_up(probe: Probe, peer: impl Fn(SocketAddr) -> HttpPeer, greeting: &'static [u8]) {
    let (told, mut ended) = tokio::sync::mpsc::channel(1);
    let server = serve(move |mut stream: TcpStream| {
        let told = told.clone();
        async move {
            let _ = stream.write_all(greeting).await;
            let (mut reader, mut writer) = stream.split();
            let drip = async {
                while greeting.is_empty() || writer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(SHORT / 10).await;
                }
            };
            let mut sent = Vec::new();
            tokio::select! {
                () = drip => {}
                _ = reader.read_to_end(&mut sent) => {}
            }
            told.send(()).await.unwrap();
        }
    })
    .await;
    let check = active(probe, SHORT);
    let said = tokio::time::timeout(PATIENCE, verdict(&check, peer(server.address))).await;
    assert_eq!(said.unwrap(), Verdict::TimedOut(SHORT));
    let hung_up = tokio::time::timeout(PATIENCE, ended.recv()).await;
    assert_eq!(hung_up, Ok(Some(())), "the connection is closed");
}

#[tokio::test]
async fn the_limit_is_for_the_whole_check() {
    let tls = |address| HttpPeer::new(address, true, "backend.test".to_owned());
    let grpc = || Probe::Grpc {
        service: String::new(),
    };
    gives_up(Probe::Http(get()), plain, b"").await;
    gives_up(Probe::Http(get()), plain, b"HTTP/1.1 200 OK\r\nX: ").await;
    gives_up(Probe::Http(get()), plain, b"HTTP/1.1 200 OK\r\n\r\n").await;
    gives_up(Probe::Http(get()), tls, b"").await;
    gives_up(Probe::Tcp, tls, b"").await;
    gives_up(grpc(), plain, b"").await;
}

#[tokio::test]
async fn a_refusal_counts_as_one_on_the_backends_own_port() {
    let grpc = Probe::Grpc {
        service: String::new(),
    };
    for probe in [Probe::Http(get()), Probe::Tcp, grpc] {
        let address = nobody().await;
        let mut check = active(probe, PATIENCE);
        assert_eq!(verdict(&check, plain(address)).await, Verdict::Refused);
        check.port = Some(address.port());
        assert_eq!(verdict(&check, plain(address)).await, Verdict::Refused);
        let backend = SocketAddr::new(address.ip(), 1);
        let words = format!("connection refused on port {}", address.port());
        assert_eq!(verdict(&check, plain(backend)).await, failed(&words));
    }
}

#[tokio::test]
async fn another_port_is_asked_where_one_is_given() {
    let server = saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let mut check = http();
    check.port = Some(server.address.port());
    let backend = SocketAddr::new(server.address.ip(), 1);
    assert_eq!(verdict(&check, plain(backend)).await, Verdict::Passed);
}

#[tokio::test]
async fn a_connection_is_enough_for_tcp() {
    let server = serve(|_| async {}).await;
    let check = active(Probe::Tcp, PATIENCE);
    assert_eq!(
        verdict(&check, plain(server.address)).await,
        Verdict::Passed
    );
}

#[test]
fn the_authority_names_the_port_unless_it_goes_without_saying() {
    for (host, asked, tls, says) in [
        (Some("api.test"), "192.0.2.1:80", false, "api.test"),
        (Some("api.test"), "192.0.2.1:443", true, "api.test"),
        (Some("api.test"), "192.0.2.1:443", false, "api.test:443"),
        (None, "192.0.2.1:80", false, "192.0.2.1"),
        (None, "192.0.2.1:8080", false, "192.0.2.1:8080"),
        (None, "[2001:db8::1]:443", true, "[2001:db8::1]"),
        (None, "[2001:db8::1]:444", true, "[2001:db8::1]:444"),
    ] {
        assert_eq!(authority(host, asked.parse().unwrap(), tls), says);
    }
}
