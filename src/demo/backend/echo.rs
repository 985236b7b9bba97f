//! `/echo`: what this backend received, as JSON, and its trailers sent back as trailers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TRAILER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, Version};
use hyper::body::{Body, Incoming};
use serde::Serialize;

use super::body::Answer;
use super::connection::Connection;

/// A request's body as received.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) data: Bytes,
    pub(super) trailers: HeaderMap,
}

/// Why a request body could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is longer than the bound.
    TooLong,
    /// The connection failed.
    Broken(hyper::Error),
}

/// The whole body, at most `bound` bytes of it.
pub(super) async fn receive(mut body: Incoming, bound: usize) -> Result<Received, ReadError> {
    let mut data = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = next_frame(&mut body).await {
        match frame.map_err(ReadError::Broken)?.into_data() {
            Ok(piece) if data.len() + piece.len() > bound => return Err(ReadError::TooLong),
            Ok(piece) => data.extend_from_slice(&piece),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(Received {
        data: data.freeze(),
        trailers,
    })
}

/// Reads a body nobody wants, so that the connection can be kept.
pub(super) async fn discard(mut body: Incoming) -> Result<(), hyper::Error> {
    while let Some(frame) = next_frame(&mut body).await {
        frame?;
    }
    Ok(())
}

async fn next_frame(
    body: &mut Incoming,
) -> Option<Result<hyper::body::Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}

/// The JSON of `/echo`; its keys are part of the interface.
#[derive(Serialize)]
struct Echo<'r> {
    server_id: &'r str,
    method: &'r str,
    scheme: Option<&'r str>,
    authority: Option<&'r str>,
    path: &'r str,
    query: Option<&'r str>,
    version: &'static str,
    peer: String,
    connection: u64,
    headers: Vec<(&'r str, String)>,
    body: String,
    body_encoding: &'static str,
    body_length: usize,
    trailers: Vec<(&'r str, String)>,
}

/// The answer to `/echo`.
pub(super) fn answer(
    server_id: &str,
    connection: Connection,
    request: &Parts,
    received: Received,
) -> Response<Answer> {
    let (body, body_encoding) = readable(&received.data);
    let echo = Echo {
        server_id,
        method: request.method.as_str(),
        scheme: request.uri.scheme_str(),
        authority: request.uri.authority().map(http::uri::Authority::as_str),
        path: request.uri.path(),
        query: request.uri.query(),
        version: version(request.version),
        peer: connection.peer.to_string(),
        connection: connection.serial,
        headers: pairs(&request.headers),
        body,
        body_encoding,
        body_length: received.data.len(),
        trailers: pairs(&received.trailers),
    };
    let json = serde_json::to_vec(&echo).expect("strings and numbers serialise");
    respond(json, request.version, received.trailers)
}

fn respond(json: Vec<u8>, version: Version, trailers: HeaderMap) -> Response<Answer> {
    let mut response = Response::new(Answer::bytes(json));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if trailers.is_empty() {
        return response;
    }
    if version <= Version::HTTP_11 {
        // HTTP/1 sends only the trailers that the header announces.
        for name in trailers.keys() {
            response
                .headers_mut()
                .append(TRAILER, HeaderValue::from(name.clone()));
        }
    }
    response.map(|body| body.with_trailers(trailers))
}

fn readable(data: &[u8]) -> (String, &'static str) {
    match std::str::from_utf8(data) {
        Ok(text) => (text.to_owned(), "utf-8"),
        Err(_) => (STANDARD.encode(data), "base64"),
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(&str, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
