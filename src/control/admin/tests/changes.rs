//! What an operator changes.

use super::*;

#[tokio::test]
async fn a_weight_is_changed_and_given_back() {
    let fixture = Fixture::new(None);
    let path = format!("{BACKENDS}/192.0.2.2:1");
    let (status, backend) = fixture.call("PATCH", &path, json!({ "weight": 9 })).await;
    assert_eq!((status, &backend["weight"]), (200, &json!(9)));
    assert!(backend.get("drained").is_none());
    let (status, backend) = fixture
        .call("PATCH", &path, json!({ "weight": null }))
        .await;
    assert_eq!((status, &backend["weight"]), (200, &json!(3)));
}

#[tokio::test]
async fn changes_that_cannot_be_meant_are_refused() {
    let fixture = Fixture::new(None);
    for wrong in [
        json!({}),
        json!({ "weight": 0 }),
        json!({ "weight": "5" }),
        json!({ "state": "up" }),
        json!({ "state": "active", "deadline": "1s" }),
        json!({ "deadline": "1s" }),
        json!({ "state": "draining", "deadline": "25h" }),
        json!({ "other": 1 }),
        Value::Null,
    ] {
        let refused = fixture.call("PATCH", FIRST, wrong.clone()).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{wrong}");
    }
    for query in ["wait=5", "wait=301s", "wait", "weight=5"] {
        let path = format!("{FIRST}?{query}");
        let refused = fixture.call("PATCH", &path, json!({ "weight": 5 })).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{query}");
    }
    let unknown = fixture
        .call("PATCH", &format!("{BACKENDS}/x"), json!({ "weight": 5 }))
        .await;
    assert_eq!(code(&unknown), (404, "unknown_backend"));
    assert_eq!(*fixture.published.changes().borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_nothing_is_in_flight_or_the_time_is_up() {
    let fixture = Fixture::new(None);
    let path = format!("{FIRST}?wait=30s");
    let (status, backend) = fixture
        .call("PATCH", &path, json!({ "state": "maintenance" }))
        .await;
    assert_eq!((status, &backend["drained"]), (200, &json!(true)));
    let (status, backend) = fixture.call("PATCH", &path, Value::Null).await;
    assert_eq!((status, &backend["drained"]), (200, &json!(true)));
}

#[tokio::test]
async fn an_algorithm_is_changed_and_given_back() {
    let fixture = Fixture::new(None);
    let (_, web) = fixture.get(WEB).await;
    for name in web["algorithms"].as_array().expect("a list") {
        let (status, changed) = fixture
            .call("PATCH", WEB, json!({ "algorithm": name }))
            .await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(&changed["operator"]["algorithm"], name);
        if name != "adaptive" {
            assert_eq!(&changed["algorithm"], name);
        }
    }
    let (status, back) = fixture
        .call("PATCH", WEB, json!({ "algorithm": null }))
        .await;
    assert_eq!(
        (status, &back["operator"]["algorithm"]),
        (200, &Value::Null)
    );
    let unknown = json!({ "algorithm": "least_conections" });
    let refused = fixture.call("PATCH", WEB, unknown).await;
    assert_eq!(code(&refused), (400, "invalid_request"));
    let hint = refused.1["hint"].as_str().expect("text");
    assert!(
        hint.ends_with("; did you mean `least_connections`?"),
        "{hint}"
    );
    for wrong in [
        json!({}),
        json!({ "algorithm": 1 }),
        json!({ "algorithm": "random", "x": 1 }),
    ] {
        let refused = fixture.call("PATCH", WEB, wrong.clone()).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{wrong}");
    }
    let path = "/api/v1/upstreams/x";
    let refused = fixture
        .call("PATCH", path, json!({ "algorithm": null }))
        .await;
    assert_eq!(code(&refused), (404, "unknown_upstream"));
}

#[tokio::test]
async fn a_write_for_what_has_changed_is_refused() {
    let fixture = Fixture::new(None);
    let tag = |headers: &HeaderMap| headers[ETAG].to_str().expect("ASCII").to_owned();
    let get = |path| request("GET", path, &[], "");
    let (_, headers, _) = fixture.send(get(WEB)).await;
    let seen = tag(&headers);
    let (_, headers, _) = fixture.send(get(WEB)).await;
    assert_eq!(tag(&headers), seen, "nothing has changed");
    let (_, all, _) = fixture.send(get("/api/v1/upstreams")).await;
    let change = |tag: &str, weight: u32| {
        let body = json!({ "weight": weight }).to_string();
        request("PATCH", FIRST, &[(IF_MATCH, tag)], &body)
    };
    let (status, headers, _) = fixture.send(change(&seen, 5)).await;
    assert_eq!(status, StatusCode::OK);
    let next = tag(&headers);
    assert_ne!(next, seen);
    let (status, _, body) = fixture.send(change(&seen, 6)).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let refused: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(code(&(412, refused)), (412, "precondition_failed"));
    assert_eq!(fixture.send(change("*", 7)).await.0, StatusCode::OK);
    assert_eq!(
        fixture.send(change("7", 8)).await.0,
        StatusCode::BAD_REQUEST
    );
    let (_, web) = fixture.get(WEB).await;
    assert_eq!(web["backends"][0]["weight"], 7);
    let (_, later, _) = fixture.send(get("/api/v1/upstreams")).await;
    assert_ne!(tag(&later), tag(&all));
    for (method, path, body) in [
        ("PATCH", WEB, json!({ "algorithm": "random" })),
        (
            "PUT",
            &format!("{BACKENDS}/192.0.2.20:80/heartbeat"),
            json!({ "ttl": "1s" }),
        ),
        (
            "DELETE",
            &format!("{BACKENDS}/192.0.2.20:80/heartbeat"),
            Value::Null,
        ),
    ] {
        let stale = request(method, path, &[(IF_MATCH, &seen)], &body.to_string());
        let (status, ..) = fixture.send(stale).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_no_json_is_refused() {
    let fixture = Fixture::new(None);
    for (kind, expected) in [
        ("application/json; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 415),
        ("application/xml", 415),
    ] {
        let headers = [(CONTENT_TYPE, kind)];
        let request = request("PATCH", FIRST, &headers, "{\"weight\": 5}");
        assert_eq!(fixture.send(request).await.0, expected, "{kind}");
    }
}
