//! Addresses of other servers, spoken to over HTTP.

use super::form::{Format, nothing_more};
use super::http::Target;
use super::network::Authority;

/// Where a server is, and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct HttpUrl;

impl Format for HttpUrl {
    type Value = String;
    const NAME: &'static str = "http-url";
    const EXPECTED: &'static str = "an address such as https://hooks.example.org/scale";
    const PATTERN: Option<&'static str> = Some("^https?://[^@]+$");

    fn parse(text: &str) -> Result<String, String> {
        let (origin, target) = split(text)?;
        if !target.is_empty() {
            Target::parse(target)?;
        }
        Ok(format!("{origin}{target}"))
    }
}

/// Where a server's API begins; without a slash at the end.
#[derive(Clone, Debug)]
pub(crate) struct BaseUrl;

impl Format for BaseUrl {
    type Value = String;
    const NAME: &'static str = "http-base";
    const EXPECTED: &'static str = "an address such as http://prometheus:9090";
    const PATTERN: Option<&'static str> = Some("^https?://[^@?]+$");

    fn parse(text: &str) -> Result<String, String> {
        let url = HttpUrl::parse(text)?;
        if url.contains('?') {
            return Err("a query does not belong here".to_owned());
        }
        Ok(url.trim_end_matches('/').to_owned())
    }
}

/// Scheme and authority, the host in lower case, and the rest.
fn split(text: &str) -> Result<(String, &str), String> {
    let Some((scheme @ ("http" | "https"), rest)) = text.split_once("://") else {
        return Err("it begins with http:// or https://".to_owned());
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if text.contains('@') {
        return Err("a name and a password do not belong here".to_owned());
    }
    if authority.is_empty() {
        return nothing_more();
    }
    let authority = Authority::parse(authority)?;
    Ok((format!("{scheme}://{authority}"), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_a_host_and_perhaps_more() {
        for (text, url) in [
            ("http://Prometheus:9090", "http://prometheus:9090"),
            ("https://[::0:1]/a/b?c=d", "https://[::1]/a/b?c=d"),
            ("http://10.0.0.1/", "http://10.0.0.1/"),
        ] {
            assert_eq!(HttpUrl::parse(text).as_deref(), Ok(url));
        }
        for text in [
            "",
            "http://",
            "http:///a",
            "ftp://a",
            "a:9090",
            "http://a:0",
            "http://a:b",
            "http://u:p@a",
            "http://a#b",
            "http://a/#b",
            "http://a?b",
            "http://a/ b",
            "HTTP://a",
        ] {
            assert!(HttpUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_base_ends_without_a_slash_and_has_no_query() {
        for (text, url) in [
            ("http://a:9090/", "http://a:9090"),
            ("http://a/prometheus//", "http://a/prometheus"),
            ("https://a", "https://a"),
        ] {
            assert_eq!(BaseUrl::parse(text).as_deref(), Ok(url));
        }
        assert!(BaseUrl::parse("http://a/b?c=d").is_err());
    }

    #[test]
    fn what_parses_matches_the_pattern_that_editors_use() {
        let matches = |pattern: Option<&str>, text: &str| {
            regex::Regex::new(pattern.unwrap()).unwrap().is_match(text)
        };
        for text in ["http://a:9090/", "https://a", "http://a/b?c=d"] {
            assert!(HttpUrl::parse(text).is_ok() && matches(HttpUrl::PATTERN, text));
            assert!(BaseUrl::parse(text).is_err() || matches(BaseUrl::PATTERN, text));
        }
    }
}
