//! Input that nobody means.

use super::*;

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("web".to_owned()),
        Just("192.0.2.1:1".to_owned()),
        Just("heartbeat".to_owned()),
        "[a-zA-Z0-9%:._-]{0,12}",
        "(%[0-9A-Fa-f]{2}){1,4}",
    ];
    let fits = proptest::collection::vec(segment, 0..5).prop_map(|segments| segments.join("/"));
    let query = prop_oneof![
        Just(String::new()),
        "\\?[a-z=&%0-9]{0,12}",
        Just("?wait=0s".to_owned())
    ];
    (fits, query).prop_map(|(path, query)| {
        if path.starts_with("web") {
            format!(
                "/api/v1/upstreams/{}{query}",
                path.replacen("web/", "web/backends/", 1)
            )
        } else {
            format!("/{path}{query}")
        }
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just("\"1s\"".to_owned()),
        Just("null".to_owned()),
        Just("\"draining\"".to_owned()),
        "-?[0-9]{1,25}(\\.[0-9]e[0-9]{1,4})?",
        "\"[^\"\\\\]{0,20}\"",
    ];
    let key = prop_oneof![
        Just("ttl"),
        Just("weight"),
        Just("address"),
        Just("state"),
        Just("deadline"),
        Just("x")
    ];
    let object = proptest::collection::vec((key, text), 0..4).prop_map(|entries| {
        let entries: Vec<String> = entries
            .into_iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", entries.join(",")).into_bytes()
    });
    prop_oneof![3 => object, 1 => proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No input panics, hangs or is answered with anything but JSON, or the page, and a status of
    /// the table.
    #[test]
    fn any_input_is_answered(
        method in prop_oneof![
            Just("GET"), Just("PUT"), Just("PATCH"), Just("DELETE"), Just("POST"), Just("OPTIONS")
        ],
        path in path(),
        body in body(),
    ) {
        let Ok(request) = Request::builder()
            .method(method)
            .uri(&path)
            .header(HOST, "localhost")
            .body(Body::from(body))
        else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (status, _, answer) = runtime.block_on(async { Fixture::new(None).send(request).await });
        let expected = [200, 201, 204, 400, 404, 405, 409, 422];
        prop_assert!(expected.contains(&status.as_u16()), "{} {}: {}", method, path, status);
        let is_page = page::has(path.split('?').next().unwrap_or_default());
        if !answer.is_empty() && !is_page {
            prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        }
    }
}
