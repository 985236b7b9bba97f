//! The timeline, as a list and as a stream.

use super::*;

#[tokio::test]
async fn every_write_is_told_in_the_timeline_with_what_was_before() {
    let fixture = Fixture::new(None);
    let path = format!("{BACKENDS}/192.0.2.20:80/heartbeat");
    for (method, path, body, expected) in [
        ("PATCH", WEB, json!({ "algorithm": "random" }), 200),
        ("PATCH", WEB, json!({ "algorithm": null }), 200),
        (
            "PATCH",
            FIRST,
            json!({ "weight": 5, "state": "draining" }),
            200,
        ),
        (
            "PATCH",
            FIRST,
            json!({ "weight": null, "state": "active" }),
            200,
        ),
        ("PATCH", FIRST, json!({ "weight": 0 }), 400),
        ("PATCH", &format!("{FIRST}?wait=0s"), Value::Null, 200),
        ("PUT", &path, json!({ "ttl": "10s" }), 201),
        ("PUT", &path, json!({ "ttl": "10s" }), 200),
        ("DELETE", &path, Value::Null, 204),
    ] {
        let (status, answer) = fixture.call(method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    let told: Vec<String> = fixture
        .timeline
        .last(100)
        .iter()
        .map(|entry| match &entry.happening {
            Happening::Operator { what } => what.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "web: algorithm adaptive -> random, by 127.0.0.1",
            "web: algorithm random -> adaptive, as configured, by 127.0.0.1",
            "web: 192.0.2.1:1: weight own -> 5, state active -> draining, by 127.0.0.1",
            "web: 192.0.2.1:1: weight 5 -> own, state draining -> active, by 127.0.0.1",
            "web: 192.0.2.20:80 registered at 192.0.2.20:80, by 127.0.0.1",
            "web: 192.0.2.20:80 left, by 127.0.0.1",
        ]
    );
}

fn operator(what: &str) -> Happening {
    Happening::Operator {
        what: what.to_owned(),
    }
}

#[tokio::test]
async fn events_are_a_list_for_who_asks_for_json() {
    let fixture = Fixture::new(None);
    for what in ["one", "two", "three"] {
        fixture.timeline.note(operator(what));
    }
    let list = async |query: &str| {
        let path = format!("/api/v1/events{query}");
        let (status, _, body) = fixture
            .send(request("GET", &path, &[(ACCEPT, "application/json")], ""))
            .await;
        assert_eq!(status, StatusCode::OK);
        let entries: Vec<Value> = serde_json::from_slice(&body).expect("a list");
        let ids = entries.iter().map(|entry| entry["id"].as_u64());
        ids.collect::<Option<Vec<_>>>().expect("numbers")
    };
    assert_eq!(list("").await, [1, 2, 3]);
    assert_eq!(list("?n=2").await, [2, 3]);
    assert_eq!(list("?after=1").await, [2, 3]);
    assert_eq!(list("?after=1&n=1").await, [3]);
    let refused = fixture.get("/api/v1/events?n=1000").await;
    assert_eq!(code(&refused), (400, "invalid_request"));
}

/// The stream of events, and what it says until `until`.
async fn follow(fixture: &Fixture, query: &str, headers: &[(HeaderName, &str)]) -> BodyDataStream {
    let path = format!("/api/v1/events{query}");
    let service = TowerToHyperService::new(fixture.router.clone());
    let response = service.call(request("GET", &path, headers, "")).await;
    let response = response.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    response.into_body().into_data_stream()
}

/// The next piece of a stream; `None` at its end.
async fn piece(stream: &mut BodyDataStream) -> Option<String> {
    let piece = stream.next().await?.expect("it does not break");
    Some(String::from_utf8(piece.to_vec()).expect("UTF-8"))
}

#[tokio::test(start_paused = true)]
async fn events_are_a_stream_that_begins_where_it_is_asked_to() {
    let fixture = Fixture::new(None);
    fixture.timeline.note(operator("one"));
    fixture.timeline.note(operator("two"));
    let mut stream = follow(&fixture, "?n=9", &[(LAST_EVENT_ID, "1")]).await;
    let begin = piece(&mut stream).await.expect("it begins");
    assert_eq!(begin, "retry: 1000\n: events\n\n");
    let two = piece(&mut stream).await.expect("it is kept");
    let (head, data) = two.split_once("data: ").expect("an event");
    assert_eq!(head, "id: 2\nevent: operator\n");
    let data: Value = serde_json::from_str(data.trim_end()).expect("JSON");
    assert_eq!((&data["id"], &data["what"]), (&json!(2), &json!("two")));
    fixture.timeline.note(operator("three"));
    assert!(
        piece(&mut stream)
            .await
            .expect("news")
            .starts_with("id: 3\n")
    );
    assert_eq!(piece(&mut stream).await.as_deref(), Some(": alive\n\n"));
    fixture.lifecycle.enter(Phase::HandedOver);
    assert_eq!(piece(&mut stream).await, None, "another process goes on");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_loses_the_oldest_and_says_how_many() {
    let fixture = Fixture::new(None);
    let mut stream = follow(&fixture, "", &[]).await;
    piece(&mut stream).await.expect("it begins");
    for number in 0..1_000 {
        fixture.timeline.note(operator(&number.to_string()));
    }
    let lost = piece(&mut stream).await.expect("a notice");
    assert_eq!(lost, "event: lost\ndata: {\"lost\":488}\n\n");
    assert!(
        piece(&mut stream)
            .await
            .expect("the rest")
            .starts_with("id: 489\n")
    );
    let mut late = follow(&fixture, "?after=400", &[]).await;
    piece(&mut late).await.expect("it begins");
    let lost = piece(&mut late).await.expect("a notice");
    assert_eq!(lost, "event: lost\ndata: {\"lost\":88}\n\n");
}

#[tokio::test(start_paused = true)]
async fn streams_are_few_and_end() {
    let fixture = Fixture::new(None);
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(follow(&fixture, "", &[]).await);
    }
    let refused = fixture.get("/api/v1/events").await;
    assert_eq!(code(&refused), (503, "too_many_streams"));
    let mut last = streams.pop().expect("there are some");
    let mut pieces = 0;
    while piece(&mut last).await.is_some() {
        pieces += 1;
    }
    assert!((20..40).contains(&pieces), "{pieces} in five minutes");
    drop(last);
    let _another = follow(&fixture, "", &[]).await;
}
