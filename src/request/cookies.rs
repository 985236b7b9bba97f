//! Cookies as the client sent them, without a jar: a decision needs one or two.

use http::header::{COOKIE, GetAll, HeaderMap, HeaderValue};

/// The cookies of a request, in order; see [`cookies`].
#[derive(Debug)]
pub struct Cookies<'r> {
    headers: http::header::ValueIter<'r, HeaderValue>,
    rest: &'r [u8],
}

/// Iterates over the name and value of each cookie in all `Cookie` headers
/// (HTTP/2 clients may split them, RFC 9113 section 8.2.3). Names are case
/// sensitive, quotes around a value are taken off, and pairs without `=` or
/// with bytes that are no UTF-8 are skipped. Allocates nothing.
#[must_use]
pub fn cookies(headers: &HeaderMap) -> Cookies<'_> {
    let all: GetAll<'_, HeaderValue> = headers.get_all(COOKIE);
    Cookies {
        headers: all.iter(),
        rest: &[],
    }
}

/// The first value of a cookie.
#[must_use]
pub fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    cookies(headers)
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

impl<'r> Iterator for Cookies<'r> {
    type Item = (&'r str, &'r str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                self.rest = self.headers.next()?.as_bytes();
            }
            let end = self.rest.iter().position(|&byte| byte == b';');
            let (piece, rest) = match end {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            if let Some(cookie) = parse(piece) {
                return Some(cookie);
            }
        }
    }
}

fn parse(piece: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(piece).ok()?.split_once('=')?;
    let value = value.trim_ascii();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    Some((name.trim_ascii(), unquoted.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn all_headers_and_pairs_are_seen() {
        let headers = headers(&[b"a=1; b=\"two\";c = 3 ", b"", b"a=4=5;; flag; d="]);
        let found: Vec<_> = cookies(&headers).collect();
        assert_eq!(
            found,
            [
                ("a", "1"),
                ("b", "two"),
                ("c", "3"),
                ("a", "4=5"),
                ("d", "")
            ]
        );
    }

    #[test]
    fn one_broken_cookie_does_not_hide_the_others() {
        let headers = headers(&[b"a=\xff; b=2"]);
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), [("b", "2")]);
    }

    #[test]
    fn no_header_no_cookies() {
        assert_eq!(cookies(&HeaderMap::new()).count(), 0);
    }
}
