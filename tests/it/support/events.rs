//! A client of Server-Sent Events.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::Client;
use super::deadline::PATIENCE;

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// A stream of them.
pub(crate) struct Events {
    stream: TcpStream,
    /// Bytes as they came, chunks and all.
    raw: Vec<u8>,
    /// What was in the chunks so far and is no event yet.
    text: Vec<u8>,
}

impl Events {
    /// Follows the timeline of the API at this address.
    #[track_caller]
    pub(crate) fn open(admin: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Self {
        let client = Client::connect(admin);
        Self::over(client, admin, query, headers)
    }

    /// The same over a connection that takes hardly any bytes in advance.
    #[track_caller]
    pub(crate) fn open_narrow(admin: SocketAddr) -> Self {
        let client = Client::connect_narrow(admin).expect("it listens");
        Self::over(client, admin, "", &[])
    }

    fn over(mut client: Client, admin: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Self {
        let host = admin.to_string();
        let headers = [&[("Host", host.as_str())], headers].concat();
        client.send_request("GET", &format!("/api/v1/events{query}"), &headers, b"");
        let head = client.head().expect("an answer");
        assert_eq!(head.status, 200, "{}", head.head);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        let (stream, raw) = client.into_parts();
        Self {
            stream,
            raw,
            text: Vec::new(),
        }
    }

    /// The next event; comments are passed over.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        loop {
            while let Some(end) = find(&self.text, b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("UTF-8");
                if let Some(event) = parse(&block) {
                    return event;
                }
            }
            self.fill();
        }
    }

    /// The first event that is wanted; fails when there is none in time.
    #[track_caller]
    pub(crate) fn find(&mut self, what: &str, mut is_it: impl FnMut(&Event) -> bool) -> Event {
        for _ in 0..100_000 {
            let event = self.next();
            if is_it(&event) {
                return event;
            }
        }
        panic!("not among the events: {what}");
    }

    #[track_caller]
    fn fill(&mut self) {
        while !self.take_chunk() {
            let mut piece = [0; 16 * 1024];
            let count = self.stream.read(&mut piece);
            let count = count.unwrap_or_else(|error| panic!("no event in {PATIENCE:?}: {error}"));
            assert!(count > 0, "the stream has ended");
            self.raw.extend_from_slice(&piece[..count]);
        }
    }

    /// Moves a chunk that is complete to the text.
    fn take_chunk(&mut self) -> bool {
        let Some(line) = find(&self.raw, b"\r\n") else {
            return false;
        };
        let digits = std::str::from_utf8(&self.raw[..line]).expect("ASCII");
        let size = usize::from_str_radix(digits, 16).expect("a chunk's size");
        assert!(size > 0, "the stream has ended");
        let from = line + 2;
        if self.raw.len() < from + size + 2 {
            return false;
        }
        self.text.extend_from_slice(&self.raw[from..from + size]);
        self.raw.drain(..from + size + 2);
        true
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = block.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data = field("data")?;
    Some(Event {
        id: field("id").map(|id| id.parse().expect("a number")),
        kind: field("event").expect("its kind").to_owned(),
        data: serde_json::from_str(data).expect("JSON"),
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|at| at == needle)
}
