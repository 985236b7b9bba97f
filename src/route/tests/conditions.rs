use super::*;
use crate::config::ValuePattern;

fn exact(value: &str) -> ValuePattern {
    ValuePattern::Exact(value.to_owned())
}

fn regex(pattern: &str) -> ValuePattern {
    ValuePattern::Regex(Regex::new(pattern).unwrap())
}

#[track_caller]
fn holds(matches: &Match, request: &Request) {
    assert_eq!(found(std::slice::from_ref(matches), request), Some(0));
}

#[track_caller]
fn fails(matches: &Match, request: &Request) {
    assert_eq!(found(std::slice::from_ref(matches), request), None);
}

fn get(target: &str) -> Request {
    Request::get("h", target)
}

#[test]
fn methods() {
    let matches = Match {
        methods: vec![Method::POST, Method::PUT],
        ..Match::default()
    };
    let mut request = get("/");
    fails(&matches, &request);
    request.method = Method::PUT;
    holds(&matches, &request);
}

#[test]
fn listeners() {
    let matches = Match {
        listeners: vec![1, 3],
        ..Match::default()
    };
    let mut request = get("/");
    fails(&matches, &request);
    request.listener = 3;
    holds(&matches, &request);
}

#[test]
fn content_type() {
    let matches = Match {
        content_type: Some("application/json".to_owned()),
        ..Match::default()
    };
    for value in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;",
    ] {
        holds(&matches, &get("/").header("content-type", value));
    }
    for value in ["application/json5", "text/plain; application/json", ""] {
        fails(&matches, &get("/").header("content-type", value));
    }
    fails(&matches, &get("/"));
}

#[test]
fn headers() {
    let condition = |pattern| Match {
        headers: vec![(HeaderName::from_static("x-v"), pattern)],
        ..Match::default()
    };
    let twice = get("/").header("x-v", "1.0").header("X-V", "2.3");
    holds(&condition(exact("1.0")), &twice);
    holds(&condition(exact("2.3")), &twice);
    fails(&condition(exact("2")), &twice);
    holds(&condition(regex(r"^2\.")), &twice);
    fails(&condition(regex(r"^3\.")), &twice);
    holds(&condition(ValuePattern::Present(true)), &twice);
    fails(&condition(ValuePattern::Present(false)), &twice);
    fails(&condition(exact("")), &get("/"));
    fails(&condition(regex("")), &get("/"));
    fails(&condition(ValuePattern::Present(true)), &get("/"));
    holds(&condition(ValuePattern::Present(false)), &get("/"));
}

#[test]
fn query_parameters() {
    let condition = |pattern| Match {
        query: vec![("a b".to_owned(), pattern)],
        ..Match::default()
    };
    let twice = get("/?x&a+b=1&%61%20b=%32%26");
    holds(&condition(exact("1")), &twice);
    holds(&condition(exact("2&")), &twice);
    fails(&condition(exact("2")), &twice);
    holds(&condition(regex("^2&$")), &twice);
    fails(&condition(regex("3")), &twice);
    fails(&condition(ValuePattern::Present(false)), &twice);
    holds(&condition(exact("")), &get("/?a+b"));
    holds(&condition(ValuePattern::Present(true)), &get("/?a+b"));
    fails(&condition(ValuePattern::Present(true)), &get("/?a"));
    holds(&condition(ValuePattern::Present(false)), &get("/"));
}

#[test]
fn cookies() {
    let condition = |pattern| Match {
        cookies: vec![("group".to_owned(), pattern)],
        ..Match::default()
    };
    let twice = get("/")
        .header("cookie", "a=1; group=b")
        .header("cookie", "group=\"c\"");
    holds(&condition(exact("b")), &twice);
    holds(&condition(exact("c")), &twice);
    fails(&condition(exact("1")), &twice);
    holds(&condition(regex("^[bc]$")), &twice);
    fails(&condition(ValuePattern::Present(false)), &twice);
    let other = get("/").header("cookie", "Group=b; groups=b");
    fails(&condition(ValuePattern::Present(true)), &other);
    holds(&condition(ValuePattern::Present(false)), &other);
}

#[test]
fn all_conditions_must_hold() {
    let matches = Match {
        headers: vec![
            (HeaderName::from_static("x-a"), exact("1")),
            (HeaderName::from_static("x-b"), exact("2")),
        ],
        query: vec![("q".to_owned(), exact("3"))],
        ..Match::default()
    };
    let request = get("/?q=3").header("x-a", "1");
    fails(&matches, &request);
    let request = request.header("x-b", "2");
    holds(&matches, &request);
    let other_query = Request {
        query: Some("q=4".to_owned()),
        ..request
    };
    fails(&matches, &other_query);
}

#[test]
fn a_path_regex_matches_anywhere() {
    let matches = place("", r"~ \.(png|jpg)$");
    holds(&matches, &get("/a/b.png"));
    fails(&matches, &get("/a/b.png/c"));
}
