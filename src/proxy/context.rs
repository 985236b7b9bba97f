//! What the proxy remembers of one request between Pingora's phases.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use pingora_proxy::Session;

use super::origin::{Origin, Trail};
use super::peer::{Live, Wish};
use crate::clock::Moment;
use crate::config::{self, Algorithm};
use crate::listen::Downstream;
use crate::observe::decisions::Decision;
use crate::reject::Reject;
use crate::request::Facts;
use crate::route::RouteMatch;
use crate::upstream::{Selection, Tried, Upstream, retry};

/// One request's state.
pub struct Context {
    /// The configuration this request is served by, from beginning to end.
    pub(super) live: Arc<Live>,
    pub(super) started: Moment,
    pub(super) listener: usize,
    pub(super) origin: Origin,
    pub(super) request_id: HeaderValue,
    /// What is forwarded about the client, from the connection's last request or for its next.
    pub(super) trail: Option<Arc<Trail>>,
    pub(super) host: Host,
    /// The normalised path where it differs from the one sent.
    pub(super) path: Option<String>,
    pub(super) route: Option<RouteMatch>,
    pub(super) upstream: Option<usize>,
    /// What `?algo=` asks for.
    pub(super) algorithm: Option<Algorithm>,
    /// The client asks to switch protocols.
    pub(super) upgrade: bool,
    /// Path and query for the backend where they differ from what the client sent.
    pub(super) target: Option<String>,
    pub(super) attempts: Attempts,
    pub(super) times: Times,
    /// What stickiness did, for the access log.
    pub(super) sticky: Option<&'static str>,
    /// Bytes of the request's body so far.
    pub(super) body_bytes: u64,
    /// Bytes the client got after the protocol was switched.
    pub(super) tunnel_bytes: u64,
    /// Why the answer is ours.
    pub(super) reject: Option<Reject>,
}

/// The normalised host.
pub(super) enum Host {
    /// So many bytes of the header's text: what follows is the port.
    Start(usize),
    /// Another text than the header's.
    Other(String),
}

/// The tries to get an answer from a backend.
#[derive(Default)]
pub(super) struct Attempts {
    /// Tries so far.
    pub(super) count: u32,
    /// Tries repeated because a pooled connection had gone stale.
    pub(super) stale: u32,
    /// Tries repeated as the route's policy allows.
    pub(super) retries: u8,
    /// The current backend, counted as in flight.
    pub(super) selection: Option<Selection>,
    /// How it was chosen, while somebody looks and until the try is recorded.
    pub(super) decision: Option<Arc<Decision>>,
    /// Backends that failed this request.
    pub(super) tried: Tried,
    /// The next try, decided when the last one failed.
    pub(super) planned: Option<Planned>,
    /// Holds this request's place in the retry budget.
    pub(super) permit: Option<retry::Permit>,
    /// Status of the current try's response.
    pub(super) response: Option<StatusCode>,
    /// The current try was recorded.
    pub(super) recorded: bool,
    /// The current try's result was told to the backend's live state.
    pub(super) counted: bool,
    /// Why tries were repeated.
    pub(super) retried: Reasons,
}

/// Why tries were repeated, in order; bounded like the tries themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reasons {
    words: [&'static str; Tried::CAPACITY],
    len: usize,
}

impl Reasons {
    pub(super) fn push(&mut self, word: &'static str) {
        if let Some(slot) = self.words.get_mut(self.len) {
            *slot = word;
            self.len += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[&'static str] {
        &self.words[..self.len]
    }
}

/// A try that is about to be made.
pub(super) struct Planned {
    pub(super) picked: Picked,
    pub(super) wait: Duration,
}

/// A backend that was chosen.
pub(super) struct Picked {
    /// It, counted as in flight.
    pub(super) selection: Selection,
    /// How it was chosen, if that is kept.
    pub(super) decision: Option<Arc<Decision>>,
}

/// When things happened; zero when they did not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// The last backend was chosen.
    pub(super) chosen: Moment,
    /// Its connection was ready.
    pub(super) connected: Moment,
    /// Its first byte arrived.
    pub(super) first_byte: Moment,
    /// Its last byte arrived.
    pub(super) answered: Moment,
    /// Time spent in the queue.
    pub(super) queued: Duration,
    /// Time spent on tries that failed, backoff included.
    pub(super) lost: Duration,
    /// The connection was taken from the pool.
    pub(super) reused: bool,
}

impl Times {
    /// Forgets the try before, and starts the next.
    pub(super) const fn begin_attempt(&mut self, now: Moment) {
        self.chosen = now;
        self.connected = Moment::ZERO;
        self.first_byte = Moment::ZERO;
        self.answered = Moment::ZERO;
    }
}

impl Context {
    pub(super) fn new(live: Arc<Live>) -> Self {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            live,
            started: Moment::ZERO,
            listener: 0,
            origin: Origin {
                peer: nobody,
                client: nobody,
                trusted: false,
            },
            request_id: HeaderValue::from_static(""),
            trail: None,
            host: Host::Start(0),
            path: None,
            route: None,
            upstream: None,
            algorithm: None,
            upgrade: false,
            target: None,
            attempts: Attempts::default(),
            times: Times::default(),
            sticky: None,
            body_bytes: 0,
            tunnel_bytes: 0,
            reject: None,
        }
    }

    /// The upstream and the backend of the current try.
    pub(super) fn current(&self) -> Option<(&Upstream, &Selection)> {
        let upstream = &self.live.groups()[self.upstream?].upstream;
        Some((upstream, self.attempts.selection.as_ref()?))
    }

    /// What the connection's next request can use of this one.
    pub(super) fn keep(&self) -> Option<Box<dyn Any + Send + Sync>> {
        let trail = self.trail.as_ref()?;
        Some(Box::new(Arc::clone(trail)))
    }

    /// Takes what the connection's last request has kept.
    pub(super) fn restore(&mut self, kept: Box<dyn Any + Send + Sync>) {
        self.trail = kept.downcast().ok().map(|trail| *trail);
    }

    /// The facts that routing and selection decide by.
    pub(super) fn facts<'r>(&'r self, session: &'r Session) -> Facts<'r> {
        let request = session.req_header();
        Facts {
            listener: self.listener,
            method: &request.method,
            host: match &self.host {
                Host::Start(bytes) => &raw_host(session)[..*bytes],
                Host::Other(host) => host,
            },
            path: self.path.as_deref().unwrap_or_else(|| request.uri.path()),
            query: request.uri.query(),
            headers: &request.headers,
            client: self.origin.client,
        }
    }

    /// The listener the request came in on.
    pub(super) fn listener(&self) -> &config::Listener {
        &self.live.config().listeners[self.listener]
    }

    /// The route that matched.
    pub(super) fn route(&self) -> Option<&config::Route> {
        let index = self.route?.route;
        Some(&self.live.config().routes[index])
    }

    /// Time until the request must be answered.
    pub(super) fn left(&self, now: Moment) -> Duration {
        let limit = self.route().map_or(Duration::MAX, |route| route.timeout);
        limit.saturating_sub(now.since(self.started))
    }

    /// How long this request may wait for a slot.
    pub(super) fn queue_timeout(&self) -> Duration {
        let upstream = self
            .upstream
            .map(|index| &self.live.config().upstreams[index]);
        upstream.map_or(Duration::ZERO, |upstream| upstream.queue.timeout)
    }

    /// How long a switched protocol may be silent.
    pub(super) fn tunnel_timeout(&self) -> Duration {
        let upstream = self
            .upstream
            .map(|index| &self.live.config().upstreams[index]);
        upstream.map_or(Duration::ZERO, |upstream| upstream.timeouts.tunnel)
    }

    /// Whether the current backend connection would be one too many once it is idle.
    pub(super) fn surplus_connection(&self) -> bool {
        let (Some(index), Some(selection)) = (self.upstream, &self.attempts.selection) else {
            return false;
        };
        let endpoint = selection.endpoint();
        let idle = endpoint
            .connections()
            .saturating_sub(endpoint.in_flight() as usize);
        idle >= self.live.config().upstreams[index].max_idle_per_backend
    }

    /// What this request asks of the backend connection.
    pub(super) fn wish(&self, session: &Session, now: Moment) -> Wish {
        Wish {
            left: self.left(now),
            http2: session.req_header().version == http::Version::HTTP_2,
            upgrade: self.upgrade,
        }
    }
}

/// The host as it stands in the request, before normalisation.
pub(super) fn raw_host(session: &Session) -> &str {
    let request = session.req_header();
    request
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or_default()
}

/// The wrapped client connection; HTTP/2 streams have none of their own.
pub(super) fn downstream(session: &Session) -> Option<&Downstream> {
    let stream = session.as_downstream().as_http1()?.stream();
    (**stream).as_any().downcast_ref()
}
