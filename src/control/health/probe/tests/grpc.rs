//! gRPC's health service, and other things over HTTP/2.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;

/// How the health service behaves.
#[derive(Clone, Copy)]
pub(super) enum Health {
    /// It answers with this status, for the service `shop` only if asked for one.
    Status(u8),
    /// It answers with a code and a message, without a body.
    Code(&'static str, &'static str),
    /// It is no gRPC.
    Http(u16),
    /// It resets the stream.
    Reset,
}

/// Serves HTTP/2 on a connection.
pub(super) async fn speak(io: impl AsyncRead + AsyncWrite + Unpin, health: Health) {
    let Ok(mut connection) = h2::server::handshake(io).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let answer = match health {
            Health::Reset => {
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
                continue;
            }
            Health::Http(status) => Response::builder().status(status).body(()).unwrap(),
            Health::Code(code, message) => grpc()
                .header("grpc-status", code)
                .header("grpc-message", message)
                .body(())
                .unwrap(),
            Health::Status(_) => grpc().body(()).unwrap(),
        };
        let Health::Status(status) = health else {
            respond.send_response(answer, true).unwrap();
            continue;
        };
        let mut stream = respond.send_response(answer, false).unwrap();
        tokio::spawn(async move {
            let right = asked(request).await;
            let message = [0, 0, 0, 0, 2, 8, if right { status } else { 3 }];
            let message = Bytes::copy_from_slice(&message);
            stream.send_data(message, false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        });
    }
}

fn grpc() -> http::response::Builder {
    Response::builder().header("content-type", "application/grpc")
}

/// Whether a request asks for the whole server or for `shop`, as the specification says.
async fn asked(request: Request<h2::RecvStream>) -> bool {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert!(request.uri().authority().is_some());
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.headers()["grpc-timeout"], "20000m");
    let mut body = request.into_body();
    let mut message = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        body.flow_control().release_capacity(chunk.len()).unwrap();
        message.extend_from_slice(&chunk);
    }
    message == [0; 5] || message == *b"\0\0\0\0\x06\x0a\x04shop"
}

async fn speaking(health: Health) -> Server {
    serve(move |stream| speak(stream, health)).await
}

pub(super) fn call(service: &str) -> ActiveCheck {
    let service = service.to_owned();
    active(Probe::Grpc { service }, PATIENCE)
}

async fn said(health: Health, service: &str) -> Verdict {
    let server = speaking(health).await;
    verdict(&call(service), plain(server.address)).await
}

#[tokio::test]
async fn only_serving_passes() {
    for service in ["", "shop"] {
        assert_eq!(said(Health::Status(1), service).await, Verdict::Passed);
    }
    let got = |name: &str| failed(&format!("SERVING expected, got {name}"));
    assert_eq!(said(Health::Status(2), "").await, got("NOT_SERVING"));
    assert_eq!(said(Health::Status(1), "x").await, got("SERVICE_UNKNOWN"));
}

#[tokio::test]
async fn calls_that_fail_say_why() {
    let unimplemented = Health::Code("12", "unknown service");
    let words = "gRPC status UNIMPLEMENTED: unknown service";
    assert_eq!(said(unimplemented, "").await, failed(words));
    let not_found = failed("gRPC status NOT_FOUND: ");
    assert_eq!(said(Health::Code("5", ""), "").await, not_found);
    let words = "the answer is no HealthCheckResponse";
    assert_eq!(said(Health::Code("0", ""), "").await, failed(words));
    let words = "HTTP 503, expected 200";
    assert_eq!(said(Health::Http(503), "").await, failed(words));
    let words = "the answer is not gRPC: it has no grpc-status";
    assert_eq!(said(Health::Http(200), "").await, failed(words));
    assert!(matches!(said(Health::Reset, "").await, Verdict::Failed(_)));
}

#[tokio::test]
async fn a_backend_that_speaks_no_http2_fails() {
    let server = saying("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    let said = verdict(&call(""), plain(server.address)).await;
    assert!(matches!(said, Verdict::Failed(_)), "{said:?}");
}

#[tokio::test]
async fn a_get_speaks_the_protocol_of_the_traffic() {
    let server = speaking(Health::Http(204)).await;
    let mut peer = plain(server.address);
    peer.options.alpn = ALPN::H2;
    assert_eq!(verdict(&http(), peer).await, Verdict::Passed);
    let server = speaking(Health::Http(500)).await;
    let mut peer = plain(server.address);
    peer.options.alpn = ALPN::H2;
    let said = verdict(&http(), peer).await;
    assert_eq!(said, failed("HTTP 500, expected 200-399"));
}
