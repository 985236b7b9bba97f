//! HTTP/1 messages as bytes: just enough parsing to see where one ends.

use std::io::{self, Read};

/// A message head and body, and exactly the bytes they came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// Everything up to and including the empty line, as received.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Head and body with all framing, as received.
    pub(crate) raw: Vec<u8>,
}

impl Message {
    /// The start line.
    pub(crate) fn start_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Every value of a header, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).first().copied()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn is_chunked(&self) -> bool {
        self.values("transfer-encoding")
            .last()
            .is_some_and(|value| {
                value
                    .to_ascii_lowercase()
                    .split(',')
                    .next_back()
                    .map(str::trim)
                    == Some("chunked")
            })
    }

    fn content_length(&self) -> Option<usize> {
        self.header("content-length")
            .and_then(|value| value.parse().ok())
    }
}

/// Where a message without length and chunking ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unframed {
    /// After its head: requests, and responses that have no body.
    Empty,
    /// Where the connection ends: responses.
    UntilClose,
}

/// Bytes from a peer, cut into messages.
pub(crate) struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: Read> Reader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream, and what was read from it and not taken yet.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.buffer)
    }

    /// The next head, or `None` when the peer closed before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Message>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if self.fill()? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(ended("inside a message head"));
            }
        };
        let raw: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&raw).into_owned();
        Ok(Some(Message {
            head,
            body: Vec::new(),
            raw,
        }))
    }

    /// Reads the body that belongs to a head.
    pub(crate) fn body(&mut self, message: &mut Message, unframed: Unframed) -> io::Result<()> {
        if message.is_chunked() {
            return self.chunks(message);
        }
        if let Some(length) = message.content_length() {
            let bytes = self.exactly(length)?;
            message.raw.extend_from_slice(&bytes);
            message.body = bytes;
        } else if unframed == Unframed::UntilClose {
            while self.fill()? > 0 {}
            message.body = std::mem::take(&mut self.buffer);
            message.raw.extend_from_slice(&message.body);
        }
        Ok(())
    }

    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let line = self.line()?;
            message.raw.extend_from_slice(&line);
            let text = String::from_utf8_lossy(&line);
            let digits = text.split(';').next().unwrap_or_default().trim().to_owned();
            let size = usize::from_str_radix(&digits, 16)
                .map_err(|_| io::Error::other(format!("chunk size {text:?}")))?;
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2)?;
            message.raw.extend_from_slice(&chunk);
            message.body.extend_from_slice(&chunk[..size]);
        }
        loop {
            let line = self.line()?;
            message.raw.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(());
            }
        }
    }

    /// The next `count` bytes.
    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                return Err(ended("inside a body"));
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                return Ok(self.buffer.drain(..end + 2).collect());
            }
            if self.fill()? == 0 {
                return Err(ended("inside a line"));
            }
        }
    }

    /// Bytes that are there or arrive next; empty at the end of the stream.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let count = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn ended(place: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the connection ended {place}"),
    )
}
