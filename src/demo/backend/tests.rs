//! The backend over real sockets.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::config::Percent;
use client::{Client, Reply};

mod client;

/// A running backend; ends when dropped.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

fn start(options: BackendOptions) -> Running {
    let backend = Backend::bind(options).unwrap();
    let address = backend.local_addr();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(backend.run(async move {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop,
        ended,
    }
}

async fn get(options: BackendOptions, path: &str) -> Reply {
    let running = start(options);
    Client::connect(&running).await.get(path).await
}

#[tokio::test]
async fn the_root_says_who_answered_and_counts() {
    let running = start(BackendOptions {
        server_id: Some("b\"1".into()),
        ..BackendOptions::local()
    });
    let mut client = Client::connect(&running).await;
    client.get("/").await;
    client.get("/health").await;
    let reply = client.get("/").await;
    let json = reply.json();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["x-server-id"], "b\"1");
    assert_eq!(json["server_id"], "b\"1");
    assert_eq!(json["address"], running.address.to_string());
    assert_eq!(json["request_count"], 2);
    assert!(!json["hostname"].as_str().unwrap().is_empty());
    assert!(json["processing_time_ms"].as_f64().unwrap() < 5_000.0);
}

/// Replicas of a compose service have the same settings, and their own host names.
#[tokio::test]
async fn its_name_may_hold_the_machines() {
    let running = start(BackendOptions {
        server_id: Some("{hostname}-b".into()),
        ..BackendOptions::local()
    });
    let reply = Client::connect(&running).await.get("/").await;
    let json = reply.json();
    let name = format!("{}-b", json["hostname"].as_str().unwrap());
    assert_eq!(json["server_id"], name);
    assert_eq!(reply.headers["x-server-id"], name);
}

#[tokio::test]
async fn the_simulated_delay_and_error_rate_apply_to_the_root_only() {
    let running = start(BackendOptions {
        simulated_delay: "30ms".parse().unwrap(),
        error_rate: Percent::ALL,
        ..BackendOptions::local()
    });
    let mut client = Client::connect(&running).await;
    let before = crate::clock::now();
    let reply = client.get("/").await;
    assert!(crate::clock::now().since(before) >= Duration::from_millis(30));
    assert_eq!(
        (reply.status, client.get("/bytes/1").await.status),
        (500, 200)
    );
}

#[tokio::test]
async fn health_follows_its_failure_rate_and_the_warm_up() {
    let local = BackendOptions::local;
    let well = get(local(), "/health").await;
    let ill = get(
        BackendOptions {
            health_failure_rate: Percent::ALL,
            ..local()
        },
        "/health",
    )
    .await;
    let cold = get(
        BackendOptions {
            warm_up: Duration::from_hours(1),
            ..local()
        },
        "/health",
    )
    .await;
    assert_eq!(
        (well.status, well.json()["status"].clone()),
        (200, "healthy".into())
    );
    assert_eq!(
        (ill.status, ill.json()["status"].clone()),
        (503, "failing".into())
    );
    assert_eq!(
        (cold.status, cold.json()["status"].clone()),
        (503, "warming_up".into())
    );
}

#[tokio::test]
async fn bounded_pages_answer_within_their_bounds_only() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    for (path, status) in [
        ("/delay?ms=1", 200),
        ("/delay?x=1&ms=0", 200),
        ("/delay?ms=60001", 400),
        ("/delay", 400),
        ("/load?ms=5", 200),
        ("/load?ms=10001", 400),
        ("/load?ms=-1", 400),
        ("/status/404", 404),
        ("/status/204", 204),
        ("/status/599", 599),
        ("/status/101", 400),
        ("/status/600", 400),
        ("/status/x", 400),
        ("/bytes/0", 200),
        ("/bytes/1073741825", 400),
        ("/bytes/-1", 400),
        ("/_demo/stop?secs=1", 404),
    ] {
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
    assert_eq!(client.get("/load?ms=7").await.json()["burned_ms"], 7);
    assert_eq!(client.get("/status/418").await.json()["status"], 418);
}

#[tokio::test]
async fn bytes_are_the_alphabet_without_a_seam() {
    let reply = get(BackendOptions::local(), "/bytes/200000").await;
    let expected: Vec<u8> = (b'a'..=b'z').cycle().take(200_000).collect();
    assert!(reply.body == expected);
}

#[tokio::test]
async fn an_unknown_path_lists_the_paths() {
    let reply = get(BackendOptions::local(), "/nowhere").await;
    assert_eq!(reply.status, 404);
    assert!(
        reply.json()["paths"]
            .as_array()
            .unwrap()
            .contains(&"/echo".into())
    );
}

#[tokio::test]
async fn head_gets_the_length_and_no_body() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    client
        .send("HEAD /bytes/77 HTTP/1.1\r\nhost: t\r\n\r\n")
        .await;
    let reply = client.reply(false).await;
    assert_eq!(
        (reply.status, &reply.headers["content-length"]),
        (200, &"77".parse().unwrap())
    );
    assert_eq!(client.get("/bytes/3").await.body, b"abc");
}

#[tokio::test]
async fn a_body_nobody_reads_does_not_cost_the_connection() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    let body = "x".repeat(300_000);
    client
        .send(&format!(
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 300000\r\n\r\n{body}"
        ))
        .await;
    assert_eq!(client.reply(true).await.status, 200);
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    let request = |path| format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n");
    client
        .send(
            &["/delay?ms=5", "/bytes/2", "/status/404"]
                .map(request)
                .concat(),
        )
        .await;
    let first = client.reply(true).await.json();
    assert_eq!(first["delayed_ms"], 5);
    assert_eq!(client.reply(true).await.body, b"ab");
    assert_eq!(client.reply(true).await.status, 404);
}

#[tokio::test]
async fn echo_shows_what_arrived_over_http1() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    client
        .send("POST /echo?a=1&b HTTP/1.1\r\nhost: t\r\nx-two: 1\r\nx-two: 2\r\ncontent-length: 5\r\n\r\nh\u{e9}llo")
        .await;
    // The sixth byte begins a next request; this answer must not wait for the rest of it.
    let json = client.reply(true).await.json();
    assert_eq!(json["method"], "POST");
    assert_eq!(
        (&json["path"], &json["query"]),
        (&"/echo".into(), &"a=1&b".into())
    );
    assert_eq!(json["version"], "HTTP/1.1");
    assert_eq!(
        json["headers"],
        serde_json::json!([
            ["host", "t"],
            ["x-two", "1"],
            ["x-two", "2"],
            ["content-length", "5"]
        ])
    );
    assert_eq!(
        (&json["body"], &json["body_length"]),
        (&"h\u{e9}ll".into(), &5.into())
    );
    assert_eq!(
        (&json["body_encoding"], &json["connection"]),
        (&"utf-8".into(), &1.into())
    );
    assert_eq!(
        json["peer"],
        client.0.get_ref().local_addr().unwrap().to_string()
    );
}

#[tokio::test]
async fn echo_sends_bytes_that_are_no_text_as_base64() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    client
        .0
        .get_mut()
        .write_all(b"PUT /echo HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n\xff\x00")
        .await
        .unwrap();
    let json = client.reply(true).await.json();
    assert_eq!(
        (&json["body"], &json["body_encoding"]),
        (&"/wA=".into(), &"base64".into())
    );
}

#[tokio::test]
async fn echo_returns_chunked_trailers_over_http1() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    client
        .send(concat!(
            "POST /echo HTTP/1.1\r\nhost: t\r\nte: trailers\r\ntrailer: x-sum\r\n",
            "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"
        ))
        .await;
    let reply = client.reply(true).await;
    assert_eq!(reply.headers["transfer-encoding"], "chunked");
    let length = usize::from_str_radix(&client.line().await, 16).unwrap();
    let mut body = vec![0; length];
    client.0.read_exact(&mut body).await.unwrap();
    let json: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["trailers"], serde_json::json!([["x-sum", "7"]]));
    assert_eq!(
        (client.line().await, client.line().await),
        (String::new(), "0".to_owned())
    );
    assert_eq!(client.fields().await["x-sum"], "7");
}

#[tokio::test]
async fn echo_returns_trailers_over_http2() {
    let running = start(BackendOptions::local());
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}/echo", running.address))
        .body(())
        .unwrap();
    let (response, mut body) = requests.send_request(request, false).unwrap();
    body.send_data("ping".into(), false).unwrap();
    body.send_trailers(HeaderMap::from_iter([(
        "grpc-status".parse().unwrap(),
        "0".parse().unwrap(),
    )]))
    .unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut received = response.into_body();
    let mut data = Vec::new();
    while let Some(piece) = received.data().await {
        data.extend_from_slice(&piece.unwrap());
    }
    let json: Value = serde_json::from_slice(&data).unwrap();
    assert_eq!(
        (&json["version"], &json["body"]),
        (&"HTTP/2".into(), &"ping".into())
    );
    assert_eq!(json["authority"], running.address.to_string());
    assert_eq!(json["trailers"], serde_json::json!([["grpc-status", "0"]]));
    assert_eq!(
        received.trailers().await.unwrap().unwrap()["grpc-status"],
        "0"
    );
}

#[tokio::test]
async fn the_web_socket_echoes_and_is_told_of_the_stop() {
    let running = start(BackendOptions::local());
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://t/ws", stream)
        .await
        .unwrap();
    for message in [
        Message::text("hi"),
        Message::binary(vec![1, 2]),
        Message::Ping(vec![3].into()),
    ] {
        socket.send(message.clone()).await.unwrap();
        let expected = match message {
            Message::Ping(data) => Message::Pong(data),
            other => other,
        };
        assert_eq!(socket.next().await.unwrap().unwrap(), expected);
    }
    running.stop.send(()).unwrap();
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else {
        panic!("a closing frame was expected");
    };
    assert_eq!(u16::from(frame.code), 1001);
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_web_socket_answers_the_clients_close() {
    let running = start(BackendOptions::local());
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://t/ws", stream)
        .await
        .unwrap();
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn the_web_socket_page_without_an_upgrade_is_426() {
    let reply = get(BackendOptions::local(), "/ws").await;
    assert_eq!(
        (reply.status, &reply.headers["upgrade"]),
        (426, &"websocket".parse().unwrap())
    );
}

#[tokio::test]
async fn metrics_count_by_path_class_and_status() {
    let running = start(BackendOptions::local());
    let mut client = Client::connect(&running).await;
    for path in ["/bytes/1", "/bytes/2", "/status/503", "/nowhere"] {
        client.get(path).await;
    }
    let page = String::from_utf8(client.get("/metrics").await.body).unwrap();
    for line in [
        r#"demo_backend_requests_total{code="200",path="/bytes"} 2"#,
        r#"demo_backend_requests_total{code="503",path="/status"} 1"#,
        r#"demo_backend_requests_total{code="404",path="other"} 1"#,
        r#"demo_backend_request_duration_seconds_count{path="/bytes"} 2"#,
        "demo_backend_requests_in_flight 1",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "{line} is not in\n{page}"
        );
    }
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_closes_what_is_idle() {
    let running = start(BackendOptions::local());
    let mut idle = Client::connect(&running).await;
    idle.get("/").await;
    let mut busy = Client::connect(&running).await;
    busy.get("/").await;
    busy.send(
        "POST /echo HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
    )
    .await;
    assert_eq!(busy.reply(false).await.status, 100);
    running.stop.send(()).unwrap();
    assert!(idle.ended().await);
    busy.send("ab").await;
    assert_eq!(busy.reply(true).await.json()["body"], "ab");
    assert!(busy.ended().await);
    running.ended.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_stop_may_wait_while_requests_still_come() {
    let delayed = |shutdown_delay| {
        start(BackendOptions {
            shutdown_delay,
            ..BackendOptions::local()
        })
    };
    let waiting = delayed(Duration::from_hours(1));
    let Running { address, stop, .. } = waiting;
    stop.send(()).unwrap();
    for _ in 0..50 {
        let stream = TcpStream::connect(address).await.unwrap();
        let reply = Client(BufReader::new(stream)).get("/").await;
        assert_eq!(reply.status, 200);
    }
    let ending = delayed(Duration::from_millis(1));
    ending.stop.send(()).unwrap();
    ending.ended.await.unwrap().unwrap();
}

#[test]
fn a_taken_port_is_named_and_ends_with_two() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = Backend::bind(BackendOptions::at(address)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {address}: "))
    );
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = execute(BackendOptions::at(address), &mut out, &mut err);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    assert!(
        String::from_utf8(err)
            .unwrap()
            .contains(&address.to_string())
    );
}
