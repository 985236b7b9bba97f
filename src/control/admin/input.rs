//! Reading what a request asks for: bounded, strict, and with a word on what would be right.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::Uri;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::answer::Refused;
use super::code::Code;
use crate::clock::Moment;
use crate::config::{BackendAddress, DurationText, Format};
use crate::control::reconcile::{Change, Heartbeat, Place, Weighing};
use crate::request::query;
use crate::upstream::Mode;

/// Largest body in bytes; 413 beyond.
pub(super) const MAX_BODY: usize = 16 * 1024;

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
const MAX_ID: usize = 261;

/// The body of a heartbeat.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeartbeatBody {
    ttl: String,
    weight: Option<u32>,
    address: Option<String>,
}

/// The body of a PATCH.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PatchBody {
    #[serde(deserialize_with = "given")]
    weight: Option<Weighing>,
    state: Option<Wanted>,
    deadline: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Active,
    Draining,
    Maintenance,
}

/// Tells `null` from a missing key.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Weighing>, D::Error> {
    let weight = Option::deserialize(deserializer)?;
    Ok(Some(weight.map_or(Weighing::Own, Weighing::Fixed)))
}

/// The upstream and the backend that a path names.
pub(super) fn place(path: Result<Path<(String, String)>, PathRejection>) -> Result<Place, Refused> {
    let Path((upstream, backend)) =
        path.map_err(|error| Refused::invalid(error.body_text(), "percent-encode UTF-8"))?;
    Ok(Place { upstream, backend })
}

/// The body, whole.
pub(super) async fn body(body: Body) -> Result<Vec<u8>, Refused> {
    let read = timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await;
    let late = |_| Refused::new(Code::LateBody, "the body did not arrive", "try again");
    let broken = |_| {
        let message = "the body broke off or is too large";
        let hint = format!("at most {MAX_BODY} bytes");
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
