//! Tests of what is sent; `tests/it/drivers` sends it.

use http_body_util::BodyExt as _;

use super::*;

fn webhook(url: &str) -> Result<Webhook, DriverError> {
    let secret = Secret::new("it is a secret".to_owned());
    Webhook::new(url, secret, Duration::from_secs(20), "web".to_owned())
}

#[tokio::test]
async fn the_signature_covers_the_time_and_the_body() {
    let webhook = webhook("http://localhost/").expect("an address");
    let request = webhook.request(2, 3, 1_700_000_000).expect("a request");
    let header = |name: &str| request.headers()[name].to_str().expect("a text").to_owned();
    assert_eq!(header(TIMESTAMP), "1700000000");
    // printf '1700000000.{...}' | openssl dgst -sha256 -hmac 'it is a secret'
    assert_eq!(
        header(SIGNATURE),
        "sha256=e1e9c4b483909d7d333cdea31b992f2e0bb233531d5f3b14c134930a2e759729"
    );
    let body = request.into_body().collect().await.expect("it is there");
    assert_eq!(
        body.to_bytes(),
        r#"{"upstream":"web","size":3,"from":2,"at":1700000000}"#
    );
    let other = |at, body: &[u8]| signature(&Secret::new("s".to_owned()), at, body);
    assert_ne!(other(1, b"2"), other(2, b"2"));
    assert_ne!(other(1, b"2"), other(1, b"3"));
    assert_ne!(
        other(1, b"2"),
        signature(&Secret::new("t".to_owned()), 1, b"2")
    );
}

#[test]
fn an_address_that_is_none_is_refused() {
    for (url, says) in [
        ("ftp://localhost/", "neither `http://` nor `https://`"),
        ("/path", "no host"),
        ("http://user:hunter2@localhost/", "must not hold a password"),
        ("http://a b/", "invalid"),
    ] {
        let error = webhook(url).err().expect("refused").to_string();
        assert!(error.contains(says), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let webhook = webhook("http://[::1]:81?a=b").expect("an address");
    assert_eq!(webhook.place.to_string(), "[::1]:81");
    assert_eq!(webhook.path, "/?a=b");
}
