//! What cannot be explained is refused with a word on what would be right.

use super::get;
use crate::support::{Backend, Client, Setup};

#[test]
fn what_describes_no_request_is_refused_with_a_hint() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("").start();
    let many = "&header=a:b".repeat(257);
    for (query, says) in [
        ("explain", "`url` is missing"),
        ("explain?method=GET", "`url` is missing"),
        ("explain?url=ftp://a/", "`ftp://a/` is no URL"),
        ("explain?url=%00", "is no URL"),
        ("explain?url=/&method=G%20T", "`G T` is no method"),
        ("explain?url=/&header=none", "`none` is no header"),
        ("explain?url=/&header=a:b%0D%0Ac:d", "is no header"),
        ("explain?url=/&header=%FF:c", "is no header"),
        ("explain?url=/&client=me", "`me` is no IP address"),
        ("explain?url=/&listener=x", "there is no listener `x`"),
        ("explain?url=/&url=/", "`url` is given twice"),
        ("explain?url=/&host=a", "no query parameter `host`"),
        (&format!("explain?url=/{many}"), "too many headers"),
        ("decisions?n=0", "`n` is out of bounds"),
        ("decisions?n=257", "`n` is out of bounds"),
        ("decisions?n=-1", "`n` is out of bounds"),
        ("decisions?n=many", "`n` is out of bounds"),
        ("decisions?m=1", "other than `n`"),
    ] {
        let (status, body) = get(evenkeel.admin(), &format!("/api/v1/{query}"));
        assert_eq!(status, 400, "{query}: {body}");
        assert_eq!(body["code"], "invalid_request", "{query}: {body}");
        let message = body["message"].as_str().expect("a message");
        assert!(message.contains(says), "{query}: {body}");
        let hint = body["hint"].as_str().expect("a hint");
        assert!(!hint.is_empty(), "{query}: {body}");
    }
}

#[test]
fn both_calls_need_the_token_and_are_only_read() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("token: secret").start();
    let admin = evenkeel.admin();
    for path in ["/api/v1/explain?url=/", "/api/v1/decisions"] {
        let (status, body) = get(admin, path);
        assert_eq!((status, &body["code"]), (401, &"unauthorized".into()));
        let headers = [("Authorization", "Bearer secret")];
        let answer = Client::connect(admin).request("GET", path, &headers, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = Client::connect(admin).request("POST", path, &headers, b"");
        assert_eq!(answer.status, 405, "{}", answer.text());
    }
}
