//! The calls about the configuration: what it is, what another would change, and going over to it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::answer::{Note, Refused, json, noted};
use super::api::Api;
use super::code::Code;
use super::{input, tag};
use crate::config::mask::{MASK, masked};
use crate::control::reconcile::{Refusal, Tag};
use crate::control::reload::{Change, Plan, Rejected, Reloads, Status};

/// The configuration in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Configuration")]
pub(super) struct InForce {
    /// Stands for its text.
    hash: String,
    /// When it was loaded, in seconds since 1970.
    loaded_at: f64,
    /// The file; null where the process was started without one.
    path: Option<String>,
    /// Whether it came through the API and differs from the file.
    replaced: bool,
    /// The last try to load another; null before the first.
    last_reload: Option<LastReload>,
    /// What of it takes effect only in a new process.
    needs_upgrade: Vec<Change>,
}

/// A try to load a configuration.
#[derive(Debug, Serialize, JsonSchema)]
struct LastReload {
    /// When, in seconds since 1970.
    at: f64,
    /// What led to it: `file`, `signal` or `api`.
    trigger: &'static str,
    /// Whether it was taken.
    ok: bool,
    /// Everything that was wrong.
    errors: Vec<String>,
}

impl InForce {
    pub(super) fn of(status: &Status) -> Self {
        Self {
            hash: hash(&status.text),
            loaded_at: status.loaded_at as f64,
            path: status.path.as_ref().map(|path| path.display().to_string()),
            replaced: status.replaced,
            last_reload: status.last.as_ref().map(|last| LastReload {
                at: last.at as f64,
                trigger: last.trigger,
                ok: last.errors.is_empty(),
                errors: last.errors.clone(),
            }),
            needs_upgrade: status.needs_upgrade.clone(),
        }
    }
}

/// The first sixteen digits of the text's SHA-256: enough to tell files apart.
fn hash(text: &str) -> String {
    format!("{:016x}", version(text).0)
}

fn version(text: &str) -> Tag {
    let digest = Sha256::digest(text.as_bytes());
    Tag(digest
        .iter()
        .take(8)
        .fold(0, |all, &byte| (all << 8) | u64::from(byte)))
}

/// `GET /api/v1/config`.
pub(super) async fn show<T>(State(api): State<Arc<Api<T>>>) -> Result<Response, Refused> {
    let status = reloads(&api)?.status();
    let text = &status.text;
    let headers = [
        (CONTENT_TYPE, "application/yaml"),
        (CACHE_CONTROL, "no-store"),
    ];
    let answer = (StatusCode::OK, headers, masked(text)).into_response();
    Ok(tag::tagged(answer, version(text)))
}

/// `POST /api/v1/config/plan`.
pub(super) async fn plan<T>(
    State(api): State<Arc<Api<T>>>,
    request: Request,
) -> Result<Response, Refused> {
    let text = text(request).await?;
    let plan = reloads(&api)?.plan(text).await?;
    let note = Note {
        text: format!("planned: {}", plan.summary()),
        is_routine: true,
    };
    Ok(noted(json(StatusCode::OK, &plan), note))
}

/// `PUT /api/v1/config`.
pub(super) async fn replace<T>(
    State(api): State<Arc<Api<T>>>,
    request: Request,
) -> Result<Response, Refused> {
    let reloads = reloads(&api)?;
    let headers = request.headers().clone();
    let text = text(request).await?;
    let _turn = api.configuring.lock().await;
    let before = as_expected(reloads, &headers)?;
    let plan = reloads.replace(text).await?;
    Ok(done(reloads, before, &plan))
}

/// `POST /api/v1/reload`.
pub(super) async fn reload<T>(
    State(api): State<Arc<Api<T>>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let reloads = reloads(&api)?;
    let _turn = api.configuring.lock().await;
    let before = as_expected(reloads, &headers)?;
    let plan = reloads.reload().await?;
    Ok(done(reloads, before, &plan))
}

/// The body of a call, a configuration. One that was shown is to get its secrets back first.
async fn text(request: Request) -> Result<String, Refused> {
    let text = input::yaml(request).await?;
    if text.contains(MASK) {
        let message = format!("it has `{MASK}` where a secret was");
        let hint = "put the secrets back in, or say `${NAME}` and give them by the environment";
        return Err(Refused::new(Code::InvalidConfig, message, hint));
    }
    Ok(text)
}

fn reloads<T>(api: &Api<T>) -> Result<&Reloads, Refused> {
    let reloads = api.seen.reloads.as_ref();
    reloads.ok_or_else(|| Rejected::NoFile.into())
}

/// The version in force, where `If-Match` agrees. Whoever calls this holds the turn, so that no
/// other call comes between; a change of the file may, and is the newer word then.
fn as_expected(reloads: &Reloads, headers: &HeaderMap) -> Result<Tag, Refused> {
    let found = version(&reloads.status().text);
    match tag::expected(headers)? {
        Some(expected) if !expected.contains(&found) => {
            let message = "the configuration has changed meanwhile";
            let hint = "GET /api/v1/config says what it is now";
            Err(Refused::new(Code::PreconditionFailed, message, hint))
        }
        _ => Ok(found),
    }
}

fn done(reloads: &Reloads, before: Tag, plan: &Plan) -> Response {
    let after = version(&reloads.status().text);
    let note = Note {
        text: format!(
            "configuration {:016x} -> {:016x}: {}",
            before.0,
            after.0,
            plan.summary()
        ),
        is_routine: false,
    };
    noted(tag::tagged(json(StatusCode::OK, plan), after), note)
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Invalid(errors) => {
                let message = match &errors[..] {
                    [one] => one.clone(),
                    several => format!("{} errors", several.len()),
                };
                let hint = "the configuration before it stays in force; `errors` has all of them";
                Self {
                    errors,
                    ..Self::new(Code::InvalidConfig, message, hint)
                }
            }
            Rejected::NoFile => {
                let message = "there is no configuration file";
                let hint = "start with `evenkeel run --config FILE`";
                Self::new(Code::NoConfigFile, message, hint)
            }
            Rejected::Ended => Refusal::Ended.into(),
        }
    }
}
