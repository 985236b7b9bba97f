//! Parts of a request: paths, headers, cookies, methods, and expressions over them.

use std::ops::RangeInclusive;

use http::{HeaderName, HeaderValue, Method};
use regex::Regex;

use super::form::{Format, nothing_more};

/// Bytes a compiled regular expression may take.
const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Bytes of the longest regular expression.
const MAX_REGEX: usize = 4096;
/// Bytes of the longest path.
const MAX_PATH: usize = 8192;
/// Bytes of the longest cookie name.
const MAX_COOKIE_NAME: usize = 64;

/// A path to compare or to send.
#[derive(Clone, Debug)]
pub(crate) struct UrlPath;

impl Format for UrlPath {
    type Value = String;
    const NAME: &'static str = "url-path";
    const EXPECTED: &'static str = "a path that starts with `/`, such as /api";

    fn parse(text: &str) -> Result<String, String> {
        path_reason(text)?;
        if text.contains('?') {
            return Err("the query does not belong to the path".to_owned());
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("`.` and `..` are resolved before paths are compared".to_owned());
        }
        if text.contains("//") {
            return Err("repeated slashes are merged before paths are compared".to_owned());
        }
        if let Some(bad) = text.chars().find(|c| "\"<>[\\]^`{|}".contains(*c)) {
            return Err(format!("`{bad}` must be percent-encoded"));
        }
        escapes_are_normal(text)?;
        Ok(text.to_owned())
    }
}

/// A path with or without a query.
#[derive(Clone, Debug)]
pub(crate) struct Target;

impl Format for Target {
    type Value = String;
    const NAME: &'static str = "url-target";
    const EXPECTED: &'static str = "a path that starts with `/`, such as /new?from=old";

    fn parse(text: &str) -> Result<String, String> {
        path_reason(text)?;
        Ok(text.to_owned())
    }
}

/// Requests' paths have unreserved characters decoded and other escapes in upper case.
fn escapes_are_normal(text: &str) -> Result<(), String> {
    for escape in text.split('%').skip(1) {
        let digits = escape.get(..2).unwrap_or(escape);
        let Some(byte) = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() == 2)
        else {
            return Err("`%` must be followed by two hexadecimal digits".to_owned());
        };
        let character = char::from(byte);
        if character.is_ascii_alphanumeric() || "-._~".contains(character) {
            return Err(format!("write `{character}` instead of `%{digits}`"));
        }
        if digits != digits.to_ascii_uppercase() {
            return Err(format!(
                "write `%{}`; escapes are in upper case",
                digits.to_ascii_uppercase()
            ));
        }
    }
    Ok(())
}

fn path_reason(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return nothing_more();
    }
    if text.len() > MAX_PATH {
        return Err(format!("longer than {MAX_PATH} bytes"));
    }
    if text.contains('#') {
        return Err("a fragment never reaches a server".to_owned());
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!("{bad:?} must be percent-encoded"));
    }
    Ok(())
}

/// A regular expression.
#[derive(Clone, Debug)]
pub(crate) struct RegexText;

impl Format for RegexText {
    type Value = Regex;
    const NAME: &'static str = "regex";
    const EXPECTED: &'static str = "a regular expression";

    fn parse(text: &str) -> Result<Regex, String> {
        if text.len() > MAX_REGEX {
            return Err(format!("longer than {MAX_REGEX} bytes"));
        }
        regex::RegexBuilder::new(text)
            .size_limit(REGEX_SIZE_LIMIT)
            .build()
            .map_err(|error| regex_reason(&error))
    }
}

/// The last line of the error: the others repeat the expression and point into it.
fn regex_reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    last.trim_end_matches('.').to_owned()
}

/// A header's name.
#[derive(Clone, Debug)]
pub(crate) struct HeaderNameText;

impl Format for HeaderNameText {
    type Value = HeaderName;
    const NAME: &'static str = "header-name";
    const EXPECTED: &'static str = "a header name such as X-Version";

    fn parse(text: &str) -> Result<HeaderName, String> {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| String::new())
    }
}

/// A header's value.
#[derive(Clone, Debug)]
pub(crate) struct HeaderValueText;

impl Format for HeaderValueText {
    type Value = HeaderValue;
    const NAME: &'static str = "header-value";
    const EXPECTED: &'static str = "a header value, text without control characters";

    fn parse(text: &str) -> Result<HeaderValue, String> {
        HeaderValue::from_str(text).map_err(|_| String::new())
    }
}

/// A cookie's name (a token, RFC 9110, 5.6.2).
#[derive(Clone, Debug)]
pub(crate) struct Token;

impl Format for Token {
    type Value = String;
    const NAME: &'static str = "token";
    const EXPECTED: &'static str = "a cookie name of letters, digits, `-`, `_` and the like";

    fn parse(text: &str) -> Result<String, String> {
        if text.is_empty() || text.len() > MAX_COOKIE_NAME || !text.chars().all(is_token_char) {
            return nothing_more();
        }
        Ok(text.to_owned())
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A method.
#[derive(Clone, Debug)]
pub(crate) struct MethodText;

impl Format for MethodText {
    type Value = Method;
    const NAME: &'static str = "method";
    const EXPECTED: &'static str = "a method such as GET or POST";

    fn parse(text: &str) -> Result<Method, String> {
        if text.chars().any(|c| c.is_ascii_lowercase()) {
            return Err("methods are written in upper case".to_owned());
        }
        if matches!(text, "TRACE" | "CONNECT") {
            return Err("TRACE and CONNECT are never forwarded".to_owned());
        }
        Method::from_bytes(text.as_bytes()).map_err(|_| String::new())
    }
}

/// A media type without parameters.
#[derive(Clone, Debug)]
pub(crate) struct MediaType;

impl Format for MediaType {
    type Value = String;
    const NAME: &'static str = "media-type";
    const EXPECTED: &'static str = "a media type such as application/json";

    fn parse(text: &str) -> Result<String, String> {
        if text.contains(';') {
            return Err("parameters are ignored and do not belong here".to_owned());
        }
        let token = |part: &str| !part.is_empty() && part.chars().all(is_token_char);
        match text.split_once('/') {
            Some((kind, subtype)) if token(kind) && token(subtype) => Ok(text.to_ascii_lowercase()),
            _ => nothing_more(),
        }
    }
}

/// A status, or a range of them.
#[derive(Clone, Debug)]
pub(crate) struct StatusRange;

impl Format for StatusRange {
    type Value = RangeInclusive<u16>;
    const NAME: &'static str = "status-range";
    const EXPECTED: &'static str = "a range of statuses such as 200-399";
    const PATTERN: Option<&'static str> = Some("^[2-5][0-9][0-9](-[2-5][0-9][0-9])?$");

    fn parse(text: &str) -> Result<RangeInclusive<u16>, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = status(first)?;
        let last = status(last)?;
        if first > last {
            return Err(format!("{first} is larger than {last}"));
        }
        Ok(first..=last)
    }
}

fn status(text: &str) -> Result<u16, String> {
    if text.len() != 3 || !text.chars().all(|c| c.is_ascii_digit()) {
        return nothing_more();
    }
    match text.parse() {
        Ok(status @ 200..=599) => Ok(status),
        _ => Err(format!("{text} is not between 200 and 599")),
    }
}
