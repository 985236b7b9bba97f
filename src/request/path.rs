//! One spelling for each path, so that a route, an access rule and a backend
//! cannot disagree about what was asked for.
//!
//! RFC 3986 section 6.2.2 gives the rules that keep a path's meaning; merging
//! slashes goes beyond it, because file systems and most frameworks do the same
//! and a rule on `/admin` must not be passed by `//admin`.
//!
//! What a backend might read differently than we do is refused, not repaired:
//!
//! - climbing above the root (`/../x`): no honest client sends it, since clients
//!   resolve dot segments before they send;
//! - a backslash: never legal in a path, and a slash to some servers;
//! - a dot segment hidden behind an encoded slash or backslash (`/a/..%2Fb`) or
//!   behind a path parameter (`/a/..;x/b`): servers that decode, or drop
//!   parameters, before they resolve would leave the tree the route is for.
//!
//! An encoded slash by itself is data and stays `%2F`.

use std::borrow::Cow;

use thiserror::Error;

use super::escape::decode;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadPath {
    /// It does not start with a slash; the `*` of `OPTIONS *` is no path either.
    #[error("the path does not start with '/'")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a '%' that two hexadecimal digits do not follow")]
    Escape,
    /// A control byte, space, backslash, `?`, `#` or an encoded NUL.
    #[error("the path has a character that is not allowed in paths")]
    Forbidden,
    /// More `..` than segments before them.
    #[error("the path climbs above the root")]
    AboveRoot,
    /// A dot segment that only some servers would see as one.
    #[error("the path hides a dot segment behind an encoded slash or a parameter")]
    HiddenDots,
}

/// The normal form of `raw`, the path of a request target without its query.
///
/// Dot segments are removed, repeated slashes merged, unreserved characters
/// decoded (a decoded `%2e` counts as a dot), remaining escapes written in upper
/// case, and characters that RFC 3986 does not allow in a path encoded. The
/// result is its own normal form. An empty path is `/`.
///
/// A path that is normal already comes back borrowed, after one scan.
pub fn normalize_path(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if raw.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    if !raw.starts_with('/') {
        return Err(BadPath::NotAbsolute);
    }
    if is_surely_normal(raw.as_bytes()) {
        return Ok(Cow::Borrowed(raw));
    }
    let normal = rebuild(raw)?;
    Ok(if normal == raw {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(normal)
    })
}

/// How a byte of a path is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stays, and is decoded where it is escaped.
    Unreserved,
    /// Stays as it was written: escaped or not makes a difference.
    Reserved,
    /// Starts an escape.
    Percent,
    /// Separates segments.
    Slash,
    /// Legal only in escaped form.
    Escape,
    /// Refused.
    Forbidden,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Escape; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = class_of(byte);
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn class_of(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Unreserved,
        b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@' => Class::Reserved,
        b'%' => Class::Percent,
        b'/' => Class::Slash,
        0..=b' ' | 0x7f | b'\\' | b'?' | b'#' => Class::Forbidden,
        _ => Class::Escape,
    }
}

/// Whether one look is enough to say that nothing changes. `false` is no
/// verdict: a name such as `..x` takes the long way and comes out unchanged.
/// An encoded slash starts a segment too, for the sake of hidden dots.
fn is_surely_normal(path: &[u8]) -> bool {
    let mut segment_starts = false;
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match CLASSES[usize::from(byte)] {
            Class::Slash if segment_starts => return false,
            Class::Slash => segment_starts = true,
            Class::Unreserved if segment_starts && byte == b'.' => {
                if !matches!(path.get(at + 1), Some(next) if next.is_ascii_alphanumeric()) {
                    return false;
                }
                segment_starts = false;
            }
            Class::Unreserved | Class::Reserved => segment_starts = false,
            Class::Percent => match canonical_escape(&path[at..]) {
                Some(decoded) => {
                    segment_starts = matches!(decoded, b'/' | b'\\');
                    at += 2;
                }
                None => return false,
            },
            Class::Escape | Class::Forbidden => return false,
        }
        at += 1;
    }
    true
}

/// The byte behind an escape that normalisation would leave as it is.
fn canonical_escape(rest: &[u8]) -> Option<u8> {
    let &[_, high, low, ..] = rest else {
        return None;
    };
    if high.is_ascii_lowercase() || low.is_ascii_lowercase() {
        return None;
    }
    let decoded = decode(high, low)?;
    let stays = decoded != 0 && CLASSES[usize::from(decoded)] != Class::Unreserved;
    stays.then_some(decoded)
}

/// The long way: segment by segment into a new string.
fn rebuild(raw: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(raw.len());
    let mut segments = raw[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let start = out.len();
        out.push('/');
        push_segment(&mut out, segment)?;
        match &out[start + 1..] {
            "" if last => {}
            "" => out.truncate(start),
            "." => {
                out.truncate(start);
                close(&mut out, last);
            }
            ".." => {
                let parent = out[..start].rfind('/').ok_or(BadPath::AboveRoot)?;
                out.truncate(parent);
                close(&mut out, last);
            }
            segment if hides_dots(segment) => return Err(BadPath::HiddenDots),
            _ => {}
        }
    }
    Ok(out)
}

/// A path that ends in a dot segment names a directory.
fn close(out: &mut String, last: bool) {
    if last {
        out.push('/');
    }
}

fn push_segment(out: &mut String, segment: &str) -> Result<(), BadPath> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match CLASSES[usize::from(byte)] {
            Class::Percent => {
                let digits = bytes.next().zip(bytes.next());
                let decoded = digits.and_then(|(high, low)| decode(high, low));
                push_decoded(out, decoded.ok_or(BadPath::Escape)?)?;
            }
            Class::Escape => push_escaped(out, byte),
            Class::Forbidden => return Err(BadPath::Forbidden),
            Class::Unreserved | Class::Reserved | Class::Slash => out.push(byte as char),
        }
    }
    Ok(())
}

fn push_decoded(out: &mut String, byte: u8) -> Result<(), BadPath> {
    if byte == 0 {
        return Err(BadPath::Forbidden);
    }
    if CLASSES[usize::from(byte)] == Class::Unreserved {
        out.push(byte as char);
    } else {
        push_escaped(out, byte);
    }
    Ok(())
}

fn push_escaped(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)] as char);
    out.push(DIGITS[usize::from(byte & 15)] as char);
}

/// Whether a server that decodes slashes, or drops parameters, would find a dot
/// segment inside this segment, which is in normal form.
fn hides_dots(segment: &str) -> bool {
    let decoded_slash = segment.contains("%2F") || segment.contains("%5C");
    if !decoded_slash && !segment.starts_with('.') {
        return false;
    }
    split_at_encoded_slashes(segment).any(|part| {
        let name = part.split(';').next().unwrap_or(part);
        name == "." || name == ".."
    })
}

fn split_at_encoded_slashes(segment: &str) -> impl Iterator<Item = &str> {
    segment.split("%2F").flat_map(|part| part.split("%5C"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn becomes(raw: &str, normal: &str) {
        assert_eq!(normalize_path(raw).as_deref(), Ok(normal), "{raw}");
    }

    #[track_caller]
    fn refused(raw: &str, why: BadPath) {
        assert_eq!(normalize_path(raw), Err(why), "{raw}");
    }

    #[test]
    fn dot_segments_go() {
        becomes("/a/b/c/./../../g", "/a/g");
        becomes("/a/.", "/a/");
        becomes("/a/b/..", "/a/");
        becomes("/a/..", "/");
        becomes("/./", "/");
        becomes("/a/%2e%2E/b", "/b");
        becomes("/a/.%2e/b", "/b");
        becomes("/.well-known/...", "/.well-known/...");
    }

    #[test]
    fn slashes_merge_before_dots_count() {
        becomes("//a///b//", "/a/b/");
        becomes("/a//../b", "/b");
        becomes("/", "/");
        becomes("", "/");
        becomes("///", "/");
    }

    #[test]
    fn only_unreserved_characters_are_decoded() {
        becomes("/%61%7e%2d%5f", "/a~-_");
        becomes("/a%2fb", "/a%2Fb");
        becomes("/a%5cb", "/a%5Cb");
        becomes("/%25%32%65", "/%252e");
        becomes("/%3b;%40@", "/%3B;%40@");
        becomes("/a%0d%0ab", "/a%0D%0Ab");
    }

    #[test]
    fn illegal_characters_are_encoded() {
        becomes("/caf\u{e9}", "/caf%C3%A9");
        becomes("/{a|b}", "/%7Ba%7Cb%7D");
    }

    #[test]
    fn what_cannot_be_repaired_is_refused() {
        refused("*", BadPath::NotAbsolute);
        refused("a/b", BadPath::NotAbsolute);
        refused("/a%", BadPath::Escape);
        refused("/a%2", BadPath::Escape);
        refused("/a%2g", BadPath::Escape);
        refused("/a%+1", BadPath::Escape);
        refused("/a%00b", BadPath::Forbidden);
        refused("/a\u{7f}", BadPath::Forbidden);
        refused("/a\tb", BadPath::Forbidden);
        refused("/a b", BadPath::Forbidden);
        refused("/a\\..\\b", BadPath::Forbidden);
        refused("/a?b", BadPath::Forbidden);
        refused("/a#b", BadPath::Forbidden);
    }

    #[test]
    fn climbing_above_the_root_is_refused() {
        refused("/..", BadPath::AboveRoot);
        refused("/a/../../b", BadPath::AboveRoot);
        refused("/%2e%2e/b", BadPath::AboveRoot);
        refused("//../b", BadPath::AboveRoot);
    }

    #[test]
    fn hidden_dot_segments_are_refused() {
        refused("/a/..%2Fb", BadPath::HiddenDots);
        refused("/a/%2e%2e%5cb", BadPath::HiddenDots);
        refused("/a/x%2F..", BadPath::HiddenDots);
        refused("/a/x%2F../b", BadPath::HiddenDots);
        refused("/a/..;x=1/b", BadPath::HiddenDots);
        refused("/a/.;/b", BadPath::HiddenDots);
        becomes("/a/..b%2Fc..", "/a/..b%2Fc..");
        becomes("/a%2F/b", "/a%2F/b");
        becomes("/a%2F.b", "/a%2F.b");
    }

    #[test]
    fn the_common_case_is_borrowed_at_once() {
        for path in [
            "/",
            "/api/v1/users/42",
            "/.well-known/acme-challenge/x",
            "/a%2Fb/%C3%A9;v=1",
            "/a/b.html",
        ] {
            assert!(is_surely_normal(path.as_bytes()), "{path}");
            assert!(matches!(normalize_path(path), Ok(Cow::Borrowed(_))));
        }
        assert!(matches!(normalize_path("/..."), Ok(Cow::Borrowed("/..."))));
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/"),
            Just("."),
            Just(".."),
            Just("%2e"),
            Just("%2F"),
            Just("%5C"),
            Just(";"),
            Just("a"),
            Just("%61"),
            Just("%3a"),
            Just("\u{e9}"),
            Just("{"),
            Just("%25"),
            Just("%"),
            Just("2"),
            Just("\\"),
            Just("~"),
        ];
        prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own(raw in prop_oneof![pieces(), "/[ -~]{0,24}"]) {
            if let Ok(normal) = normalize_path(&raw) {
                prop_assert_eq!(normalize_path(&normal), Ok(Cow::Borrowed(&*normal)));
            }
        }

        #[test]
        fn the_normal_form_has_no_loose_ends(raw in pieces()) {
            if let Ok(normal) = normalize_path(&raw) {
                prop_assert!(normal.starts_with('/'));
                prop_assert!(!normal.contains("//"));
                prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
                prop_assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn the_fast_scan_never_hides_a_change(raw in pieces()) {
            if is_surely_normal(raw.as_bytes()) {
                prop_assert_eq!(rebuild(&raw), Ok(raw));
            }
        }
    }
}
