//! The drivers' tests, those of Prometheus and `tests/it/engine_tls.rs` make calls of every kind.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// A server that says this and then `x` for as long as somebody listens; how much that was.
async fn talkative(head: &'static str) -> (Place, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let said = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("it comes");
        let count = stream.read(&mut [0; 1024]).await.expect("it speaks");
        assert!(count > 0);
        let mut said = 0;
        let _ = stream.write_all(head.as_bytes()).await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {
            said += 4096;
        }
        said
    });
    (Place::tcp(address).expect("an address"), said)
}

fn request() -> Request<Full<Bytes>> {
    Request::new(Full::default())
}

const ENDLESS: &str = "HTTP/1.1 200 OK\r\n\r\n";

#[tokio::test]
async fn an_answer_without_end_is_read_as_far_as_it_may_be() {
    let (place, said) = talkative(ENDLESS).await;
    let answer = place.send(request(), 100_000).await.expect("a head");
    let error = answer.into_body().collect().await.expect_err("no end");
    assert!(root(&error).contains("longer than it may be"), "{error}");
    // No more than what the system keeps for a connection that nobody reads.
    assert!(said.await.expect("it ends") < 64 << 20);
}

#[tokio::test]
async fn a_whole_answer_has_a_bound() {
    let (place, said) = talkative(ENDLESS).await;
    let failure = place.call(request(), 1000).await.expect_err("no end");
    assert!(matches!(failure, Failure::TooLong(1000)), "{failure}");
    said.await.expect("the connection is closed");
}

#[tokio::test]
async fn nobody_listens_when_nobody_waits() {
    let (place, said) = talkative(ENDLESS).await;
    let answer = place.send(request(), usize::MAX).await.expect("a head");
    drop(answer);
    said.await.expect("the connection is closed");
}

#[tokio::test]
async fn what_is_no_http_is_told_from_what_breaks_off() {
    let (place, _) = talkative("SSH-2.0-OpenSSH\r\n").await;
    let failure = place.call(request(), 1000).await.expect_err("no HTTP");
    assert!(matches!(failure, Failure::Foreign(_)), "{failure}");
    let place = Place::unix("no/such/socket".into());
    let failure = place.call(request(), 1000).await.expect_err("no socket");
    assert!(matches!(failure, Failure::Unconnected(_)), "{failure}");
}
