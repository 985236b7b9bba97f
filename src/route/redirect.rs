//! Where a redirect sends the client.

use crate::config::RedirectTarget;
use crate::request::Facts;

/// The value of `Location`.
///
/// What the target leaves out is left out here too where a relative reference
/// (RFC 3986 section 4.2) says the same: without scheme and host the client
/// stays where it is, so no port or scheme behind another proxy has to be
/// guessed. A target with a scheme alone keeps the request's host and drops its
/// port, which belonged to the other scheme. The request's query is kept unless
/// the target's path has its own.
#[must_use]
pub fn location(target: &RedirectTarget, facts: &Facts<'_>) -> String {
    let host = match (&target.host, &target.scheme) {
        (Some(host), _) => host.as_str(),
        (None, Some(_)) => facts.host,
        (None, None) => "",
    };
    let path = target.path.as_deref().unwrap_or(facts.path);
    let mut location = String::with_capacity(host.len() + path.len() + 16);
    if !host.is_empty() {
        if let Some(scheme) = &target.scheme {
            location.push_str(scheme);
            location.push(':');
        }
        location.push_str("//");
        location.push_str(host);
    }
    if !path.starts_with('/') {
        location.push('/');
    }
    location.push_str(path);
    if let (Some(query), false) = (facts.query, path.contains('?')) {
        location.push('?');
        location.push_str(query);
    }
    location
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[track_caller]
    fn goes_to(scheme: &str, host: &str, path: &str, query: Option<&str>, wanted: &str) {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let target = RedirectTarget {
            scheme: part(scheme),
            host: part(host),
            path: part(path),
        };
        let facts = Facts {
            listener: 0,
            method: &Method::GET,
            host: "example.com",
            path: "/old/path",
            query,
            headers: &HeaderMap::new(),
            client: [127, 0, 0, 1].into(),
        };
        assert_eq!(location(&target, &facts), wanted);
    }

    #[test]
    fn what_the_target_leaves_out_stays() {
        goes_to(
            "https",
            "",
            "",
            Some("a=1"),
            "https://example.com/old/path?a=1",
        );
        goes_to("", "new.example", "", None, "//new.example/old/path");
        goes_to(
            "https",
            "new.example:8443",
            "/x",
            None,
            "https://new.example:8443/x",
        );
        goes_to("", "", "/x", Some("a=1"), "/x?a=1");
        goes_to("", "", "x", None, "/x");
    }

    #[test]
    fn a_query_in_the_target_replaces_the_requests() {
        goes_to("", "", "/x?b=2", Some("a=1"), "/x?b=2");
        goes_to("", "", "/x?", Some("a=1"), "/x?");
    }

    #[test]
    fn without_any_host_the_redirect_is_relative() {
        let target = RedirectTarget {
            scheme: Some("https".to_owned()),
            ..RedirectTarget::default()
        };
        let facts = Facts {
            listener: 0,
            method: &Method::GET,
            host: "",
            path: "/a",
            query: None,
            headers: &HeaderMap::new(),
            client: [127, 0, 0, 1].into(),
        };
        assert_eq!(location(&target, &facts), "/a");
    }
}
