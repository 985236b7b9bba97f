//! One call of an admin API from the other side.
//!
//! Written by hand: a backend that sends heartbeats, and a process that takes
//! over from another, call once in a while. A connection pool would only hide
//! whether anybody is there.

use std::io;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What is asked. Nothing of it is escaped: the caller keeps line breaks and spaces out.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// The method.
    pub method: &'c str,
    /// The path, percent-encoded.
    pub path: &'c str,
    /// `host:port` for the header `Host`.
    pub authority: &'c str,
    /// The bearer token.
    pub token: Option<&'c [u8]>,
    /// JSON, or empty.
    pub body: &'c str,
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The caller's own limit passed.
    #[error("no answer in time")]
    Timeout,
    /// Something else answered.
    #[error("the answer is no HTTP")]
    NoHttp,
    /// The answer is longer than the caller wants.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The API said no.
    #[error("{status}: {said}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// What its body says.
        said: String,
    },
}

impl Call<'_> {
    /// Makes the call over `stream`, which ends with it; the answer's status and body, of
    /// `max_answer` bytes at most with its head. It takes as long as the other side likes.
    pub async fn over(
        self,
        mut stream: TcpStream,
        max_answer: u64,
    ) -> Result<(StatusCode, Vec<u8>), CallError> {
        stream.write_all(&self.request()).await?;
        let mut answer = Vec::new();
        let read = stream.take(max_answer + 1).read_to_end(&mut answer).await?;
        if read as u64 > max_answer {
            return Err(CallError::TooLarge(max_answer));
        }
        let (status, body) = split(&answer).ok_or(CallError::NoHttp)?;
        if status.is_success() {
            return Ok((status, body.to_vec()));
        }
        let said = said(body);
        Err(CallError::Refused { status, said })
    }

    fn request(self) -> Vec<u8> {
        let Self {
            method,
            path,
            authority,
            token,
            body,
        } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        if let Some(token) = token {
            request.extend_from_slice(b"Authorization: Bearer ");
            request.extend_from_slice(token);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.as_bytes());
        request
    }
}

/// The status and the body of an answer.
fn split(answer: &[u8]) -> Option<(StatusCode, &[u8])> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let head = answer.windows(4).position(|at| at == b"\r\n\r\n")?;
    Some((StatusCode::from_bytes(status).ok()?, &answer[head + 4..]))
}

/// A refusal in words.
fn said(body: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(body).ok();
    json.and_then(|said| {
        let (message, hint) = (said["message"].as_str()?, said["hint"].as_str()?);
        Some(format!("{message} ({hint})"))
    })
    .unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        text.trim().chars().take(200).collect()
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// The request that arrives, and what the call makes of `answer`.
    async fn ask(answer: &'static str) -> (String, Result<(StatusCode, Vec<u8>), CallError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let call = Call {
            method: "PUT",
            path: "/x",
            authority: "127.0.0.1:9901",
            token: Some(b"secret"),
            body: "{}",
        };
        let other = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let own = async { call.over(TcpStream::connect(address).await?, 64).await };
        tokio::join!(other, own)
    }

    #[tokio::test]
    async fn it_sends_one_request_and_reads_one_answer() {
        let (request, answer) = ask("HTTP/1.1 201 Created\r\nA: b\r\n\r\nhello").await;
        assert_eq!(
            request,
            "PUT /x HTTP/1.1\r\nHost: 127.0.0.1:9901\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\
             Authorization: Bearer secret\r\n\r\n{}"
        );
        assert_eq!(answer.unwrap(), (StatusCode::CREATED, b"hello".to_vec()));
    }

    #[tokio::test]
    async fn what_is_no_success_is_told() {
        let long = "HTTP/1.1 200 OK\r\n\r\n                                              .";
        let wrong = [
            (
                "HTTP/1.1 404 Not Found\r\n\r\nwhat? ",
                "404 Not Found: what?",
            ),
            (
                "HTTP/1.1 409 Conflict\r\n\r\n{\"message\":\"no\",\"hint\":\"so\"}",
                "409 Conflict: no (so)",
            ),
            ("SSH-2.0", "the answer is no HTTP"),
            ("", "the answer is no HTTP"),
            (long, "the answer is larger than 64 bytes"),
        ];
        for (answer, told) in wrong {
            let error = ask(answer).await.1.unwrap_err();
            assert_eq!(error.to_string(), told);
        }
    }
}
