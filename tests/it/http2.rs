//! HTTP/2 in plaintext, towards clients and towards backends, with trailers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{HeaderMap, Method, Request, Response, Version};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Backend, Evenkeel, Reply, Setup};

type Sender = client::SendRequest<Bytes>;

async fn connect(address: SocketAddr) -> Sender {
    let stream = TcpStream::connect(address).await.expect("Evenkeel listens");
    let (sender, connection) = client::handshake(stream)
        .await
        .expect("an HTTP/2 handshake");
    tokio::spawn(connection);
    sender
}

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .version(Version::HTTP_2)
        .uri(format!("http://grpc.example{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a valid request")
}

/// A body to its end, and its trailers.
async fn whole(mut body: RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("the body arrives whole");
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    (bytes, body.trailers().await.expect("trailers or none"))
}

async fn piece(body: &mut RecvStream) -> Bytes {
    let piece = body
        .data()
        .await
        .expect("more of the body")
        .expect("it arrives");
    let _ = body.flow_control().release_capacity(piece.len());
    piece
}

/// An HTTP/2 backend that echoes each piece of a body as it comes and ends with gRPC trailers.
async fn grpc_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// An Evenkeel before a [`grpc_backend`].
async fn before_grpc() -> Evenkeel {
    Setup::new(&[])
        .backend(grpc_backend().await, "")
        .upstream("protocol: http2")
        .start()
}

async fn serve(stream: TcpStream) {
    let Ok(mut connection) = server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let te = request.headers().get("te").cloned();
            let mut response = Response::builder().header("content-type", "application/grpc");
            if let Some(te) = te {
                response = response.header("x-te", te);
            }
            let response = response.body(()).expect("a valid response");
            if let Ok(sender) = respond.send_response(response, false) {
                echo(request.into_body(), sender).await;
            }
        });
    }
}

async fn echo(mut body: RecvStream, mut sender: SendStream<Bytes>) {
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        if sender.send_data(piece, false).is_err() {
            return;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let _ = sender.send_trailers(trailers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2c_clients_are_served_by_an_http1_backend() {
    let backend =
        Backend::start(|request| Reply::ok(format!("{} {}", request.target(), request.text())));
    let evenkeel = Setup::new(&[&backend]).start();
    let mut sender = connect(evenkeel.web()).await.ready().await.expect("ready");
    let (response, mut stream) = sender
        .send_request(request(Method::POST, "/h1"), false)
        .expect("sent");
    stream
        .send_data(Bytes::from_static(b"hello"), true)
        .expect("sent");
    let response = response.await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(whole(response.into_body()).await.0, b"/h1 hello");
    assert_eq!(backend.only_request().values("host"), ["grpc.example"]);
    assert_eq!(backend.only_request().values("te"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_connection_are_served_side_by_side() {
    let backend = Backend::start(|request| Reply::ok(request.target()));
    let evenkeel = Setup::new(&[&backend]).start();
    let sender = connect(evenkeel.web()).await;
    let mut asked = Vec::new();
    for number in 0..20 {
        let mut sender = sender.clone().ready().await.expect("ready");
        let path = format!("/{number}");
        asked.push((
            path.clone(),
            sender
                .send_request(request(Method::GET, &path), true)
                .expect("sent")
                .0,
        ));
    }
    for (path, response) in asked {
        let response = response.await.expect("a response");
        assert_eq!(whole(response.into_body()).await.0, path.as_bytes());
    }
    let targets: BTreeSet<String> = backend
        .requests()
        .iter()
        .map(|request| request.target().to_owned())
        .collect();
    assert_eq!(targets.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unary_call_passes_with_its_trailers() {
    let evenkeel = before_grpc().await;
    let mut sender = connect(evenkeel.web()).await.ready().await.expect("ready");
    let (response, mut stream) = sender
        .send_request(request(Method::POST, "/pkg.Service/Call"), false)
        .expect("sent");
    stream
        .send_data(Bytes::from_static(b"\0\0\0\0\x05hello"), true)
        .expect("sent");
    let response = response.await.expect("a response");
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(
        response
            .headers()
            .get("x-te")
            .map(http::HeaderValue::as_bytes),
        Some(&b"trailers"[..])
    );
    let (body, trailers) = whole(response.into_body()).await;
    assert_eq!(body, b"\0\0\0\0\x05hello");
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bidirectional_stream_flows_both_ways_at_once() {
    let evenkeel = before_grpc().await;
    let mut sender = connect(evenkeel.web()).await.ready().await.expect("ready");
    let (response, mut stream) = sender
        .send_request(request(Method::POST, "/pkg.Service/Stream"), false)
        .expect("sent");
    stream
        .send_data(Bytes::from_static(b"ping 0"), false)
        .expect("sent");
    let mut body = response
        .await
        .expect("a response before the request ends")
        .into_body();
    assert_eq!(piece(&mut body).await, "ping 0");
    for number in 1..10 {
        let ping = Bytes::from(format!("ping {number}"));
        stream.send_data(ping.clone(), false).expect("sent");
        assert_eq!(piece(&mut body).await, ping);
    }
    stream.send_data(Bytes::new(), true).expect("sent");
    let (rest, trailers) = whole(body).await;
    assert_eq!(rest, b"");
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_share_the_http2_backend() {
    let evenkeel = before_grpc().await;
    let sender = connect(evenkeel.web()).await;
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut sender = sender.ready().await.expect("ready");
                let (response, mut stream) = sender
                    .send_request(request(Method::POST, "/call"), false)
                    .expect("sent");
                let message = Bytes::from(format!("message {number}"));
                stream.send_data(message.clone(), true).expect("sent");
                let (body, trailers) = whole(response.await.expect("a response").into_body()).await;
                assert_eq!(body, message);
                assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
            })
        })
        .collect();
    for call in calls {
        call.await.expect("the call passes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_clients_are_served_by_an_http2_backend() {
    let evenkeel = before_grpc().await;
    let response =
        tokio::task::spawn_blocking(move || evenkeel.connect().request("POST", "/", &[], b"hello"));
    let response = response.await.expect("the client ends");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_prior_knowledge_is_refused_where_h2c_is_off() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).listener("h2c: false").start();
    let stream = TcpStream::connect(evenkeel.web())
        .await
        .expect("Evenkeel listens");
    let (sender, connection) = client::handshake::<TcpStream>(stream)
        .await
        .expect("the preface is sent");
    tokio::spawn(connection);
    let refused = match sender.ready().await {
        Err(_) => true,
        Ok(mut sender) => match sender.send_request(request(Method::GET, "/"), true) {
            Err(_) => true,
            Ok((response, _)) => response.await.is_err(),
        },
    };
    assert!(refused, "no HTTP/2 answer");
    assert_eq!(backend.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejections_over_http2_carry_their_reason() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).start();
    let mut sender = connect(evenkeel.web()).await.ready().await.expect("ready");
    let (response, _) = sender
        .send_request(request(Method::TRACE, "/"), true)
        .expect("sent");
    let response = response.await.expect("a response");
    assert_eq!(response.status(), 405);
    assert_eq!(
        response.headers()["x-evenkeel-reason"],
        "method_not_allowed"
    );
    assert_eq!(backend.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_drips_is_cut_by_the_route_timeout() {
    let backend = Backend::start(|_| {
        let head = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        (0..400).fold(head, |reply, _| {
            reply.then_pause(Duration::from_millis(50)).then_send("x")
        })
    });
    let evenkeel = Setup::new(&[&backend]).route("timeout: 700ms").start();
    let mut sender = connect(evenkeel.web()).await;
    let (response, _) = sender
        .send_request(request(Method::GET, "/"), true)
        .expect("it is sent");
    let mut body = response.await.expect("a header").into_body();
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(piece)) = body.data().await {
            let _ = body.flow_control().release_capacity(piece.len());
            bytes += piece.len();
        }
        bytes
    };
    let limit = Duration::from_secs(6);
    let bytes = tokio::time::timeout(limit, reading).await;
    assert!(bytes.expect("the answer is cut") < 1000);
}
