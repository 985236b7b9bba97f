//! What a check came to, in words for people.
//!
//! Probes speak Pingora's errors, whose texts are made for those who know
//! Pingora. Here each becomes one short sentence, or the fact that there is
//! nobody at the backend's port.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use pingora_core::{BError, Error, ErrorType};

use crate::upstream::CheckFailure;

/// The error type of an answer that is well-formed but not the one wanted.
const UNEXPECTED: ErrorType = ErrorType::Custom("unexpected answer");

/// What rustls says before the reason why it does not trust a certificate.
const UNTRUSTED: &str = "invalid peer certificate: ";

/// What Pingora says around the reason why a handshake failed.
const HANDSHAKE: &str = "TLS connect() failed: ";

/// A reason longer than this is cut: part of it may come from the backend.
const MAX_WORDS: usize = 200;

/// The end of a probe whose answer is well-formed but not the one wanted.
pub(super) fn unexpected<T>(words: impl Into<String>) -> Result<T, BError> {
    Error::e_explain(UNEXPECTED, words.into())
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passed.
    Passed,
    /// The backend's own port refuses connections.
    Refused,
    /// It took longer than it may.
    TimedOut(Duration),
    /// It failed in another way.
    Failed(String),
}

impl Verdict {
    /// What `result` of a probe at `asked` says about the backend at `backend`.
    pub(super) fn of(result: Result<(), BError>, asked: SocketAddr, backend: SocketAddr) -> Self {
        let Err(error) = result else {
            return Self::Passed;
        };
        if *error.root_etype() != ErrorType::ConnectRefused {
            return Self::Failed(cut(words(&error)));
        }
        // A closed port of another service says nothing about the backend's own.
        if asked == backend {
            Self::Refused
        } else {
            Self::Failed(format!("connection refused on port {}", asked.port()))
        }
    }

    /// The `result` label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::TimedOut(_) => "timeout",
            Self::Failed(_) => "failed",
        }
    }

    /// The verdict as the upstream records it.
    pub(super) fn into_result(self) -> Result<(), CheckFailure> {
        match self {
            Self::Passed => Ok(()),
            Self::Refused => Err(CheckFailure::Refused),
            Self::TimedOut(limit) => Err(CheckFailure::Failed(format!(
                "no answer within {}",
                humantime::format_duration(limit)
            ))),
            Self::Failed(words) => Err(CheckFailure::Failed(words)),
        }
    }
}

fn words(error: &Error) -> String {
    match error.root_etype() {
        &UNEXPECTED => context(error),
        ErrorType::ConnectNoRoute => "no route to the backend".to_owned(),
        ErrorType::ConnectTimedout => "connecting timed out".to_owned(),
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert => handshake(&error.to_string()),
        ErrorType::InvalidHTTPHeader => "the answer is not HTTP".to_owned(),
        ErrorType::ConnectionClosed => "connection closed before the end of the answer".to_owned(),
        _ => root_words(error),
    }
}

/// What the innermost of Pingora's errors says.
fn context(error: &Error) -> String {
    let inner = error.root_cause().downcast_ref::<Error>().unwrap_or(error);
    let context = inner.context.as_ref();
    context.map_or_else(
        || inner.reason_str().to_owned(),
        |text| text.as_str().to_owned(),
    )
}

fn handshake(text: &str) -> String {
    // The reason stands last, but for the name that was asked for.
    let reason = |from: usize, mark: &str| {
        let rest = &text[from + mark.len()..];
        rest.split(", SNI: ").next().unwrap_or(rest).to_owned()
    };
    if let Some(at) = text.rfind(UNTRUSTED) {
        return format!("certificate not trusted: {}", reason(at, UNTRUSTED));
    }
    if broke_off(text) {
        return "connection closed during the TLS handshake".to_owned();
    }
    let at = text.rfind(HANDSHAKE);
    let reason = at.map_or_else(|| text.trim().to_owned(), |at| reason(at, HANDSHAKE));
    format!("TLS handshake failed: {reason}")
}

fn broke_off(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["eof", "connection reset", "broken pipe"]
        .iter()
        .any(|mark| text.contains(mark))
}

/// What the cause at the bottom says.
fn root_words(error: &Error) -> String {
    let mut cause: &dyn StdError = error.root_cause();
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return io_words(io);
        }
        match cause.source() {
            Some(next) => cause = next,
            None => break,
        }
    }
    if cause.is::<Error>() {
        return context(error);
    }
    // HTTP/2's errors hide the socket's in their text.
    let text = cause.to_string();
    if broke_off(&text) {
        "connection reset".to_owned()
    } else {
        text
    }
}

fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "connection reset".to_owned()
        }
        ErrorKind::UnexpectedEof => "connection closed before the end of the answer".to_owned(),
        _ => error.to_string(),
    }
}

fn cut(mut words: String) -> String {
    if words.len() > MAX_WORDS {
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKEND: &str = "192.0.2.1:80";

    fn of(error: BError, asked: &str) -> Verdict {
        Verdict::of(Err(error), asked.parse().unwrap(), BACKEND.parse().unwrap())
    }

    #[test]
    fn only_the_backends_own_port_can_refuse() {
        let refused = || Error::new(ErrorType::ConnectRefused).more_context("around it");
        assert_eq!(of(refused(), BACKEND), Verdict::Refused);
        let elsewhere = Verdict::Failed("connection refused on port 81".to_owned());
        assert_eq!(of(refused(), "192.0.2.1:81"), elsewhere);
    }

    #[test]
    fn what_the_probe_says_is_kept_and_bounded() {
        let bare = |words: &str| unexpected::<()>(words).unwrap_err();
        let error = bare("HTTP 500, expected 200").more_context("around it");
        let said = Verdict::Failed("HTTP 500, expected 200".to_owned());
        assert_eq!(of(error, BACKEND), said);
        let Verdict::Failed(words) = of(bare(&"é".repeat(500)), BACKEND) else {
            panic!("a failure");
        };
        assert!(words.len() < 210 && words.ends_with("é…"), "{words}");
    }

    #[test]
    fn every_verdict_has_its_words() {
        let slow = Verdict::TimedOut(Duration::from_secs(2));
        let words = |text: &str| Err(CheckFailure::Failed(text.to_owned()));
        assert_eq!(slow.clone().into_result(), words("no answer within 2s"));
        assert_eq!(slow.label(), "timeout");
        assert_eq!(Verdict::Passed.into_result(), Ok(()));
        assert_eq!(Verdict::Refused.into_result(), Err(CheckFailure::Refused));
        let reset = io::Error::from(ErrorKind::ConnectionReset);
        let error = Error::because(ErrorType::ReadError, "reading", reset);
        let said = Verdict::Failed("connection reset".to_owned());
        assert_eq!(of(error, BACKEND), said);
    }
}
