//! `GET /api/v1/events`: the timeline, as a stream or as a list.
//!
//! A stream is Server-Sent Events, which browsers read and resume by themselves
//! and `curl -N` shows as they are. What a slow reader costs is bounded: an
//! entry is written when the connection takes it, until then it waits in the
//! timeline like for everybody else, and a reader whom it does not wait for any
//! more is told how many it has lost.
//!
//! A stream ends after [`LONGEST`], so that what hangs is not held for ever;
//! with `Last-Event-ID` the next one goes on where it ended.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Sleep, sleep};

use super::answer::{Refused, json};
use super::api::Api;
use super::code::Code;
use crate::control::lifecycle::Lifecycle;
use crate::control::timeline::{Entry, KEPT, Subscription};
use crate::request::query;

/// How long a stream lasts.
const LONGEST: Duration = Duration::from_mins(5);

/// Without an event for so long, a comment shows that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// After this time a browser comes back when a stream has ended.
const RETRY: Duration = Duration::from_secs(1);

/// Entries in a list unless `?n=` says otherwise.
const IN_A_LIST: usize = 50;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The data of an event `lost`: entries that were asked for and cannot be told any more.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Lost {
    /// How many.
    lost: u64,
}

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// The last so many.
    count: Option<usize>,
    /// Those after this one.
    after: Option<u64>,
    is_list: bool,
}

/// `GET /api/v1/events`.
pub(super) async fn events<T>(
    State(api): State<Arc<Api<T>>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refused>
where
    T: Send + Sync + 'static,
{
    let wanted = Wanted::of(&headers, &uri)?;
    let timeline = &api.seen.timeline;
    if wanted.is_list {
        let count = wanted.count.unwrap_or(IN_A_LIST);
        let entries = match wanted.after {
            Some(id) => timeline.follow_after(id).replay,
            None => timeline.last(count),
        };
        let skipped = entries.len().saturating_sub(wanted.count.unwrap_or(KEPT));
        let entries: Vec<&Entry> = entries.iter().skip(skipped).map(|one| &**one).collect();
        return Ok(json(StatusCode::OK, &entries));
    }
    let seat = Arc::clone(&api.streams).try_acquire_owned();
    let seat = seat.map_err(|_| {
        let hint = "ask with `Accept: application/json` instead";
        Refused::new(Code::TooManyStreams, "too many streams are open", hint)
    })?;
    let subscription = match wanted.after {
        Some(id) => timeline.follow_after(id),
        None => timeline.follow(wanted.count.unwrap_or(0)),
    };
    let feed = Feed::new(subscription, Arc::clone(&api.lifecycle), seat);
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("alive");
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Wanted {
    fn of(headers: &HeaderMap, uri: &Uri) -> Result<Self, Refused> {
        let mut wanted = Self {
            is_list: wants_list(headers),
            ..Self::default()
        };
        let resumed = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty());
        if let Some(id) = resumed {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            wanted.after = Some(id.ok_or_else(|| {
                let hint = "the `id` of an event, a whole number";
                Refused::invalid("`Last-Event-ID` is not understood", hint)
            })?);
        }
        for (name, value) in query(uri.query()) {
            let value = value.decoded();
            if name.is("n") {
                let count = value.parse().ok().filter(|count| *count <= KEPT);
                wanted.count = Some(count.ok_or_else(|| {
                    Refused::invalid("`n` is out of bounds", format!("from 0 to {KEPT}"))
                })?);
            } else if name.is("after") {
                let id = value.parse().ok();
                let asked = id.ok_or_else(|| {
                    let hint = "the `id` of an event, a whole number";
                    Refused::invalid("`after` is no number", hint)
                })?;
                // A browser that comes back repeats the address and knows better.
                wanted.after = wanted.after.or(Some(asked));
            } else {
                let message = "there is a query parameter other than `n` and `after`";
                return Err(Refused::invalid(message, "such as ?n=20 or ?after=17"));
            }
        }
        Ok(wanted)
    }
}

/// Whether the client asks for JSON rather than for a stream, or for whatever there is.
fn wants_list(headers: &HeaderMap) -> bool {
    let accepts = |kind: &str| {
        headers.get_all(ACCEPT).iter().any(|value| {
            let value = value.to_str().unwrap_or_default();
            value.to_ascii_lowercase().contains(kind)
        })
    };
    accepts("application/json") && !accepts("text/event-stream")
}

/// One client's way through the timeline.
struct Feed {
    begun: bool,
    lost: u64,
    replay: VecDeque<Arc<Entry>>,
    live: Receiver<Arc<Entry>>,
    end: Pin<Box<Sleep>>,
    lifecycle: Arc<Lifecycle>,
    /// Free for another client when this one is gone.
    _seat: OwnedSemaphorePermit,
}

impl Feed {
    fn new(
        subscription: Subscription,
        lifecycle: Arc<Lifecycle>,
        seat: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            begun: false,
            lost: subscription.lost,
            replay: subscription.replay.into(),
            live: subscription.live,
            end: Box::pin(sleep(LONGEST)),
            lifecycle,
            _seat: seat,
        }
    }

    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            // The head of the answer is sent with its first bytes.
            self.begun = true;
            return Some(Event::default().retry(RETRY).comment("events"));
        }
        if self.lost > 0 {
            return Some(lost(std::mem::take(&mut self.lost)));
        }
        if let Some(entry) = self.replay.pop_front() {
            return Some(event(&entry));
        }
        tokio::select! {
            received = self.live.recv() => match received {
                Ok(entry) => Some(event(&entry)),
                Err(RecvError::Lagged(count)) => Some(lost(count)),
                Err(RecvError::Closed) => None,
            },
            () = &mut self.end => None,
            // The process that has taken over goes on.
            () = self.lifecycle.handed_over() => None,
        }
    }
}

fn event(entry: &Entry) -> Event {
    let event = Event::default()
        .id(entry.id.to_string())
        .event(entry.happening.kind());
    with_data(event, entry)
}

fn lost(count: u64) -> Event {
    with_data(Event::default().event("lost"), &Lost { lost: count })
}

fn with_data(event: Event, data: &impl Serialize) -> Event {
    match serde_json::to_string(data) {
        Ok(data) => event.data(data),
        Err(error) => event.comment(error.to_string().replace(['\r', '\n'], " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(headers: &[(&str, &str)], uri: &str) -> Result<Wanted, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let uri = uri.parse().expect("a URI");
        Wanted::of(&map, &uri).map_err(|refused| refused.message)
    }

    #[test]
    fn a_stream_unless_only_json_is_wanted() {
        for (accept, is_list) in [
            ("*/*", false),
            ("text/event-stream", false),
            ("text/event-stream, application/json", false),
            ("Application/JSON", true),
            ("application/json, text/plain, */*", true),
        ] {
            let found = wanted(&[("accept", accept)], "/").expect("fine");
            assert_eq!(found.is_list, is_list, "{accept}");
        }
    }

    #[test]
    fn where_to_begin_is_told_by_header_or_query() {
        let header = [("last-event-id", "7")];
        assert_eq!(wanted(&header, "/").map(|wanted| wanted.after), Ok(Some(7)));
        let both = wanted(&header, "/?after=3&n=9").expect("fine");
        assert_eq!((both.after, both.count), (Some(7), Some(9)));
        assert_eq!(wanted(&[("last-event-id", "")], "/"), Ok(Wanted::default()));
        for uri in ["/?n=513", "/?n=-1", "/?n=", "/?after=x", "/?m=1"] {
            assert!(wanted(&[], uri).is_err(), "{uri}");
        }
        assert!(wanted(&[("last-event-id", "x")], "/").is_err());
    }
}
