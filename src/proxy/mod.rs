//! Stage 5, the data plane: the one place that acts on what the stages decide.
//!
//! Pingora calls the phases of [`Proxy`]; each is a few lines that hand over to
//! a file named after what happens: `intake` decides, `attempt` chooses a
//! backend and fails over, `forward` and `reply` shape what goes out and
//! what comes back, `answer` speaks in a backend's stead, `record` tells
//! `observe`. Requests for another protocol take a way of their own, `upgrade`,
//! which ends in a `tunnel`.

mod answer;
mod attempt;
mod blame;
mod context;
mod edit;
mod forward;
mod intake;
mod origin;
mod peer;
mod record;
mod reply;
mod tunnel;
mod upgrade;
mod witness;

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::connectors::TransportConnector;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::listen::{self, Connections};
use crate::observe::Recorder;
use crate::reject::Reject;
use crate::snapshot::Published;
pub use context::Context;
pub use peer::{Identity, Live, Transport};

/// The load balancer, as Pingora calls it.
pub struct Proxy {
    published: Arc<Published<Transport>>,
    connections: Arc<Connections>,
    recorder: Arc<Recorder>,
    /// Opens the connections that are not for Pingora to use.
    connector: TransportConnector,
}

impl Proxy {
    /// A proxy that serves what is published.
    #[must_use]
    pub fn new(
        published: Arc<Published<Transport>>,
        connections: Arc<Connections>,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self {
            published,
            connections,
            recorder,
            connector: TransportConnector::new(None),
        }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.published.load())
    }

    /// No modules: each would cost every request an allocation.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        intake::arrive(&self.connections, session, ctx);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        match intake::decide(session, ctx) {
            Ok(intake::Decision::Forward) => return Ok(false),
            Ok(intake::Decision::Answer) => Box::pin(answer::route(session, ctx)).await?,
            Err(reason) => Box::pin(answer::reject(session, ctx, reason)).await?,
        }
        Ok(true)
    }

    async fn proxy_upstream_filter(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<bool> {
        let served = upgrade::serve(&self.connector, &self.recorder, session, ctx).await?;
        Ok(!served)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        intake::count_body(body.as_ref().map_or(0, Bytes::len), ctx)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        attempt::peer(&self.recorder, session, ctx).await
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        attempt::connected(ctx, reused);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        forward::request(session, request, ctx)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        reply::receive(&self.recorder, session, response, ctx)
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        _body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        reply::body(session, end_of_stream, ctx).map(|()| None)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        attempt::fail_to_connect(&self.recorder, session, ctx, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        attempt::fail_after_connect(&self.recorder, session, ctx, error, client_reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Context,
    ) -> FailToProxy {
        answer::failure(session, error, ctx).await
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Context,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn persist_connection_context(
        &self,
        _session: &Session,
        ctx: &Context,
    ) -> Option<Box<dyn Any + Send + Sync>> {
        ctx.keep()
    }

    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        ctx: &mut Context,
        kept: Box<dyn Any + Send + Sync>,
    ) {
        ctx.restore(kept);
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, ctx: &mut Context) {
        attempt::finished(ctx);
        record::request(&self.recorder, session, ctx);
        ctx.attempts = context::Attempts::default();
    }
}

/// Records connections that never became a request.
pub struct Doorman {
    published: Arc<Published<Transport>>,
    recorder: Arc<Recorder>,
}

impl Doorman {
    /// Records with `recorder`.
    #[must_use]
    pub const fn new(published: Arc<Published<Transport>>, recorder: Arc<Recorder>) -> Self {
        Self {
            published,
            recorder,
        }
    }
}

impl listen::Observer for Doorman {
    fn refused(&self, listener: usize, client: IpAddr, reason: Reject) {
        let live = self.published.load();
        record::refused(&self.recorder, &live, listener, client, reason);
    }
}
