//! Every call of the API.

use axum::http::StatusCode;
use serde_json::json;

use super::call::{Call, duration, etag, query};
use super::schemas::Schemas;
use crate::control::admin::code::Code;
use crate::control::admin::{autoscaler, events, explain, input, ready, status, view, write};
use crate::control::autoscale::board;
use crate::control::explain::Report;
use crate::control::reload::Plan;
use crate::control::timeline::{Entry, KEPT};
use crate::observe::decisions::CAPACITY;

const CONFIG: &str = "/api/v1/config";
const UPSTREAM: &str = "/api/v1/upstreams/{upstream}";
const BACKEND: &str = "/api/v1/upstreams/{upstream}/backends/{backend}";
const HEARTBEAT: &str = "/api/v1/upstreams/{upstream}/backends/{backend}/heartbeat";

/// Every one, in the order in which they are to be read.
pub(super) fn all(schemas: &mut Schemas) -> Vec<Call> {
    let mut calls = vec![livez(schemas), readyz(schemas), status(schemas)];
    calls.extend([events(schemas), upstreams(schemas), upstream(schemas)]);
    calls.extend([config(), replace(schemas), plan(schemas), reload(schemas)]);
    calls.extend([change_upstream(schemas), change_backend(schemas)]);
    calls.extend([register(schemas), leave()]);
    calls.extend([autoscaler(schemas), pause(schemas), history(schemas)]);
    calls.extend([explain(schemas), decisions(schemas), openapi()]);
    calls
}

fn livez(schemas: &mut Schemas) -> Call {
    Call::new("get", "/livez", "livez", "Whether the process runs")
        .open()
        .answers(
            StatusCode::OK,
            "It does.",
            &schemas.written::<ready::Liveness>(),
        )
}

fn readyz(schemas: &mut Schemas) -> Call {
    let readiness = schemas.written::<ready::Readiness>();
    Call::new(
        "get",
        "/readyz",
        "readyz",
        "Whether the process should get traffic",
    )
    .open()
    .answers(StatusCode::OK, "It should.", &readiness)
    .answers(
        StatusCode::SERVICE_UNAVAILABLE,
        "It should not.",
        &readiness,
    )
}

fn status(schemas: &mut Schemas) -> Call {
    let status = schemas.written::<status::Status>();
    Call::new(
        "get",
        "/api/v1/status",
        "status",
        "How the process is, in one sentence and some numbers",
    )
    .answers(StatusCode::OK, "How it is.", &status)
}

fn events(schemas: &mut Schemas) -> Call {
    let (entry, lost) = (
        schemas.written::<Entry>(),
        schemas.written::<events::Lost>(),
    );
    let count = json!({ "type": "integer", "minimum": 0, "maximum": KEPT });
    let id = json!({ "type": "integer", "minimum": 0 });
    Call::new("get", "/api/v1/events", "events", "What happened, as a stream or as a list")
        .says(
            "With `Accept: application/json` the last entries as a list, otherwise Server-Sent Events: \
             `id` is the entry's, `event` its kind, `data` the entry as JSON. An event `lost` tells how \
             many entries a reader has missed. A stream ends after five minutes; `Last-Event-ID` goes on.",
        )
        .takes(query("n", "The last so many, at most: of a list, or before a stream goes on with what comes.", &count))
        .takes(query("after", "Those after the one with this id.", &id))
        .takes(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "description": "As `after`, and above it; browsers send it.",
            "schema": { "type": "string", "pattern": "^[0-9]{0,18}$" },
        }))
        .answers_with(
            StatusCode::OK,
            json!({
                "description": "Entries, oldest first.",
                "content": {
                    "application/json": { "schema": { "type": "array", "items": entry } },
                    "text/event-stream": { "schema": {
                        "type": "string",
                        "contentMediaType": "text/event-stream",
                        "x-data": { "anyOf": [entry, lost] },
                    } },
                },
            }),
        )
        .refuses(&[Code::InvalidRequest, Code::TooManyStreams])
}

fn upstreams(schemas: &mut Schemas) -> Call {
    let all = schemas.written::<view::Upstreams>();
    Call::new(
        "get",
        "/api/v1/upstreams",
        "upstreams",
        "Every upstream with its backends",
    )
    .answers_tagged("All of them.", &all)
    .refuses(&[Code::Ending])
}

fn upstream(schemas: &mut Schemas) -> Call {
    let one = schemas.written::<view::Upstream>();
    Call::new(
        "get",
        UPSTREAM,
        "upstream",
        "One upstream with its backends",
    )
    .answers_tagged("How it is.", &one)
    .refuses(&[Code::InvalidRequest, Code::UnknownUpstream, Code::Ending])
}

fn config() -> Call {
    let yaml = json!({ "description": "A configuration." });
    Call::new("get", CONFIG, "config", "The configuration in force")
        .says("As it was written, but with `<masked>` where secrets are.")
        .answers_with(
            StatusCode::OK,
            json!({
                "description": "The file.",
                "headers": { "ETag": etag("Stands for the text.") },
                "content": { "application/yaml": { "schema": yaml } },
            }),
        )
        .refuses(&[Code::NoConfigFile])
}

fn replace(schemas: &mut Schemas) -> Call {
    let plan = schemas.written::<Plan>();
    Call::new("put", CONFIG, "replaceConfig", "Goes over to another configuration")
        .says("The file stays as it is; the next change of it, or the next reload, goes over to what it says.")
        .yaml()
        .conditional()
        .answers_tagged("What changed.", &plan)
        .refuses(&[Code::NoConfigFile, Code::InvalidConfig, Code::Ending])
}

fn plan(schemas: &mut Schemas) -> Call {
    let plan = schemas.written::<Plan>();
    Call::new(
        "post",
        "/api/v1/config/plan",
        "planConfig",
        "What another configuration would change",
    )
    .says("Nothing is changed.")
    .yaml()
    .answers(StatusCode::OK, "What it would change.", &plan)
    .refuses(&[Code::NoConfigFile, Code::InvalidConfig, Code::Ending])
}

fn reload(schemas: &mut Schemas) -> Call {
    let plan = schemas.written::<Plan>();
    Call::new(
        "post",
        "/api/v1/reload",
        "reload",
        "Reads the file again and goes over to what it says",
    )
    .conditional()
    .answers_tagged("What changed.", &plan)
    .refuses(&[
        Code::InvalidRequest,
        Code::NoConfigFile,
        Code::InvalidConfig,
        Code::Ending,
    ])
}

fn change_upstream(schemas: &mut Schemas) -> Call {
    let one = schemas.written::<view::Upstream>();
    Call::new(
        "patch",
        UPSTREAM,
        "changeUpstream",
        "Changes the algorithm of an upstream",
    )
    .says("It is in force when the call answers, and until the next change, whatever else changes.")
    .body(&schemas.read::<input::SteerBody>(), true)
    .conditional()
    .answers_tagged("The upstream as it is then.", &one)
    .refuses(&[Code::UnknownUpstream, Code::Ending])
}

fn change_backend(schemas: &mut Schemas) -> Call {
    let changed = schemas.written::<write::Patched>();
    let longest = "Answer as soon as nothing is in flight to it, or after this time, at most `5m`.";
    Call::new(
        "patch",
        BACKEND,
        "changeBackend",
        "Changes the weight of a backend, drains it, takes it out",
    )
    .says("With `?wait` the body may be absent, and nothing is changed.")
    .takes(query("wait", longest, &duration()))
    .body(&schemas.read::<input::PatchBody>(), false)
    .conditional()
    .answers_tagged("The backend as it is then.", &changed)
    .refuses(&[Code::UnknownUpstream, Code::UnknownBackend])
    .refuses(&[Code::TooManyWaits, Code::Ending])
}

fn register(schemas: &mut Schemas) -> Call {
    let beat = schemas.written::<write::Beat>();
    Call::new(
        "put",
        HEARTBEAT,
        "register",
        "A backend registers, or renews its registration",
    )
    .says("An id is made of 1 to 261 ASCII letters, digits and `-._:[]`.")
    .body(&schemas.read::<input::HeartbeatBody>(), true)
    .conditional()
    .answers(StatusCode::CREATED, "It is registered from now on.", &beat)
    .answers(StatusCode::OK, "It was and stays so.", &beat)
    .refuses(&[
        Code::UnknownUpstream,
        Code::UnknownBackend,
        Code::NoRegistry,
    ])
    .refuses(&[
        Code::ConfiguredBackend,
        Code::AddressTaken,
        Code::TooManyBackends,
    ])
    .refuses(&[Code::UnknownAddress, Code::Ending])
}

fn explain(schemas: &mut Schemas) -> Call {
    let text = json!({ "type": "string" });
    let header = json!({ "type": "array", "items": text, "maxItems": explain::MAX_HEADERS });
    Call::new(
        "get",
        "/api/v1/explain",
        "explain",
        "Where a request would go at this moment, and why",
    )
    .says("Nothing is sent anywhere, and no turn, slot or probe is used up.")
    .takes(query("url", "Absolute, or a path.", &text))
    .takes(query("method", "`GET` unless given.", &text))
    .takes(query("header", "`Name: value`; may be repeated.", &header))
    .takes(query("client", "The client's IP address.", &text))
    .takes(query(
        "listener",
        "The name of the listener; the first one unless given.",
        &text,
    ))
    .answers(
        StatusCode::OK,
        "The route, and the backends of its upstreams.",
        &schemas.written::<Report>(),
    )
    .refuses(&[Code::InvalidRequest])
}

fn decisions(schemas: &mut Schemas) -> Call {
    let count = json!({ "type": "integer", "minimum": 1, "maximum": CAPACITY });
    Call::new(
        "get",
        "/api/v1/decisions",
        "decisions",
        "The last sampled picks, with who else could have been picked",
    )
    .says("Asking for them has them sampled for a while.")
    .takes(query("n", "At most so many.", &count))
    .answers(
        StatusCode::OK,
        "The newest first.",
        &schemas.written::<explain::Decided<'_>>(),
    )
    .refuses(&[Code::InvalidRequest])
}

fn autoscaler(schemas: &mut Schemas) -> Call {
    Call::new(
        "get",
        "/api/v1/autoscaler",
        "autoscaler",
        "What the autoscaler sees, decides and does",
    )
    .takes(query(
        "recent",
        "At most so many of a target's decisions; all that are kept unless given.",
        &json!({ "type": "integer", "minimum": 0, "maximum": board::KEPT }),
    ))
    .answers(
        StatusCode::OK,
        "Every upstream that is scaled.",
        &schemas.written::<autoscaler::Targets>(),
    )
    .refuses(&[Code::InvalidRequest])
}

fn history(schemas: &mut Schemas) -> Call {
    Call::new(
        "get",
        "/api/v1/autoscaler/{upstream}/history",
        "autoscalerHistory",
        "What the autoscaler saw of an upstream, to be drawn",
    )
    .takes(query(
        "after",
        "Only what was seen after this time, in seconds since 1970.",
        &json!({ "type": "number", "minimum": 0 }),
    ))
    .answers(
        StatusCode::OK,
        "The oldest first.",
        &schemas.written::<autoscaler::History>(),
    )
    .refuses(&[Code::InvalidRequest, Code::UnknownUpstream])
}

fn pause(schemas: &mut Schemas) -> Call {
    Call::new(
        "patch",
        "/api/v1/autoscaler/{upstream}",
        "pauseAutoscaler",
        "Pauses the scaling of an upstream, or lets it go on",
    )
    .says("Decisions are made and shown as ever, and nothing is done. It lasts until the process ends, also over reloads.")
    .body(&schemas.read::<input::PauseBody>(), true)
    .answers(
        StatusCode::OK,
        "Whether it is paused then.",
        &schemas.written::<input::PauseBody>(),
    )
    .refuses(&[Code::UnknownUpstream])
}

fn leave() -> Call {
    Call::new("delete", HEARTBEAT, "leave", "A registered backend leaves")
        .says("Requests in flight to it are finished.")
        .conditional()
        .answers_with(
            StatusCode::NO_CONTENT,
            json!({ "description": "It is gone." }),
        )
        .refuses(&[
            Code::InvalidRequest,
            Code::UnknownUpstream,
            Code::UnknownBackend,
        ])
        .refuses(&[Code::ConfiguredBackend, Code::Ending])
}

fn openapi() -> Call {
    let document = json!({ "type": "object", "required": ["openapi", "paths"] });
    Call::new("get", "/api/v1/openapi.json", "openapi", "This document").answers(
        StatusCode::OK,
        "OpenAPI 3.1.",
        &document,
    )
}
