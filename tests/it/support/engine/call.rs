//! The calls of the Engine's API, and what becomes of them.

use std::time::Duration;

use serde_json::{Value, json};

/// A call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Ping,
    Events,
    List,
    Inspect,
    Create,
    Start,
    Stop,
    Remove,
    Service,
    Update,
    Unknown,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing is done, and this is answered.
    Refused(u16, &'static str),
    /// Nothing is done, and nothing is answered for as long as the client stays.
    Hangs,
    /// Nothing is done, and the connection is closed.
    Cut,
    /// It is done, and nothing is answered.
    DoneAndHangs,
    /// It is done, and the connection is closed.
    DoneAndCut,
    /// It is done, and the connection is closed in the middle of the answer.
    DoneAndHalf,
    /// It is done, and what is answered is no JSON.
    DoneAndGarbage,
    /// It is done, and answered so much later.
    Slow(Duration),
    /// The connection is closed, and it is done when all goes well again. Its name is taken.
    DoneLater,
}

/// What becomes of a connection.
pub(crate) enum Outcome {
    Answer(u16, Option<Value>),
    Hang,
    Cut,
    /// The answer, cut in the middle.
    Half(u16, Option<Value>),
    /// This status, and something that is no JSON.
    Garbage(u16),
    /// The answer, so much later.
    Slow(Duration, u16, Option<Value>),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// `null` where there was none.
    pub(crate) body: Value,
}

/// Which call a request is, whatever version stands in its path.
pub(crate) fn call(method: &str, path: &str) -> Call {
    let bare = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = bare
        .split('/')
        .skip(1)
        .filter(|part| !(part.starts_with("v1.") && part[3..].parse::<u32>().is_ok()))
        .collect();
    match (method, segments.as_slice()) {
        ("GET" | "HEAD", ["_ping"]) => Call::Ping,
        ("GET", ["events"]) => Call::Events,
        ("GET", ["containers", "json"]) => Call::List,
        ("GET", ["containers", _, "json"]) => Call::Inspect,
        ("POST", ["containers", "create"]) => Call::Create,
        ("POST", ["containers", _, "start"]) => Call::Start,
        ("POST", ["containers", _, "stop"]) => Call::Stop,
        ("DELETE", ["containers", _]) => Call::Remove,
        ("GET", ["services", _]) => Call::Service,
        ("POST", ["services", _, "update"]) => Call::Update,
        _ => Call::Unknown,
    }
}

/// What stands after `containers` or `services`.
pub(super) fn segment(path: &str) -> &str {
    let mut segments = path.split('/');
    segments.find(|part| matches!(*part, "containers" | "services"));
    segments.next().unwrap_or_default()
}

pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

pub(super) fn missing(id: &str) -> Outcome {
    refused(404, &format!("No such container: {id}"))
}

pub(super) fn refused(status: u16, said: &str) -> Outcome {
    Outcome::Answer(status, Some(json!({ "message": said })))
}
