//! Who may call.

use super::*;

#[tokio::test]
async fn everything_but_the_probes_asks_for_the_token() {
    let fixture = Fixture::new(Some("secret"));
    for (method, path) in [
        ("GET", "/api/v1/upstreams"),
        ("GET", "/api/v1/upstreams/web"),
        ("PATCH", FIRST),
        ("PUT", &format!("{FIRST}/heartbeat")),
        ("DELETE", &format!("{FIRST}/heartbeat")),
    ] {
        let refused = fixture.call(method, path, Value::Null).await;
        assert_eq!(code(&refused), (401, "unauthorized"), "{method} {path}");
    }
    for (path, methods) in openapi::tests::documented() {
        let is_probe = ["/livez", "/readyz"].contains(&path.as_str());
        let path = path.replace("{upstream}", "web").replace("{backend}", "a");
        for method in methods.iter().map(|method| method.to_uppercase()) {
            let answer = fixture.call(&method, &path, Value::Null).await;
            assert_eq!(answer.0 == 401, !is_probe, "{method} {path}: {answer:?}");
        }
    }
    for (given, expected) in [("Bearer secret", 200), ("Bearer secre", 401)] {
        let request = Request::builder()
            .uri("/api/v1/upstreams")
            .header("authorization", given)
            .body(Body::empty())
            .expect("a request");
        let (status, headers, _) = fixture.send(request).await;
        assert_eq!(status, expected);
        assert_eq!(headers.contains_key("www-authenticate"), expected == 401);
    }
}

#[tokio::test]
async fn without_a_token_only_this_machines_own_names_are_answered() {
    let fixture = Fixture::new(None);
    for (host, expected) in [
        ("127.0.0.1:9901", 200),
        ("[::1]:9901", 200),
        ("localhost", 200),
        ("LOCALHOST:9901", 200),
        ("evil.example:9901", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        let request = Request::builder()
            .uri("/api/v1/upstreams")
            .header(HOST, host)
            .body(Body::empty())
            .expect("a request");
        assert_eq!(fixture.send(request).await.0, expected, "{host}");
    }
}

#[tokio::test]
async fn without_a_token_a_page_of_another_site_changes_nothing() {
    for (token, origin, expected) in [
        (None, "http://127.0.0.1:9901", 200),
        (None, "http://127.0.0.1:9902", 403),
        (None, "https://evil.example", 403),
        (None, "null", 403),
        (Some("secret"), "https://evil.example", 200),
    ] {
        let fixture = Fixture::new(token);
        let bearer = "Bearer secret";
        let headers = [(ORIGIN, origin), (AUTHORIZATION, bearer)];
        let change = request("PATCH", FIRST, &headers, "{\"weight\": 5}");
        assert_eq!(fixture.send(change).await.0, expected, "{origin}");
        let look = request("GET", WEB, &headers, "");
        assert_eq!(fixture.send(look).await.0, 200);
    }
}
