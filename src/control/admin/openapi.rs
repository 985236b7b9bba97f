//! The API for programs: its `OpenAPI` 3.1 document.
//!
//! The schemas are generated from the types that are written and read, so they
//! cannot drift from them; what a type does not say (which call answers what,
//! and when it refuses) stands in `calls`. Tests hold the two lists of calls
//! together, the router's and this one, and check every answer that they get
//! against its schema.

use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::{self, Refused};
use super::code::Code;
use call::{Call, Guard};
use schemas::Schemas;

mod call;
mod calls;
mod schemas;

/// `GET /api/v1/openapi.json`.
pub(super) async fn document() -> Response {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    answer::json(StatusCode::OK, DOCUMENT.get_or_init(openapi))
}

/// The document.
fn openapi() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for call in calls::all(&mut schemas) {
        let (path, method) = (call.path, call.method);
        let place = paths.entry(path).or_insert_with(|| json!({}));
        place[method] = operation(call, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Evenkeel admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the backends are doing, and changing what they should do.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        // Without a token in the configuration none is asked for.
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas.take(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The value of `admin.token`.",
                },
            },
        },
    })
}

fn operation(call: Call, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<Value> = call::path_parameters(call.path).collect();
    parameters.extend(call.parameters);
    let mut responses: Map<String, Value> = Map::new();
    for (status, answer) in call.answers {
        responses.insert(status.as_str().to_owned(), answer);
    }
    for (status, refusal) in refusals(call.guard, &call.refusals, schemas) {
        responses.entry(status).or_insert(refusal);
    }
    let mut operation = json!({
        "operationId": call.id,
        "summary": call.summary,
        "description": call.description,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = call.body {
        operation["requestBody"] = body;
    }
    if call.guard == Guard::None {
        operation["security"] = json!([]);
    }
    operation
}

/// What a call answers when it refuses, by status.
fn refusals(guard: Guard, own: &[Code], schemas: &mut Schemas) -> Map<String, Value> {
    let at_the_gate: &[Code] = match guard {
        Guard::None => &[],
        Guard::Read => &[Code::Unauthorized, Code::WrongHost],
        Guard::Write => &[Code::Unauthorized, Code::WrongHost, Code::WrongOrigin],
    };
    let mut by_status: Map<String, Value> = Map::new();
    let error = schemas.written::<Refused>();
    // In the order of the statuses, whatever the order they were named in.
    for status in Code::ALL.map(Code::status) {
        let codes = at_the_gate.iter().chain(own);
        let codes: Vec<&str> = codes
            .filter(|code| code.status() == status)
            .map(|code| code.label())
            .collect();
        if codes.is_empty() {
            continue;
        }
        let mut refusal = json!({
            "description": format!("Refused: `{}`.", codes.join("`, `")),
            "content": { "application/json": { "schema": {
                "allOf": [error],
                "properties": { "code": { "enum": codes } },
            } } },
        });
        if status == StatusCode::UNAUTHORIZED {
            refusal["headers"] = json!({ "WWW-Authenticate": {
                "description": "`Bearer`.",
                "required": true,
                "schema": { "const": "Bearer" },
            } });
        }
        by_status.insert(status.as_str().to_owned(), refusal);
    }
    by_status
}

#[cfg(test)]
pub(super) mod tests;
