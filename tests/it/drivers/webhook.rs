//! A size that is told over HTTP.

use std::time::Duration;

use evenkeel::config::{self, Secret};
use evenkeel::control::autoscale::driver::Sizer;
use serde_json::Value;

use super::{overdue, sizer};
use crate::support::{Backend, Reply};

fn told(backend: &Backend) -> Box<dyn Sizer> {
    sizer(&config::Driver::Webhook {
        url: format!("http://{}/scale?to=web", backend.address()),
        secret: Secret::new("s3cret".to_owned()),
        timeout: Duration::from_secs(30),
    })
}

#[tokio::test]
async fn the_size_is_posted_with_a_signature() {
    let backend = Backend::start(|_| Reply::status(204, &[], ""));
    let sizer = told(&backend);
    assert_eq!(sizer.size().await, Ok(None), "it cannot be asked");
    sizer.resize(2, 5).await.expect("it is taken");
    let requests = backend.requests();
    let [request] = requests.as_slice() else {
        panic!("one request, not {}", requests.len());
    };
    assert_eq!(
        request.start_line(),
        "POST /scale?to=web HTTP/1.1\r\n".trim_end()
    );
    assert_eq!(
        request.header("host"),
        Some(backend.address().to_string().as_str())
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(body["upstream"], "main");
    assert_eq!(
        (body["from"].as_u64(), body["size"].as_u64()),
        (Some(2), Some(5))
    );
    let at = request.header("evenkeel-timestamp").expect("it is signed");
    assert_eq!(body["at"].to_string(), at);
    let signature = request.header("evenkeel-signature").expect("it is signed");
    assert_eq!(signature.len(), "sha256=".len() + 64, "{signature}");
}

#[tokio::test]
async fn whatever_is_no_success_is_an_error() {
    for (status, is_temporary) in [(302, false), (401, false), (429, true), (503, true)] {
        let location = [("Location", "http://127.0.0.1:1/elsewhere")];
        let backend = Backend::start(move |_| Reply::status(status, &location, "not now"));
        let error = told(&backend)
            .resize(1, 2)
            .await
            .expect_err("it is refused");
        assert_eq!(error.label(), "refused");
        assert!(error.to_string().contains("not now"), "{error}");
        assert_eq!(error.is_temporary(), is_temporary, "{error}");
        assert_eq!(backend.count(), 1, "it is told once");
    }
    let backend = Backend::start(|_| Reply::close());
    let error = told(&backend)
        .resize(1, 2)
        .await
        .expect_err("nothing is answered");
    assert_eq!(error.label(), "unreachable");
    let backend = Backend::start(|_| Reply::ok("x".repeat(100_000)));
    let error = told(&backend)
        .resize(1, 2)
        .await
        .expect_err("it is too long");
    assert_eq!(error.label(), "unreachable", "{error}");
    let backend = Backend::start(|_| Reply::hang());
    let sizer = told(&backend);
    let error = overdue(sizer.resize(1, 2), || backend.count() > 0).await;
    assert_eq!(error.expect_err("it hangs").label(), "timeout");
}
