//! Backends that register themselves.

use super::*;

#[tokio::test]
async fn a_backend_registers_renews_and_leaves() {
    let fixture = Fixture::new(None);
    let body = json!({ "ttl": "10s", "address": "192.0.2.20:80", "weight": 4 });
    let (status, answer) = fixture.beat("one", body.clone()).await;
    assert_eq!(status, 201);
    assert_eq!(
        (&answer["backend"], &answer["ttl"]),
        (&json!("one"), &json!(10.0))
    );
    assert_eq!(fixture.beat("one", body).await.0, 200);
    let (_, web) = fixture.get("/api/v1/upstreams/web").await;
    let backend = &web["backends"][2];
    assert_eq!(backend["address"], "192.0.2.20:80");
    assert_eq!(backend["weight"], 4);
    let path = format!("{BACKENDS}/one/heartbeat");
    assert_eq!(
        fixture.call("DELETE", &path, Value::Null).await,
        (204, Value::Null)
    );
    let again = fixture.call("DELETE", &path, Value::Null).await;
    assert_eq!(code(&again), (404, "unknown_backend"));
    assert_eq!(
        fixture.published.load().groups()[0]
            .upstream
            .members()
            .len(),
        2
    );
}

#[tokio::test]
async fn an_id_that_is_an_address_needs_no_other() {
    let fixture = Fixture::new(None);
    assert_eq!(
        fixture
            .beat("192.0.2.20:80", json!({ "ttl": "1s" }))
            .await
            .0,
        201
    );
    assert_eq!(
        fixture
            .beat("%5B2001:db8::1%5D:80", json!({ "ttl": "1s" }))
            .await
            .0,
        201
    );
    let (status, _) = fixture.beat("localhost:81", json!({ "ttl": "1s" })).await;
    assert_eq!(status, 201);
    let nameless = fixture.beat("four", json!({ "ttl": "1s" })).await;
    assert_eq!(code(&nameless), (400, "invalid_request"));
    let full = fixture.beat("192.0.2.21:80", json!({ "ttl": "1s" })).await;
    assert_eq!(code(&full), (409, "too_many_backends"));
}

#[tokio::test]
async fn heartbeats_that_cannot_be_meant_are_refused() {
    let fixture = Fixture::new(None);
    for wrong in [
        json!({}),
        json!([]),
        json!({ "ttl": 10 }),
        json!({ "ttl": "10" }),
        json!({ "ttl": "199ms" }),
        json!({ "ttl": "3601s" }),
        json!({ "ttl": "99999999999999999999s" }),
        json!({ "ttl": "1s", "weight": 0 }),
        json!({ "ttl": "1s", "weight": 65_536 }),
        json!({ "ttl": "1s", "weight": -1 }),
        json!({ "ttl": "1s", "adress": "192.0.2.20:80" }),
        json!({ "ttl": "1s", "address": "192.0.2.20" }),
        json!({ "ttl": "1s", "address": "192.0.2.20:0" }),
        json!({ "ttl": "1s", "address": "0.0.0.0:80" }),
        json!({ "ttl": "1s", "address": "http://192.0.2.20:80" }),
    ] {
        let refused = fixture.beat("192.0.2.20:80", wrong.clone()).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{wrong}");
    }
    for id in ["a%20b", "a%2Fb", "%C3%A4:80", &"a".repeat(262)] {
        let body = json!({ "ttl": "1s", "address": "192.0.2.20:80" });
        let refused = fixture.beat(id, body).await;
        assert_eq!(code(&refused), (400, "invalid_request"), "{id}");
    }
    let path = format!("{BACKENDS}/a%FF/heartbeat");
    let refused = fixture.call("PUT", &path, json!({ "ttl": "1s" })).await;
    assert_eq!(code(&refused), (400, "invalid_request"));
    let unknown = json!({ "ttl": "1s", "address": "nobody.invalid:80" });
    assert_eq!(
        code(&fixture.beat("a", unknown).await),
        (422, "unknown_address")
    );
    let configured = fixture.beat("192.0.2.1:1", json!({ "ttl": "1s" })).await;
    assert_eq!(code(&configured), (409, "configured_backend"));
    let path = "/api/v1/upstreams/fixed/backends/192.0.2.20:80/heartbeat";
    let closed = fixture.call("PUT", path, json!({ "ttl": "1s" })).await;
    assert_eq!(code(&closed), (409, "no_registry"));
    assert_eq!(*fixture.published.changes().borrow(), 0);
}

#[tokio::test]
async fn a_body_is_bounded() {
    let fixture = Fixture::new(None);
    let body = " ".repeat(input::MAX_BODY + 1);
    let refused = fixture.call_raw("PATCH", FIRST, body).await;
    assert_eq!(code(&refused), (413, "broken_body"));
}
