use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::serve::{
    HEADER_TIMEOUT, MAX_HEADER_BYTES, MAX_HEADERS, SHUTDOWN_GRACE, connection,
};
use super::*;

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(token: Option<&str>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let token = token.map(|token| Secret::new(token.to_owned()));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, || "up 1\n".to_owned(), token, async move {
        let _ = stopped.await;
    }));
    Server {
        address,
        stop,
        task,
    }
}

impl Server {
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
            .await
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[tokio::test]
async fn metrics_are_served_as_the_text_format() {
    let server = start(None).await;
    let answer = server.get("/metrics", "").await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
}

#[tokio::test]
async fn the_root_points_to_the_metrics_and_nothing_else_is_there() {
    let server = start(None).await;
    let root = server.get("/", "").await;
    assert_eq!(status(&root), "200");
    assert!(root.ends_with(POINTER));
    assert_eq!(POINTER.lines().count(), 2);
    assert_eq!(status(&server.get("/metrics/", "").await), "404");
    assert_eq!(status(&server.get("/other", "").await), "404");
    let post = server
        .send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(status(&post), "405");
    assert!(post.contains("allow: GET,HEAD\r\n"), "{post}");
}

#[tokio::test]
async fn a_token_is_asked_for_and_compared_whole() {
    let server = start(Some("secret")).await;
    for wrong in [
        "",
        "Authorization: secret\r\n",
        "Authorization: Basic secret\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer secre\r\n",
        "Authorization: Bearer secrets\r\n",
        "Authorization: Bearer Secret\r\n",
    ] {
        let answer = server.get("/metrics", wrong).await;
        assert_eq!(status(&answer), "401", "{wrong}");
        assert!(answer.contains("www-authenticate: Bearer\r\n"));
        assert!(!answer.contains("up 1"));
    }
    for right in [
        "Authorization: Bearer secret\r\n",
        "authorization: bearer secret\r\n",
    ] {
        let answer = server.get("/metrics", right).await;
        assert_eq!(status(&answer), "200", "{right}");
    }
}

#[tokio::test]
async fn a_connection_serves_one_request() {
    let server = start(None).await;
    let twice = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    let answer = server.send(&twice).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
}

#[tokio::test]
async fn headers_are_bounded() {
    let server = start(None).await;
    let many = "A: b\r\n".repeat(MAX_HEADERS + 1);
    assert_eq!(status(&server.get("/metrics", &many).await), "431");
    let long = format!("A: {}\r\n", "b".repeat(MAX_HEADER_BYTES));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{long}\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn more_connections_than_the_cap_wait_their_turn() {
    let server = start(None).await;
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut last = TcpStream::connect(server.address).await.unwrap();
    last.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    let early = timeout(Duration::from_millis(200), last.peek(&mut answer)).await;
    assert!(early.is_err(), "answered although the cap was reached");
    idle.pop();
    last.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.0 200");
}

/// How long `connection` holds out against a client that sends this much and
/// reads nothing.
async fn patience(request: &[u8], answer: &str) -> Duration {
    let (mut client, server) = tokio::io::duplex(1024);
    let answer = answer.to_owned();
    let before = tokio::time::Instant::now();
    client.write_all(request).await.unwrap();
    connection(server, LIMITS, router(move || answer.clone(), None)).await;
    before.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_cut_off() {
    assert_eq!(patience(b"", "").await.as_secs(), HEADER_TIMEOUT.as_secs());
    assert_eq!(
        patience(b"GET /metr", "").await.as_secs(),
        HEADER_TIMEOUT.as_secs()
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let long = "x".repeat(1024 * 1024);
    assert_eq!(
        patience(request, &long).await.as_secs(),
        CONNECTION_TIMEOUT.as_secs()
    );
}

#[tokio::test]
async fn it_ends_when_told_to() {
    let server = start(None).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    server.stop.send(()).unwrap();
    timeout(SHUTDOWN_GRACE * 5, server.task)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(idle);
}
