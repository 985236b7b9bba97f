//! The calls of the Engine's API that are needed, each on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::timeout;

use super::container::Container;
use super::event::Event;
use crate::config::Endpoint;
use crate::control::engine;

/// Until the head of an answer is there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For the whole list.
const LIST: Duration = Duration::from_secs(30);

/// Bytes of the longest list: ten thousand containers and more.
const MAX_LIST: usize = 32 << 20;

/// Bytes of events that wait to be told; the labels of a container are part of each.
const MAX_EVENT: usize = 4 << 20;

/// Bytes of what is said with an error.
const MAX_ERROR: usize = 4 << 10;

/// What happens to a container or its networks that can change its being a backend.
const EVENTS: [&str; 10] = [
    "start",
    "kill",
    "die",
    "destroy",
    "pause",
    "unpause",
    "rename",
    "health_status",
    "connect",
    "disconnect",
];

/// An Engine.
#[derive(Debug)]
pub(super) struct Engine {
    endpoint: Endpoint,
    /// What paths begin with: the version that the Engine has, such as `/v1.45`.
    prefix: String,
}

/// What the Engine says while it lasts. Dropped, the connection is closed.
pub(super) struct Events {
    body: Incoming,
    /// Read and not told yet.
    said: Vec<u8>,
}

impl Engine {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            prefix: String::new(),
        }
    }

    /// Asks for the version. Another Engine may have come to the same place.
    pub(super) async fn greet(&mut self) -> Result<(), String> {
        let answer = self.get("/_ping").await?;
        let version = answer.headers().get("api-version");
        let version = version.and_then(|version| version.to_str().ok());
        let is_sound = |version: &&str| {
            let mut characters = version.chars();
            version.len() < 10 && characters.all(|c| c.is_ascii_digit() || c == '.')
        };
        self.prefix = version
            .filter(is_sound)
            .map_or_else(String::new, |version| format!("/v{version}"));
        Ok(())
    }

    /// The running containers with all of these labels; of those that have a health check, the
    /// healthy ones.
    pub(super) async fn containers(&self, labels: &[String]) -> Result<Vec<Container>, String> {
        let filters = json!({
            "status": ["running"], "health": ["healthy", "none"], "label": labels,
        });
        let answer = self.get(&self.path("/containers/json", &filters)).await?;
        let body = Limited::new(answer.into_body(), MAX_LIST).collect();
        let body = timeout(LIST, body).await;
        let body = body.map_err(|_| format!("the list takes longer than {LIST:?}"))?;
        let body = body.map_err(|error| format!("the list broke off: {error}"))?;
        serde_json::from_slice(&body.to_bytes())
            .map_err(|error| format!("the list is not understood: {error}"))
    }

    /// The events from now on.
    pub(super) async fn events(&self) -> Result<Events, String> {
        let filters = json!({ "type": ["container", "network"], "event": EVENTS });
        let answer = self.get(&self.path("/events", &filters)).await?;
        Ok(Events {
            body: answer.into_body(),
            said: Vec::new(),
        })
    }

    fn path(&self, path: &str, filters: &serde_json::Value) -> String {
        let filters = filters.to_string();
        format!(
            "{}{path}?filters={}",
            self.prefix,
            engine::encoded(&filters)
        )
    }

    async fn get(&self, path: &str) -> Result<Response<Incoming>, String> {
        let title = engine::title(&self.endpoint);
        let place = engine::place(&self.endpoint).map_err(|reason| format!("{title}: {reason}"))?;
        let request = Request::get(path).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| format!("{path}: {error}"))?;
        // What is read of a body is bounded by whoever reads it.
        let asked = timeout(TIMEOUT, place.send(request, usize::MAX)).await;
        let answer = asked
            .map_err(|_| format!("no answer within {TIMEOUT:?}"))?
            .map_err(|error| format!("{title} cannot be reached: {error}"))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let said = timeout(TIMEOUT, Limited::new(body, MAX_ERROR).collect()).await;
        let said = said.ok().and_then(Result::ok);
        let said = said.map_or_else(Bytes::new, Collected::to_bytes);
        let said = String::from_utf8_lossy(&said);
        Err(format!("the Engine says {}: {}", head.status, said.trim()))
    }
}

impl Events {
    /// What happens next; `None` when the Engine says no more. Cancelled, nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.said.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.said.drain(..=end).collect();
                if !line.trim_ascii().is_empty() {
                    return Some(Event::of(&line));
                }
                continue;
            }
            let frame = self.body.frame().await?.ok()?;
            let data = frame.into_data().unwrap_or_default();
            if self.said.len() + data.len() > MAX_EVENT {
                return None;
            }
            self.said.extend_from_slice(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_with_the_version() {
        let engine = Engine {
            endpoint: Endpoint::Tcp("localhost:1".to_owned()),
            prefix: "/v1.45".to_owned(),
        };
        assert_eq!(
            engine.path("/events", &json!({})),
            "/v1.45/events?filters=%7B%7D"
        );
    }
}
