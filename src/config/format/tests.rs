use std::time::Duration;

use super::*;
use crate::config::run::{HostPattern, LogPath};
use crate::config::units::Percent;

fn reason<F: Format>(text: &str) -> String {
    match F::parse(text) {
        Ok(value) => panic!("{text} is taken for {value:?}"),
        Err(reason) => reason,
    }
}

#[test]
fn durations() {
    for (text, micros) in [
        ("0s", 0),
        ("5us", 5),
        ("250ms", 250_000),
        ("1h30m", 5_400_000_000),
        ("400d", 34_560_000_000_000),
    ] {
        assert_eq!(
            DurationText::parse(text),
            Ok(Duration::from_micros(micros)),
            "{text}"
        );
    }
    assert_eq!(reason::<DurationText>("5"), "the unit is missing, as in 5s");
    assert_eq!(
        reason::<DurationText>("99999999999999999999s"),
        "the number is too large"
    );
    assert_eq!(reason::<DurationText>("9999999999999999d"), "too long");
    for text in ["", "s", "-5s", "5 s", "5S"] {
        reason::<DurationText>(text);
    }
}

#[test]
fn sizes_and_shares() {
    assert_eq!(SizeText::parse("32KiB"), Ok(32_768));
    assert_eq!(SizeText::parse("1MB"), Ok(1_000_000));
    assert_eq!(SizeLimit::parse("unlimited"), Ok(None));
    assert_eq!(
        reason::<SizeText>("99999999999GiB"),
        "the number is too large"
    );
    assert_eq!(PercentText::parse("12.5%").map(Percent::ratio), Ok(0.125));
    for text in ["%", ".%", "1.2.3%", "100.1%", "-1%", "+1%", "1e1%"] {
        reason::<PercentText>(text);
    }
}

#[test]
fn backend_addresses_come_in_one_form() {
    for (text, address) in [
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("App.Internal:80", "app.internal:80"),
        ("[::0001]:80", "[::1]:80"),
        ("my_app:8080", "my_app:8080"),
    ] {
        assert_eq!(BackendAddress::parse(text).as_deref(), Ok(address));
    }
    for text in [
        ":80", "a..b:80", "a:+80", "a:", "[::1]", "[a]:80", "a b:80", "1.2.3:80",
    ] {
        reason::<BackendAddress>(text);
    }
}

#[test]
fn hosts_are_compared_in_lower_case() {
    let exact = |host: &str| Ok(HostPattern::Exact(host.to_owned()));
    assert_eq!(
        HostText::parse("API.Example.org."),
        exact("api.example.org")
    );
    assert_eq!(HostText::parse("[::0:1]"), exact("[::1]"));
    assert_eq!(
        HostText::parse("*.Example.org"),
        Ok(HostPattern::Suffix(".example.org".to_owned()))
    );
    for text in ["", "*.", "*a.org", "a.org/x", "-a.org"] {
        reason::<HostText>(text);
    }
}

#[test]
fn paths_are_in_normal_form() {
    for text in ["/", "/a/b/", "/a%2Fb", "/~a;p=1"] {
        assert_eq!(UrlPath::parse(text).as_deref(), Ok(text));
    }
    for text in [
        "", "a", "/a//b", "/./a", "/a?b", "/a#b", "/%7e", "/%2f", "/%2", "/é", "/a|b",
    ] {
        reason::<UrlPath>(text);
    }
    assert_eq!(Target::parse("/a?b=c").as_deref(), Ok("/a?b=c"));
}

#[test]
fn authorities_have_a_port_or_not() {
    for text in [
        "example.org",
        "example.org:8443",
        "[::1]",
        "[::1]:80",
        "10.0.0.1",
    ] {
        assert_eq!(Authority::parse(text).as_deref(), Ok(text));
    }
    for text in ["", "a/b", "http://a", "a:b", "a:0"] {
        reason::<Authority>(text);
    }
}

#[test]
fn log_targets() {
    assert_eq!(LogTarget::parse("stdout"), Ok(LogPath::Stdout));
    assert_eq!(LogTarget::parse("stderr"), Ok(LogPath::Stderr));
    assert_eq!(LogTarget::parse("/a"), Ok(LogPath::File("/a".into())));
    reason::<LogTarget>("");
}

#[test]
fn what_parses_matches_the_pattern_that_editors_use() {
    fn agree<F: Format>(texts: &[&str]) {
        let pattern = regex::Regex::new(F::PATTERN.unwrap()).unwrap();
        for text in texts {
            assert!(F::parse(text).is_err() || pattern.is_match(text), "{text}");
        }
    }
    let texts = [
        "5s",
        "1h30m",
        "5",
        "32KiB",
        "0B",
        "unlimited",
        "20%",
        "1.%",
        "a.b-c_d",
        "a b",
        "",
    ];
    agree::<DurationText>(&texts);
    agree::<SizeText>(&texts);
    agree::<SizeLimit>(&texts);
    agree::<PercentText>(&texts);
    agree::<Name>(&texts);
}
