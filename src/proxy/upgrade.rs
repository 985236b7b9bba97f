//! Requests to switch protocols: one exchange on a connection of its own.
//!
//! Pingora's way for them has a race between the backend's 101 and the end of
//! the empty request, which ends some switched connections at once. So these
//! requests go past it. They are chosen for, retried, measured and shaped like
//! any other, by the same code; here is only the exchange of the messages.

#![expect(
    clippy::unnecessary_box_returns,
    reason = "Pingora passes its errors boxed"
)]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, StatusCode, Version, header};
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::context::{Context, downstream};
use super::tunnel::{self, Side};
use super::{attempt, forward, intake, reply};
use crate::observe::Recorder;

/// Serves the request if it asks to switch protocols; whether it did.
pub(super) async fn serve(
    connector: &TransportConnector,
    recorder: &Recorder,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<bool> {
    if !ctx.upgrade {
        return Ok(false);
    }
    // Boxed, because every other request would pay for the size.
    let tries = Box::pin(tries(connector, recorder, session, ctx));
    tries.await.map(|()| true)
}

/// Asks one backend after the other, as often as the route allows.
async fn tries(
    connector: &TransportConnector,
    recorder: &Recorder,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<()> {
    session.as_mut().enable_retry_buffering();
    loop {
        let peer = attempt::peer(recorder, session, ctx).await?;
        let error = match connector.new_stream(&*peer).await {
            Ok(stream) => {
                attempt::connected(ctx, false);
                let mut backend = HttpSession::new_with_options(stream, &*peer);
                backend.read_timeout = peer.options.read_timeout;
                backend.write_timeout = peer.options.write_timeout;
                let exchange = Exchange {
                    backend,
                    uploading: true,
                    refused: false,
                };
                match exchange.run(recorder, session, ctx).await {
                    Ok(()) => return Ok(()),
                    Err(error) => attempt::fail_after_connect(recorder, session, ctx, error, false),
                }
            }
            Err(error) => attempt::fail_to_connect(recorder, session, ctx, error).into_up(),
        };
        if !error.retry() {
            return Err(error);
        }
    }
}

/// One try: the request goes out, the response comes back.
struct Exchange {
    backend: HttpSession,
    /// There is more of the request's body to come.
    uploading: bool,
    /// The backend takes no more of it.
    refused: bool,
}

impl Exchange {
    async fn run(
        mut self,
        recorder: &Recorder,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<()> {
        let request = Box::new(forward::upgrade(session, ctx)?);
        let sent = self.backend.write_request_header(request).await;
        sent.map_err(Error::into_up)?;
        self.replay(session).await?;
        let (mut header, end) = self.final_header(session, ctx).await?;
        let switched = header.status == StatusCode::SWITCHING_PROTOCOLS;
        if switched && !self.backend.was_upgraded() {
            return Err(unexpected("an HTTP/1.0 response that switches protocols"));
        }
        reply::receive(recorder, session, &mut header, ctx)?;
        if switched {
            self.switch(session, ctx, header).await
        } else {
            self.answer(session, ctx, header, end).await
        }
    }

    /// Sends again what a try before has read of the request's body.
    async fn replay(&mut self, session: &mut Session) -> Result<()> {
        let done = session.as_mut().is_body_done();
        if let Some(piece) = session.as_ref().get_retry_buffer() {
            self.send(&piece).await;
        }
        if done {
            self.end_upload().await;
        }
        Ok(())
    }

    /// Sends a piece of the request's body.
    ///
    /// A backend that takes no more of it may have answered already: the
    /// response tells what became of the request.
    async fn send(&mut self, piece: &Bytes) {
        if !piece.is_empty() && !self.refused {
            self.refused = self.backend.write_body(piece).await.is_err();
        }
    }

    async fn end_upload(&mut self) {
        if std::mem::take(&mut self.uploading) && !self.refused {
            self.refused = self.backend.finish_body().await.is_err();
        }
    }

    async fn upload(
        &mut self,
        session: &mut Session,
        ctx: &mut Context,
        piece: Option<Bytes>,
    ) -> Result<()> {
        if let Some(piece) = &piece {
            intake::count_body(piece.len(), ctx)?;
            self.send(piece).await;
        }
        if piece.is_none() || session.as_mut().is_body_done() {
            self.end_upload().await;
        }
        Ok(())
    }

    /// The next piece of the response; pieces of the request go the other way meanwhile.
    ///
    /// With nothing to upload, this is where a client that leaves, and the
    /// route's deadline, are noticed.
    async fn next(&mut self, session: &mut Session, ctx: &mut Context) -> Result<HttpTask> {
        loop {
            let piece = tokio::select! {
                task = self.backend.read_response_task() => return task.map_err(Error::into_up),
                piece = session.as_mut().read_body_or_idle(!self.uploading) => piece,
            };
            self.upload(session, ctx, piece.map_err(Error::into_down)?)
                .await?;
        }
    }

    /// The response's header, and whether the response ends with it; interim ones are passed on.
    async fn final_header(
        &mut self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<(Box<ResponseHeader>, bool)> {
        loop {
            let HttpTask::Header(header, end) = self.next(session, ctx).await? else {
                return Err(unexpected("a response without a header"));
            };
            let switched = header.status == StatusCode::SWITCHING_PROTOCOLS;
            if switched || !header.status.is_informational() {
                return Ok((header, end));
            }
            let written = session.write_response_header(header, false).await;
            written.map_err(Error::into_down)?;
        }
    }

    /// The backend stays with HTTP: an ordinary response.
    async fn answer(
        mut self,
        session: &mut Session,
        ctx: &mut Context,
        mut header: Box<ResponseHeader>,
        mut end: bool,
    ) -> Result<()> {
        frame(session.req_header().method == Method::HEAD, &mut header)?;
        let written = session.write_response_header(header, end).await;
        written.map_err(Error::into_down)?;
        while !end {
            let (piece, last) = match self.next(session, ctx).await? {
                HttpTask::Body(piece, last) => (piece, last),
                HttpTask::Done => (None, true),
                _ => return Err(unexpected("a response out of order")),
            };
            end = last;
            let written = session.write_response_body(piece, false).await;
            written.map_err(Error::into_down)?;
        }
        let finished = session.as_mut().finish_body().await;
        finished.map_err(Error::into_down)?;
        reply::answered(ctx);
        Ok(())
    }

    /// The protocol was switched: passes bytes both ways until that is over.
    async fn switch(
        mut self,
        session: &mut Session,
        ctx: &mut Context,
        header: Box<ResponseHeader>,
    ) -> Result<()> {
        // The other protocol begins where the request ends (RFC 9110, section 7.8).
        while self.uploading {
            let piece = session.as_mut().read_request_body().await;
            self.upload(session, ctx, piece.map_err(Error::into_down)?)
                .await?;
        }
        // This may last: it must not keep others from being retried.
        ctx.attempts.permit = None;
        let written = session.write_response_header(header, false).await;
        written.map_err(Error::into_down)?;
        let client = client(session).await?;
        let idle = ctx.tunnel_timeout();
        let endpoint = (ctx.attempts.selection.as_ref()).map(|one| Arc::clone(one.endpoint()));
        let cut = async {
            match endpoint {
                Some(endpoint) => endpoint.cut().await,
                None => std::future::pending().await,
            }
        };
        let passed = tunnel::run(client, self.into_side(), idle, cut).await;
        ctx.body_bytes += passed.to_backend;
        ctx.tunnel_bytes = passed.to_client;
        reply::answered(ctx);
        Ok(())
    }

    /// The backend's connection, with what came right behind the response's header.
    fn into_side(mut self) -> Side {
        // An end or an error shows again when the connection is read.
        let first = self.backend.read_body_bytes().now_or_never();
        let first = first.and_then(Result::ok).flatten().unwrap_or_default();
        Side {
            io: self.backend.into_inner(),
            first,
        }
    }
}

/// Takes the client's connection out of the session.
async fn client(session: &mut Session) -> Result<Side> {
    let connection = downstream(session).map(crate::listen::Downstream::release);
    // Makes the session read; there is nothing to be had from it any more.
    session.as_mut().read_body_or_idle(true).await.ok();
    let released = match connection {
        Some(connection) => connection.await.ok(),
        None => None,
    };
    let released = released.ok_or_else(|| {
        let text = "the client's connection cannot be released";
        Error::explain(ErrorType::InternalError, text)
    })?;
    Ok(Side {
        io: released.io,
        first: released.first,
    })
}

/// Lets the client see where the response ends, without the connection's end for it.
fn frame(head: bool, header: &mut ResponseHeader) -> Result<()> {
    header.set_version(Version::HTTP_11);
    let bodiless = head
        || matches!(
            header.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let framed = header.headers.contains_key(header::TRANSFER_ENCODING)
        || header.headers.contains_key(header::CONTENT_LENGTH);
    if !bodiless && !framed {
        header.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    Ok(())
}

fn unexpected(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}
