//! Query parameters as they stand in the request, decoded only to be compared.
//!
//! The format is `application/x-www-form-urlencoded`: `&` separates, `+` is a
//! space, a broken escape stands for itself. `;` separates nothing, because
//! backends disagree about it.

use std::borrow::Cow;

use super::escape::decode;

/// The parameters of a query string, in order; see [`query`].
#[derive(Clone, Debug)]
pub struct Query<'q> {
    rest: &'q str,
}

/// Iterates over the name and value of each parameter of `query`, which is the
/// part of the request target after the `?`. A parameter without `=` has an
/// empty value. Allocates nothing.
#[must_use]
pub fn query(query: Option<&str>) -> Query<'_> {
    Query {
        rest: query.unwrap_or_default(),
    }
}

impl<'q> Iterator for Query<'q> {
    type Item = (Encoded<'q>, Encoded<'q>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = self.rest.split_once('&').unwrap_or((self.rest, ""));
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                return Some((Encoded(name), Encoded(value)));
            }
        }
        None
    }
}

/// A name or value in its encoded form.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'q>(&'q str);

impl<'q> Encoded<'q> {
    /// Whether it decodes to `text`. Allocates nothing.
    #[must_use]
    pub fn is(self, text: &str) -> bool {
        if self.is_plain() {
            self.0 == text
        } else {
            self.bytes().eq(text.bytes())
        }
    }

    /// The decoded text; borrowed unless something was encoded. Bytes that are
    /// no UTF-8 become U+FFFD.
    #[must_use]
    pub fn decoded(self) -> Cow<'q, str> {
        if self.is_plain() {
            return Cow::Borrowed(self.0);
        }
        let bytes: Vec<u8> = self.bytes().collect();
        Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn is_plain(self) -> bool {
        !self.0.bytes().any(|byte| matches!(byte, b'%' | b'+'))
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        let mut rest = self.0.as_bytes();
        std::iter::from_fn(move || {
            let (byte, taken) = match *rest {
                [] => return None,
                [b'+', ..] => (b' ', 1),
                [b'%', high, low, ..] => match decode(high, low) {
                    Some(decoded) => (decoded, 3),
                    None => (b'%', 1),
                },
                [byte, ..] => (byte, 1),
            };
            rest = &rest[taken..];
            Some(byte)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        query(Some(text))
            .map(|(name, value)| (name.decoded().into_owned(), value.decoded().into_owned()))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn parameters_come_in_order_with_empty_and_repeated_ones() {
        assert_eq!(
            pairs("a=1&&b&a=2&c=&=x&d=1=2"),
            [
                pair("a", "1"),
                pair("b", ""),
                pair("a", "2"),
                pair("c", ""),
                pair("", "x"),
                pair("d", "1=2"),
            ]
        );
        assert_eq!(query(None).count(), 0);
        assert_eq!(query(Some("")).count(), 0);
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(pairs("%61+b=%26%3d"), [pair("a b", "&=")]);
        assert_eq!(
            pairs("a=100%&b=%zz&c=%"),
            [pair("a", "100%"), pair("b", "%zz"), pair("c", "%"),]
        );
        assert_eq!(pairs("a=%ff"), [pair("a", "\u{fffd}")]);
        assert_eq!(pairs("a;b=1"), [pair("a;b", "1")]);
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(Encoded("abc").decoded(), Cow::Borrowed("abc")));
    }

    proptest! {
        #[test]
        fn comparing_agrees_with_decoding(encoded in "([a-c+%é]|%[0-9a-f]{2}){0,8}", other in "[a-c+% é]{0,8}") {
            let decoded = Encoded(&encoded).decoded();
            if !decoded.contains('\u{fffd}') {
                prop_assert!(Encoded(&encoded).is(&decoded));
            }
            prop_assert_eq!(Encoded(&encoded).is(&other), decoded == other.as_str());
        }
    }
}
