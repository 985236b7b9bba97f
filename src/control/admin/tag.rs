//! `ETag` and `If-Match`: a write that is made for what the writer has seen.
//!
//! A tag stands for what a write can change, not for the bytes of an answer:
//! those hold rates and times and differ with every look, and a tag that did so
//! too would never match.

use std::hash::{Hash as _, Hasher as _};

use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use xxhash_rust::xxh3::Xxh3;

use super::answer::Refused;
use crate::control::reconcile::{Commands, Tag};

/// Tags in one `If-Match`; more are refused.
const MAX_TAGS: usize = 16;

/// The answer with its tag.
pub(super) fn tagged(mut response: Response, tag: Tag) -> Response {
    let text = format!("\"{:016x}\"", tag.0);
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// The tag of a list.
pub(super) fn of_all(tags: impl IntoIterator<Item = Tag>) -> Tag {
    let mut hash = Xxh3::new();
    for tag in tags {
        tag.0.hash(&mut hash);
    }
    Tag(hash.finish())
}

/// The commands that a request may give: with `If-Match`, only while what it is about has one of
/// the tags there.
pub(super) fn commands(commands: &Commands, headers: &HeaderMap) -> Result<Commands, Refused> {
    let Some(tags) = expected(headers)? else {
        return Ok(commands.clone());
    };
    Ok(commands.provided(tags))
}

/// What `If-Match` asks for; `None` where anything will do.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<Vec<Tag>>, Refused> {
    let mut all = headers.get_all(IF_MATCH).iter().peekable();
    if all.peek().is_none() {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for value in all {
        let text = value.to_str().map_err(|_| malformed())?;
        if text.trim() == "*" {
            return Ok(None);
        }
        for one in text.split(',').map(str::trim) {
            if tags.len() == MAX_TAGS {
                return Err(malformed());
            }
            tags.extend(parse(one)?);
        }
    }
    Ok(Some(tags))
}

/// A tag as it was given out; nothing for one that never was.
fn parse(text: &str) -> Result<Option<Tag>, Refused> {
    let opaque = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|opaque| !opaque.contains('"'));
    if let Some(opaque) = opaque {
        return Ok(u64::from_str_radix(opaque, 16).ok().map(Tag));
    }
    // A weak tag never matches here (RFC 9110, 13.1.1), but it is one.
    if text.starts_with("W/\"") && text.ends_with('"') {
        return Ok(None);
    }
    Err(malformed())
}

fn malformed() -> Refused {
    let hint =
        format!("an `ETag` as it was given out, quotes included, at most {MAX_TAGS} of them");
    Refused::invalid("`If-Match` is not understood", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Vec<u64>>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).expect("visible"));
        }
        let tags = expected(&headers).map_err(|_| ())?;
        Ok(tags.map(|tags| tags.into_iter().map(|tag| tag.0).collect()))
    }

    #[test]
    fn a_tag_comes_back_as_it_was_given_out() {
        let response = tagged(Response::default(), Tag(0xab));
        let text = response.headers()[ETAG].to_str().expect("ASCII");
        assert_eq!(text, "\"00000000000000ab\"");
        assert_eq!(read(&[text]), Ok(Some(vec![0xab])));
    }

    #[test]
    fn if_match_is_read_as_the_standard_says() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(None));
        assert_eq!(read(&["\"1\", \"2\"", "\"3\""]), Ok(Some(vec![1, 2, 3])));
        assert_eq!(
            read(&["W/\"1\""]),
            Ok(Some(vec![])),
            "a weak one never matches"
        );
        assert_eq!(read(&["\"foreign\""]), Ok(Some(vec![])));
        for wrong in ["", "1", "\"1", "\"1\" \"2\"", "W/1"] {
            assert_eq!(read(&[wrong]), Err(()), "{wrong}");
        }
        let many = vec!["\"1\""; MAX_TAGS + 1].join(",");
        assert_eq!(read(&[&many]), Err(()));
    }
}
