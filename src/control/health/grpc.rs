//! `grpc.health.v1.Health/Check`, over HTTP/2.
//!
//! The protocol is two messages with one field each, so they are written and
//! read here instead of by a code generator. Encoding and framing follow the
//! [gRPC over HTTP/2] and [protobuf encoding] specifications.
//!
//! [gRPC over HTTP/2]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
//! [protobuf encoding]: https://protobuf.dev/programming-guides/encoding/

use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Scheme, Uri};
use http::{HeaderMap, StatusCode};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v2::client::Http2Session;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthCheck;

use super::http::AGENT;
use super::verdict::unexpected;

const PATH: &str = "/grpc.health.v1.Health/Check";

/// Longest answer that is read; a right one has 7 bytes.
const MAX_ANSWER: usize = 4 * 1024;

/// Length of the prefix of a message: a flag and the length.
const PREFIX: usize = 5;

/// The protobuf tag of field 1 as bytes, and as a number.
const FIELD_1_BYTES: u8 = 0x0a;
const FIELD_1_VARINT: u64 = 0x08;

/// `ServingStatus.SERVING`.
const SERVING: u64 = 1;

/// The call of one check.
pub(super) struct GrpcCheck<'a> {
    pub(super) connector: &'a Connector,
    /// Empty is the whole server.
    pub(super) service: &'a str,
    /// How the target is reached, over HTTP/2; its address is the target's.
    pub(super) peer: HttpPeer,
    /// `host` or `host:port` for `:authority`.
    pub(super) authority: &'a str,
    /// Told to the server, which may then stop working for nobody.
    pub(super) timeout: Duration,
}

#[async_trait]
impl HealthCheck for GrpcCheck<'_> {
    async fn check(&self, target: &Backend) -> Result<()> {
        let mut peer = self.peer.clone();
        peer._address = target.addr.clone();
        let (session, _) = self.connector.get_http_session(&peer).await?;
        let HttpSession::H2(mut session) = session else {
            return unexpected("HTTP/2 was not negotiated");
        };
        session.write_request_header(self.request(peer.is_tls())?, false)?;
        session
            .write_request_body(framed(self.service), true)
            .await?;
        session.read_response_header().await?;
        serving(&answer(&mut session).await?)
    }

    fn health_threshold(&self, _success: bool) -> usize {
        // Counting is the upstream's business.
        1
    }
}

impl GrpcCheck<'_> {
    fn request(&self, tls: bool) -> Result<Box<RequestHeader>> {
        let mut request = RequestHeader::build("POST", PATH.as_bytes(), None)?;
        let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(self.authority)
            .path_and_query(PATH)
            .build()
            .map_err(|error| {
                Error::because(ErrorType::InvalidHTTPHeader, "the authority", error)
            })?;
        request.set_uri(uri);
        request.insert_header(CONTENT_TYPE, "application/grpc")?;
        request.insert_header(TE, "trailers")?;
        request.insert_header(USER_AGENT, AGENT)?;
        // At most eight digits: 27 hours.
        let millis = self.timeout.as_millis().clamp(1, 99_999_999);
        request.insert_header("grpc-timeout", format!("{millis}m"))?;
        Ok(Box::new(request))
    }
}

/// Reads the answer's message, once the call itself has succeeded.
async fn answer(session: &mut Http2Session) -> Result<Vec<u8>> {
    let head = session.response_header();
    let status = head.map_or(StatusCode::default(), |head| head.status);
    if status != StatusCode::OK {
        return unexpected(format!("HTTP {}, expected 200", status.as_u16()));
    }
    let early = head.map_or(Ok(false), |head| succeeded(&head.headers))?;
    let mut message = Vec::new();
    while let Some(chunk) = session.read_response_body().await? {
        if message.len() + chunk.len() > MAX_ANSWER {
            return unexpected("the answer is no HealthCheckResponse");
        }
        message.extend_from_slice(&chunk);
    }
    let trailers = session.read_trailers().await?.unwrap_or_default();
    if succeeded(&trailers)? || early {
        return Ok(message);
    }
    unexpected("the answer is not gRPC: it has no grpc-status")
}

/// Whether these headers say that the call succeeded; an error if they say that it failed.
fn succeeded(headers: &HeaderMap) -> Result<bool> {
    let Some(code) = headers.get("grpc-status") else {
        return Ok(false);
    };
    let code = code.to_str().unwrap_or("?");
    if code == "0" {
        return Ok(true);
    }
    let number = code.parse::<usize>().ok();
    let name = number.and_then(|number| CODES.get(number)).unwrap_or(&"?");
    let message = headers.get("grpc-message");
    let message = message.and_then(|message| message.to_str().ok());
    let detail = message.map_or_else(String::new, |message| format!(": {message}"));
    unexpected(format!("gRPC status {name}{detail}"))
}

/// The names of gRPC's status codes.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A `HealthCheckRequest` with its prefix.
fn framed(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(FIELD_1_BYTES);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8((value & 0x7f) as u8);
}

/// Passes a framed `HealthCheckResponse` that says SERVING.
fn serving(frame: &[u8]) -> Result<()> {
    let status = message(frame).and_then(status);
    let name = match status {
        Some(SERVING) => return Ok(()),
        Some(0) => "UNKNOWN",
        Some(2) => "NOT_SERVING",
        Some(3) => "SERVICE_UNKNOWN",
        Some(_) => "an unknown status",
        None => return unexpected("the answer is no HealthCheckResponse"),
    };
    unexpected(format!("SERVING expected, got {name}"))
}

/// The one uncompressed message in a frame.
fn message(frame: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = frame.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    (prefix[0] == 0 && usize::try_from(length).ok()? == message.len()).then_some(message)
}

/// Field 1 of a message; 0 when absent, `None` when it is no protobuf. Of several the last counts.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let skip = match tag & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                if tag == FIELD_1_VARINT {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(take_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(skip..)?;
    }
    Some(status)
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(frame: &[u8]) -> Option<String> {
        let error = serving(frame).err()?;
        error.context.as_ref().map(|text| text.as_str().to_owned())
    }

    #[test]
    fn requests_are_encoded_as_specified() {
        assert_eq!(framed("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(framed("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = framed(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(long.len(), PREFIX + 3 + 300);
    }

    #[test]
    fn answers_are_read_as_specified() {
        assert_eq!(verdict(&[0, 0, 0, 0, 2, 8, 1]), None);
        for (frame, says) in [
            (&[0, 0, 0, 0, 0][..], "UNKNOWN"),
            (&[0, 0, 0, 0, 2, 8, 2], "NOT_SERVING"),
            (&[0, 0, 0, 0, 2, 8, 3], "SERVICE_UNKNOWN"),
            (&[0, 0, 0, 0, 2, 8, 9], "an unknown status"),
        ] {
            let wanted = format!("SERVING expected, got {says}");
            assert_eq!(verdict(frame).as_deref(), Some(wanted.as_str()));
        }
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let frame = [0, 0, 0, 0, 11, 0x12, 2, 7, 7, 0x1d, 1, 2, 3, 4, 8, 1];
        assert_eq!(verdict(&frame), None);
    }

    #[test]
    fn what_is_no_answer_is_called_so() {
        for frame in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 2, 0x0b, 0],
            &[0, 0, 0, 0, 2, 0x12, 0xff],
        ] {
            let said = verdict(frame);
            let wanted = Some("the answer is no HealthCheckResponse");
            assert_eq!(said.as_deref(), wanted, "{frame:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = serving(&bytes);
            let mut frame = vec![0, 0, 0, 0, u8::try_from(bytes.len()).unwrap()];
            frame.extend(&bytes);
            let _ = serving(&frame);
        }

        #[test]
        fn varints_come_back(value in any::<u64>()) {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            prop_assert_eq!(take_varint(&mut &out[..]), Some(value));
        }
    }
}
