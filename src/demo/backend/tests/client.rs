//! A client's end of a connection, and what it is answered.

use std::io::ErrorKind;

use http::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Running;

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A client's end of one HTTP/1.1 connection.
pub(super) struct Client(pub(super) BufReader<TcpStream>);

impl Client {
    pub(super) async fn connect(running: &Running) -> Self {
        Self(BufReader::new(
            TcpStream::connect(running.address).await.unwrap(),
        ))
    }

    pub(super) async fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).await.unwrap();
    }

    pub(super) async fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(
            self.0.read_line(&mut line).await.unwrap() > 0,
            "the connection ended early"
        );
        line.trim_end().to_owned()
    }

    pub(super) async fn fields(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                return headers;
            };
            headers.append(
                http::HeaderName::try_from(name).unwrap(),
                value.parse().unwrap(),
            );
        }
    }

    /// One response with a body, or without (to HEAD).
    pub(super) async fn reply(&mut self, with_body: bool) -> Reply {
        let status = self
            .line()
            .await
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = self.fields().await;
        let mut body = Vec::new();
        if let Some(length) = headers.get("content-length").filter(|_| with_body) {
            body.resize(length.to_str().unwrap().parse().unwrap(), 0);
            self.0.read_exact(&mut body).await.unwrap();
        }
        Reply {
            status,
            headers,
            body,
        }
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"))
            .await;
        self.reply(true).await
    }

    pub(super) async fn ended(&mut self) -> bool {
        matches!(self.0.read_u8().await, Err(error) if error.kind() == ErrorKind::UnexpectedEof)
    }
}
