use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;

/// An API that answers from a list, the last one over and over, and remembers what it was asked.
async fn registry(answers: &'static [&'static str]) -> (Registry, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut answers = answers.iter();
        let mut last = "";
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            seen.lock().unwrap().push(request);
            last = answers.next().unwrap_or(&last);
            let _ = stream.write_all(last.as_bytes()).await;
        }
    });
    (registry.parse().unwrap(), asked)
}

const CREATED: &str = "HTTP/1.1 201 Created\r\n\r\n{}";
const OK: &str = "HTTP/1.1 200 OK\r\n\r\n{}";
const CONFLICT: &str =
    "HTTP/1.1 409 Conflict\r\n\r\n{\"code\":\"x\",\"message\":\"no\",\"hint\":\"so\"}";

fn options(registry: Registry) -> Registration {
    Registration {
        register: Some(registry),
        upstream: Some("web".to_owned()),
        ttl: Some(Duration::from_millis(60)),
        ..Registration::default()
    }
}

/// Runs a registrar until so many calls have come in and so much was said; what was said, and
/// what was asked.
async fn run(
    change: impl Fn(&mut Registration),
    answers: &'static [&'static str],
    (calls, lines): (usize, usize),
) -> (Vec<String>, Vec<String>) {
    let (registry, asked) = registry(answers).await;
    let mut options = options(registry);
    change(&mut options);
    let registrar = Registrar::new(&options, "0.0.0.0:5001".parse().unwrap()).unwrap();
    let (end, ended) = oneshot::channel();
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let (asked_by_now, said_by_now) = (Arc::clone(&asked), Arc::clone(&said));
    tokio::spawn(async move {
        while asked_by_now.lock().unwrap().len() < calls
            || said_by_now.lock().unwrap().len() < lines
        {
            tokio::task::yield_now().await;
        }
        let _ = end.send(());
    });
    let end = async { ended.await.unwrap() };
    let mut say = |what: &str| said.lock().unwrap().push(what.to_owned());
    let done = registrar.keep(end, &mut say, || 0.5);
    timeout(Duration::from_secs(20), done).await.unwrap();
    let (said, asked) = (said.lock().unwrap().clone(), asked.lock().unwrap().clone());
    (said, asked)
}

#[tokio::test]
async fn it_registers_renews_and_leaves() {
    let (said, asked) = run(|_| {}, &[CREATED, OK], (3, 1)).await;
    let (leave, beats) = asked.split_last().unwrap();
    assert!(beats.len() >= 3);
    for beat in beats {
        let path = "/api/v1/upstreams/web/backends/127.0.0.1:5001/heartbeat";
        assert!(
            beat.starts_with(&format!("PUT {path} HTTP/1.1\r\n")),
            "{beat}"
        );
        assert!(
            beat.ends_with(r#"{"ttl":"60ms","address":"127.0.0.1:5001"}"#),
            "{beat}"
        );
    }
    assert!(leave.starts_with("DELETE "), "{leave}");
    let expected = [
        "registered as 127.0.0.1:5001 in upstream web",
        "left upstream web",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn it_says_what_it_was_told_to() {
    let change = |options: &mut Registration| {
        options.id = Some("one".to_owned());
        options.advertise = Some("backend.internal:80".to_owned());
        options.register_token = Some(parse_token("secret").unwrap());
        options.weight = Some(7);
    };
    let (_, asked) = run(change, &[CREATED], (1, 1)).await;
    let beat = &asked[0];
    assert!(beat.contains("/backends/one/heartbeat "), "{beat}");
    assert!(
        beat.contains("\r\nAuthorization: Bearer secret\r\n"),
        "{beat}"
    );
    assert!(
        beat.ends_with(r#""address":"backend.internal:80","weight":7}"#),
        "{beat}"
    );
}

#[tokio::test]
async fn a_refusal_is_told_and_tried_again() {
    let (said, asked) = run(|_| {}, &[CONFLICT, "nonsense", OK], (3, 3)).await;
    assert!(asked.len() >= 4);
    assert!(
        said[0].contains("409 Conflict: no (so); next try in "),
        "{said:?}"
    );
    assert!(said[1].contains("the answer is no HTTP"), "{said:?}");
    assert!(said[2].starts_with("registered as "), "{said:?}");
}

#[tokio::test]
async fn one_that_never_registered_does_not_leave() {
    // With long pauses the end comes between two calls.
    let change = |options: &mut Registration| options.ttl = Some(Duration::from_mins(1));
    let (said, asked) = run(change, &[CONFLICT], (2, 2)).await;
    assert!(
        asked.iter().all(|request| request.starts_with("PUT ")),
        "{asked:?}"
    );
    assert!(
        said.iter().all(|line| line.starts_with("cannot register")),
        "{said:?}"
    );
}

#[tokio::test]
async fn one_that_was_interrupted_while_it_registered_leaves_all_the_same() {
    let (_, asked) = run(|_| {}, &[""], (1, 0)).await;
    assert!(asked.last().unwrap().starts_with("DELETE "), "{asked:?}");
}

#[test]
fn heartbeats_come_three_in_a_ttl_and_failures_slower_each() {
    let ttl = Duration::from_secs(9);
    assert_eq!(interval(ttl, 0.5), Duration::from_secs(3));
    assert!(interval(ttl, 0.0) < interval(ttl, 1.0));
    assert!(interval(ttl, 1.0) * 2 < ttl, "two in a row may be lost");
    let ttl = Duration::from_mins(5);
    let pauses: Vec<u128> = (0..8).map(|n| back_off(ttl, n, 1.0).as_millis()).collect();
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    assert_eq!(back_off(ttl, u32::MAX, 1.0), LONGEST_PAUSE);
    assert_eq!(
        back_off(Duration::from_millis(300), 9, 1.0).as_millis(),
        100
    );
}

#[test]
fn what_is_no_registry_is_refused() {
    let parse = |text: &str| text.parse::<Registry>();
    assert_eq!(
        parse("http://127.0.0.1:9901").unwrap().address,
        "127.0.0.1:9901"
    );
    assert_eq!(parse("http://[::1]:9901/").unwrap().address, "[::1]:9901");
    assert_eq!(parse("http://balancer").unwrap().address, "balancer:80");
    for wrong in [
        "",
        "127.0.0.1:9901",
        "https://127.0.0.1:9901",
        "http://127.0.0.1:9901/api",
        "http://u@127.0.0.1:9901",
        "http://127.0.0.1:9901?x",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "a/b", "a b", "a%20", "ä"] {
        assert!(parse_segment(wrong).is_err(), "{wrong}");
    }
    for wrong in ["a", "a:", "a:0", "a:70000", "a/:1"] {
        assert!(parse_advertised(wrong).is_err(), "{wrong}");
    }
    assert_eq!(format!("{:?}", parse_token("secret")), "Ok(<token>)");
    assert!(parse_token("a\r\nb").is_err());
}
