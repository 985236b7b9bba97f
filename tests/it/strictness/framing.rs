//! Where a message ends: nobody may see one request where another sees two.

use super::Stage;
use crate::support::Reply;

#[test]
fn content_length_with_chunked_goes_out_once_in_one_framing_and_closes() {
    let stage = Stage::new();
    let mut client = stage.send(
        "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
         2b\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: 12345\r\n\r\n0\r\n\r\n",
    );
    let response = client.response();
    client.expect_closed();
    if response.status == 400 {
        return stage.backend_saw_nothing_else(0);
    }
    assert_eq!(response.status, 200, "{}", response.head);
    stage.backend_saw_nothing_else(1);
    let forwarded = &stage.backend.requests()[0];
    let framings =
        forwarded.values("content-length").len() + forwarded.values("transfer-encoding").len();
    assert_eq!(framings, 1, "one framing: {}", forwarded.head);
    assert!(
        forwarded.text().starts_with("GET /smuggled"),
        "it stays a body: {forwarded:?}"
    );
}

#[test]
fn bytes_after_an_ambiguous_request_are_never_a_request() {
    let stage = Stage::new();
    let mut client = stage.send(
        "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let response = client.response();
    assert!(matches!(response.status, 200 | 400), "{}", response.head);
    client.expect_closed();
    stage.backend_saw_nothing_else(usize::from(response.status == 200));
}

#[test]
fn differing_content_lengths_are_refused() {
    for lengths in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\nabcd");
        Stage::new().refuses_unparsed(bytes, &[400], "bad_request");
    }
}

#[test]
fn a_repeated_content_length_is_refused() {
    let bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    Stage::new().refuses_unparsed(bytes, &[400], "bad_request");
}

#[test]
fn a_content_length_that_is_no_number_is_refused() {
    for length in [
        "-1",
        "+3",
        "0x3",
        "3 ",
        "1e1",
        "",
        "99999999999999999999999",
    ] {
        // Trailing space is optional white space and allowed; everything else is not.
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nabc");
        let stage = Stage::new();
        if length == "3 " {
            assert_eq!(stage.send(bytes).response().status, 200);
        } else {
            stage.refuses_unparsed(bytes, &[400, 413], "bad_request");
        }
    }
}

#[test]
fn a_transfer_coding_that_does_not_end_in_chunked_is_refused() {
    for coding in ["gzip", "chunked, gzip", "xchunked", "identity"] {
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        Stage::new().refuses_unparsed(bytes, &[400, 501], "bad_request");
    }
}

#[test]
fn a_transfer_coding_on_http_1_0_is_refused() {
    let bytes = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    Stage::new().refuses_unparsed(bytes, &[400], "bad_request");
}

#[test]
fn a_malformed_chunk_never_completes_a_request() {
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcdef\r\n0\r\n\r\n",
    ] {
        let stage = Stage::new();
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let mut client = stage.send(bytes);
        if let Ok(response) = client.try_response() {
            assert_eq!(response.status, 400, "{}", response.head);
        }
        client.expect_closed();
        stage.backend_saw_nothing_else(0);
    }
}

#[test]
fn pipelined_requests_are_all_answered_in_order() {
    let stage = Stage::with(|request| Reply::ok(request.target()));
    let mut client = stage.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         GET /3 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n\
         GET /5 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    for target in ["/1", "/2", "/3", "/4", "/5"] {
        assert_eq!(client.response().text(), target);
    }
    let bodies: Vec<String> = stage
        .backend
        .requests()
        .iter()
        .map(|request| request.text())
        .collect();
    assert_eq!(bodies, ["", "hello", "", "ab", ""]);
}

#[test]
fn bytes_after_the_body_are_a_request_of_their_own() {
    let stage = Stage::new();
    let mut client = stage.send(
        "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET /second HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 200);
    let requests = stage.backend.requests();
    assert_eq!(requests[0].text(), "body");
    assert_eq!(requests[1].start_line(), "GET /second HTTP/1.1");
    stage.backend_saw_nothing_else(2);
}

#[test]
fn a_body_that_looks_like_a_request_stays_a_body() {
    let stage = Stage::new();
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let response = stage
        .evenkeel
        .connect()
        .request("POST", "/outer", &[], inner.as_bytes());
    assert_eq!(response.status, 200);
    assert_eq!(stage.backend.only_request().text(), inner);
    stage.backend_saw_nothing_else(1);
}

#[test]
fn a_get_with_a_body_is_framed_as_sent() {
    let stage = Stage::new();
    let mut client = stage.send("GET /g HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().status, 200);
    assert_eq!(stage.backend.only_request().text(), "body");
    stage.backend_saw_nothing_else(1);
}

#[test]
fn a_request_cut_in_its_body_is_never_completed() {
    let stage = Stage::new();
    let mut client =
        stage.send("POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this");
    client.finish();
    let _ = client.until_closed();
    stage.backend_saw_nothing_else(0);
}

#[test]
fn responses_with_a_body_forbidden_by_their_status_leave_the_connection_usable() {
    let stage = Stage::with(|request| match request.target() {
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n"),
        _ => Reply::ok("fine"),
    });
    let mut client = stage.evenkeel.connect();
    assert_eq!(client.get("/204").status, 204);
    assert_eq!(client.get("/304").status, 304);
    assert_eq!(client.request("HEAD", "/204", &[], b"").status, 204);
    assert_eq!(client.get("/after").text(), "fine");
}
