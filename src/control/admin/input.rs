//! Reading what a request asks for: bounded, strict, and with a word on what would be right.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::timeout;

use super::answer::Refused;
use super::code::Code;
use super::view::ChoiceWord;
use crate::clock::Moment;
use crate::config::{BackendAddress, Choice, DurationText, Format, did_you_mean, quoted};
use crate::control::reconcile::{Change, Heartbeat, Place, Weighing};
use crate::request::query;
use crate::upstream::Mode;

/// Largest body in bytes; 413 beyond.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// Largest configuration in bytes; 413 beyond.
const MAX_CONFIG: usize = 1 << 20;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest `?wait`.
pub(super) const MAX_WAIT: Duration = Duration::from_mins(5);

/// Bounds of a heartbeat's ttl.
const TTL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_hours(1));

/// The longest time in-flight requests may get.
const MAX_DEADLINE: Duration = Duration::from_hours(24);

/// Weights, as in the configuration.
const WEIGHTS: (u32, u32) = (1, 65_535);

/// Longest id of a backend in bytes.
pub(super) const MAX_ID: usize = 261;

/// How a duration is written, for a schema.
pub(super) const DURATION: &str = match DurationText::PATTERN {
    Some(pattern) => pattern,
    None => "",
};

/// What `curl -d` says about any text.
const FORM: &str = "application/x-www-form-urlencoded";

/// A backend registers, or renews its registration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Heartbeat")]
pub(super) struct HeartbeatBody {
    /// Without another heartbeat in this time it is out: `200ms` to `1h`.
    #[schemars(regex(pattern = DURATION))]
    ttl: String,
    /// At first 1, then as it was.
    #[schemars(range(min = 1, max = 65_535))]
    weight: Option<u32>,
    /// `host:port`; needed only where the id is none.
    address: Option<String>,
}

/// What the operator changes about a backend; at least one of the keys, unless `?wait` is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BackendChange")]
pub(super) struct PatchBody {
    /// The weight in force from now on; null for the backend's own.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<u32>", range(min = 1, max = 65_535))]
    weight: Option<Weighing>,
    /// Whether it takes requests.
    state: Option<Wanted>,
    /// With `draining` only: how long what is there may stay, such as `30s`, at most `24h`.
    #[schemars(regex(pattern = DURATION))]
    deadline: Option<String>,
}

/// Whether a backend is to take requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WantedState")]
enum Wanted {
    /// It is.
    Active,
    /// From clients it has already.
    Draining,
    /// From nobody.
    Maintenance,
}

/// What the operator changes about an upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamChange", extend("required" = ["algorithm"]))]
pub(super) struct SteerBody {
    /// The algorithm in force from now on, or `adaptive`; null for the configured one.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(with = "Option<ChoiceWord>")]
    algorithm: Option<String>,
}

/// What the operator wants of the autoscaler.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AutoscalerPause")]
pub(super) struct PauseBody {
    /// Whether nothing is done.
    pub(super) paused: bool,
}

/// Tells `null` from a missing key.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Weighing>, D::Error> {
    let weight = Option::deserialize(deserializer)?;
    Ok(Some(weight.map_or(Weighing::Own, Weighing::Fixed)))
}

/// The upstream that a path names.
pub(super) fn upstream(path: Result<Path<String>, PathRejection>) -> Result<String, Refused> {
    let read = path.map_err(|error| Refused::invalid(error.body_text(), "percent-encode UTF-8"));
    read.map(|Path(name)| name)
}

/// The upstream and the backend that a path names.
pub(super) fn place(path: Result<Path<(String, String)>, PathRejection>) -> Result<Place, Refused> {
    let Path((upstream, backend)) =
        path.map_err(|error| Refused::invalid(error.body_text(), "percent-encode UTF-8"))?;
    Ok(Place { upstream, backend })
}

/// The body, whole, unless it says that it is something else than JSON.
pub(super) async fn json(request: Request) -> Result<Vec<u8>, Refused> {
    if !says(request.headers(), |kind| {
        kind == "application/json" || kind.ends_with("+json")
    }) {
        let hint = "send `Content-Type: application/json`, or none";
        let message = "the body is to be JSON";
        return Err(Refused::new(Code::UnsupportedMediaType, message, hint));
    }
    body(request, MAX_BODY).await
}

/// The body, a configuration, unless it says that it is something else.
pub(super) async fn yaml(request: Request) -> Result<String, Refused> {
    if !says(request.headers(), |kind| {
        kind.ends_with("yaml") || kind == "text/plain" || kind == "application/json"
    }) {
        let hint = "send `Content-Type: application/yaml`, or none";
        let message = "the body is to be YAML";
        return Err(Refused::new(Code::UnsupportedMediaType, message, hint));
    }
    let body = body(request, MAX_CONFIG).await?;
    let wrong = |_| Refused::invalid("the body is not UTF-8 text", "send the file as it is");
    String::from_utf8(body).map_err(wrong)
}

/// Whether the body's type will do, where it is told.
fn says(headers: &HeaderMap, will_do: impl Fn(&str) -> bool) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == FORM || will_do(kind)
}

async fn body(request: Request, limit: usize) -> Result<Vec<u8>, Refused> {
    let read = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), limit)).await;
    let late = |_| Refused::new(Code::LateBody, "the body did not arrive", "try again");
    let broken = |_| {
        let message = "the body broke off or is too large";
        let hint = format!("at most {limit} bytes");
        Refused::new(Code::BrokenBody, message, hint)
    };
    Ok(read.map_err(late)?.map_err(broken)?.to_vec())
}

/// What a heartbeat says; its address is not looked up yet.
pub(super) fn heartbeat(place: Place, body: &[u8]) -> Result<Heartbeat, Refused> {
    const HINT: &str = r#"such as {"ttl": "10s", "address": "10.0.0.1:8080"}"#;
    let body: HeartbeatBody = parse(body, HINT)?;
    id(&place.backend)?;
    let ttl = duration("ttl", &body.ttl, TTL)?;
    weight(body.weight)?;
    let address = body.address.as_deref().unwrap_or(&place.backend);
    Ok(Heartbeat {
        address: address_of(address, body.address.is_none())?,
        resolved: Vec::new(),
        weight: body.weight,
        ttl,
        place,
    })
}

/// What a PATCH asks for. A drain without a deadline gets `drain_timeout`.
pub(super) fn change(body: &[u8], now: Moment, drain_timeout: Duration) -> Result<Change, Refused> {
    const HINT: &str = r#"such as {"weight": 5} or {"state": "draining", "deadline": "30s"}"#;
    let body: PatchBody = if body.is_empty() {
        PatchBody::default()
    } else {
        parse(body, HINT)?
    };
    if let Some(Weighing::Fixed(number)) = body.weight {
        weight(Some(number))?;
    }
    if body.deadline.is_some() && body.state != Some(Wanted::Draining) {
        let message = "`deadline` has no meaning here";
        return Err(Refused::invalid(message, "it belongs to `state: draining`"));
    }
    let deadline = body.deadline.as_deref();
    let deadline = deadline
        .map(|text| duration("deadline", text, (Duration::ZERO, MAX_DEADLINE)))
        .transpose()?;
    Ok(Change {
        weight: body.weight,
        mode: body.state.map(|state| match state {
            Wanted::Active => Mode::Active,
            Wanted::Draining => Mode::Draining {
                until: now.after(deadline.unwrap_or(drain_timeout)),
            },
            Wanted::Maintenance => Mode::Maintenance,
        }),
    })
}

/// Whether a PATCH pauses a target.
pub(super) fn pause(body: &[u8]) -> Result<bool, Refused> {
    let body: PauseBody = parse(body, r#"{"paused": true}, or false"#)?;
    Ok(body.paused)
}

/// What a PATCH wants an upstream to choose by; `None` is what the configuration says.
pub(super) fn algorithm(body: &[u8]) -> Result<Option<Choice>, Refused> {
    const HINT: &str =
        r#"such as {"algorithm": "least_connections"}, or null for the configured one"#;
    let body: SteerBody = parse(body, HINT)?;
    let Some(name) = body.algorithm else {
        return Ok(None);
    };
    let choice = Choice::from_name(&name);
    let choice = choice.ok_or_else(|| {
        let names: Vec<&str> = Choice::names().collect();
        let near = did_you_mean(&name, names.iter().copied());
        let hint = format!("one of {}{near}", names.join(", "));
        Refused::invalid(format!("{} is no algorithm", quoted(&name)), hint)
    })?;
    Ok(Some(choice))
}

/// How long `?wait` asks to wait.
pub(super) fn wait(uri: &Uri) -> Result<Option<Duration>, Refused> {
    let mut wait = None;
    for (name, value) in query(uri.query()) {
        if !name.is("wait") {
            let message = "there is a query parameter other than `wait`";
            return Err(Refused::invalid(message, "such as ?wait=30s"));
        }
        wait = Some(duration(
            "wait",
            &value.decoded(),
            (Duration::ZERO, MAX_WAIT),
        )?);
    }
    Ok(wait)
}

fn parse<T: DeserializeOwned>(body: &[u8], hint: &str) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::invalid(error.to_string(), hint))
}

fn duration(
    name: &str,
    text: &str,
    (shortest, longest): (Duration, Duration),
) -> Result<Duration, Refused> {
    let hint = format!(
        "{}, from {} to {}",
        DurationText::EXPECTED,
        humantime::format_duration(shortest),
        humantime::format_duration(longest)
    );
    match DurationText::parse(text) {
        Ok(value) if (shortest..=longest).contains(&value) => Ok(value),
        Ok(_) => Err(Refused::invalid(format!("`{name}` is out of bounds"), hint)),
        Err(reason) => Err(Refused::invalid(because(name, "duration", &reason), hint)),
    }
}

fn weight(weight: Option<u32>) -> Result<(), Refused> {
    let (least, most) = WEIGHTS;
    match weight {
        Some(weight) if !(least..=most).contains(&weight) => {
            let hint = format!("from {least} to {most}; for none at all, `state: draining`");
            Err(Refused::invalid("`weight` is out of bounds", hint))
        }
        _ => Ok(()),
    }
}

/// An id is a metrics label and stands in the log.
fn id(id: &str) -> Result<(), Refused> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if (1..=MAX_ID).contains(&id.len()) && id.bytes().all(fits) {
        return Ok(());
    }
    let hint = format!("1 to {MAX_ID} ASCII letters, digits and -._:[]");
    Err(Refused::invalid("the backend's id will not do", hint))
}

fn address_of(text: &str, is_id: bool) -> Result<String, Refused> {
    let refused = |reason: &str| {
        let hint = if is_id {
            format!(
                "with an id that is no address, `address` says it: {}",
                BackendAddress::EXPECTED
            )
        } else {
            BackendAddress::EXPECTED.to_owned()
        };
        Refused::invalid(because("address", "backend's address", reason), hint)
    };
    let address = BackendAddress::parse(text).map_err(|reason| refused(&reason))?;
    match address.parse::<SocketAddr>() {
        Ok(parsed) if parsed.ip().is_unspecified() || parsed.ip().is_multicast() => {
            Err(refused("nothing can be connected to there"))
        }
        _ => Ok(address),
    }
}

fn because(name: &str, what: &str, reason: &str) -> String {
    let separator = if reason.is_empty() { "" } else { ": " };
    format!("`{name}` is no {what}{separator}{reason}")
}
