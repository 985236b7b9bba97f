//! The request head as it came off the wire: where it ends, how its body is
//! framed, and whether anything about it is ambiguous.
//!
//! Pingora parses leniently and repairs before its hooks run. Reading the bytes
//! first closes that gap: what two parsers could read differently is refused
//! here, and the two repairs that are kept (a `Content-Length` beside a
//! `Transfer-Encoding`, bare LF) end the connection after that one request.

use crate::reject::Reject;

/// More header lines than this are refused; Pingora's parser holds as many.
const MAX_HEADERS: usize = 256;

/// How the body that follows a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes follow; zero where the head announces no body.
    Length(u64),
    /// Chunks follow.
    Chunked,
}

/// One complete request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes up to and including the empty line.
    pub(super) len: usize,
    /// How the body is delimited.
    pub(super) framing: Framing,
    /// The client asks to switch protocols: after a 101 the bytes are not HTTP.
    pub(super) upgrade: bool,
    /// Other parsers might see other boundaries: nothing after this request is read.
    pub(super) close_after: bool,
}

/// Finds the end of a head in a buffer that grows, without starting over.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    scanned: usize,
}

impl Scanner {
    /// The head's length once its empty line is in `buf`; call again with more bytes otherwise.
    pub(super) fn end_of_head(&mut self, buf: &[u8]) -> Option<usize> {
        while let Some(found) = memchr::memchr(b'\n', &buf[self.scanned..]) {
            let at = self.scanned + found;
            match buf.get(at + 1..) {
                Some([b'\n', ..]) => return Some(at + 2),
                Some([b'\r', b'\n', ..]) => return Some(at + 3),
                Some([] | [b'\r']) | None => {
                    self.scanned = at;
                    return None;
                }
                Some(_) => self.scanned = at + 1,
            }
        }
        self.scanned = buf.len();
        None
    }
}

/// How many bytes of empty lines stand before the request line; clients may send some.
pub(super) fn leading_empty_lines(buf: &[u8]) -> usize {
    buf.iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count()
}

/// Reads a complete head, `bytes` ending with its empty line.
pub(super) fn inspect(bytes: &[u8]) -> Result<Head, Reject> {
    let mut lines = Lines {
        rest: bytes,
        bare_lf: false,
    };
    let http_11 = request_line(lines.next_line()?)?;
    let mut fields = Fields::default();
    let mut count = 0;
    loop {
        let line = lines.next_line()?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > MAX_HEADERS {
            return Err(Reject::HeaderTooLarge);
        }
        fields.add(line)?;
    }
    let framing = fields.framing(http_11)?;
    if http_11 && fields.hosts == 0 {
        return Err(Reject::BadHost);
    }
    Ok(Head {
        len: bytes.len() - lines.rest.len(),
        framing,
        upgrade: fields.upgrade,
        close_after: lines.bare_lf || (fields.chunked.is_some() && fields.length.is_some()),
    })
}

/// The lines of a head, each without its line end.
struct Lines<'a> {
    rest: &'a [u8],
    bare_lf: bool,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Result<&'a [u8], Reject> {
        let end = memchr::memchr(b'\n', self.rest).ok_or(Reject::BadRequest)?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        if let Some(line) = line.strip_suffix(b"\r") {
            Ok(line)
        } else {
            self.bare_lf = true;
            Ok(line)
        }
    }
}

/// Checks a request line; whether it speaks HTTP/1.1 rather than 1.0.
fn request_line(line: &[u8]) -> Result<bool, Reject> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Reject::BadRequest);
    };
    let printable = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    if !is_token(method) || target.is_empty() || !target.iter().all(printable) {
        return Err(Reject::BadRequest);
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(Reject::BadRequest),
    }
}

/// What the header lines say about framing.
#[derive(Default)]
struct Fields {
    hosts: u32,
    length: Option<u64>,
    /// Whether the last transfer coding seen is `chunked`.
    chunked: Option<bool>,
    upgrade: bool,
}

impl Fields {
    fn add(&mut self, line: &[u8]) -> Result<(), Reject> {
        // A line that starts with white space (obs-fold) has no token before its colon either.
        let colon = memchr::memchr(b':', line).ok_or(Reject::BadRequest)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let forbidden = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
        if !is_token(name) || value.iter().any(forbidden) {
            return Err(Reject::BadRequest);
        }
        let value = value.trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self) -> Result<(), Reject> {
        self.hosts += 1;
        if self.hosts > 1 {
            return Err(Reject::BadHost);
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Reject::BadRequest);
        }
        let digits = str::from_utf8(value).map_err(|_| Reject::BadRequest)?;
        self.length = Some(digits.parse().map_err(|_| Reject::BadRequest)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        for coding in value.split(|&byte| byte == b',') {
            let coding = coding.trim_ascii();
            // `chunked` must come last and once: nothing may follow it.
            if coding.is_empty() || self.chunked == Some(true) {
                return Err(Reject::BadRequest);
            }
            self.chunked = Some(coding.eq_ignore_ascii_case(b"chunked"));
        }
        Ok(())
    }

    fn framing(&self, http_11: bool) -> Result<Framing, Reject> {
        match self.chunked {
            Some(true) if http_11 => Ok(Framing::Chunked),
            Some(_) => Err(Reject::BadRequest),
            None => Ok(Framing::Length(self.length.unwrap_or(0))),
        }
    }
}

/// Whether `bytes` is a token of RFC 9110, section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Head, Reject> {
        let end = Scanner::default()
            .end_of_head(text.as_bytes())
            .expect("the test's head is complete");
        inspect(&text.as_bytes()[..end])
    }

    fn plain(len: usize) -> Head {
        Head {
            len,
            framing: Framing::Length(0),
            upgrade: false,
            close_after: false,
        }
    }

    #[test]
    fn a_plain_request_is_read() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(read(text), Ok(plain(text.len())));
    }

    #[test]
    fn bytes_after_the_head_are_not_part_of_it() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let got = read(&format!("{head}abcGET / HTTP/1.1\r\n\r\n"));
        let want = Head {
            framing: Framing::Length(3),
            ..plain(head.len())
        };
        assert_eq!(got, Ok(want));
    }

    const REFUSED: &[(&str, Reject)] = &[
        ("GET / HTTP/1.1\r\n\r\n", Reject::BadHost),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            Reject::BadHost,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            Reject::BadRequest,
        ),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Reject::BadRequest),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
            Reject::BadRequest,
        ),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::BadRequest),
        ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", Reject::BadRequest),
        ("GET /\r\nHost: a\r\n\r\n", Reject::BadRequest),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Reject::BadRequest),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::BadRequest),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
            Reject::BadRequest,
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            Reject::BadRequest,
        ),
    ];

    #[test]
    fn ambiguous_or_malformed_heads_are_refused() {
        for (text, reason) in REFUSED {
            assert_eq!(read(text), Err(*reason), "{text:?}");
        }
    }

    #[test]
    fn too_many_headers_are_refused() {
        let lines = "X: y\r\n".repeat(MAX_HEADERS);
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        assert_eq!(read(&text), Err(Reject::HeaderTooLarge));
    }

    #[test]
    fn repaired_ambiguities_end_the_connection() {
        for text in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        ] {
            let head = read(text).expect("accepted once");
            assert!(head.close_after, "{text:?}");
        }
    }

    #[test]
    fn http_10_needs_no_host() {
        assert!(read("GET / HTTP/1.0\r\n\r\n").is_ok());
    }

    #[test]
    fn an_upgrade_is_noticed() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert!(read(text).expect("valid").upgrade);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(end) = Scanner::default().end_of_head(&bytes)
                && let Ok(head) = inspect(&bytes[..end])
            {
                prop_assert_eq!(head.len, end);
            }
        }

        #[test]
        fn pieces_find_the_same_end(cut in 1usize..48) {
            let text = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nrest of it";
            let whole = Scanner::default().end_of_head(text);
            let mut scanner = Scanner::default();
            let first = scanner.end_of_head(&text[..cut.min(text.len())]);
            prop_assert_eq!(first.or_else(|| scanner.end_of_head(text)), whole);
        }
    }
}
