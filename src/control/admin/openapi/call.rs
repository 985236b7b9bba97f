//! One call, as the document describes it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::control::admin::code::Code;
use crate::control::admin::input::{DURATION, MAX_ID};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Anybody.
    None,
    /// Whoever may see.
    Read,
    /// Whoever may change.
    Write,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: String,
    pub(super) guard: Guard,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: Vec<(StatusCode, Value)>,
    pub(super) refusals: Vec<Code>,
}

impl Call {
    pub(super) fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            path,
            method,
            id,
            summary,
            description: String::new(),
            guard: if method == "get" {
                Guard::Read
            } else {
                Guard::Write
            },
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    pub(super) fn says(mut self, description: &str) -> Self {
        description.clone_into(&mut self.description);
        self
    }

    /// It asks for no token.
    pub(super) const fn open(mut self) -> Self {
        self.guard = Guard::None;
        self
    }

    pub(super) fn takes(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// It takes `If-Match`, and its answer may say that it does not.
    pub(super) fn conditional(mut self) -> Self {
        self.parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "description": "The `ETag` of the upstream: refused when it is another one by now.",
            "schema": { "type": "string", "pattern": "^(\\*|\"[0-9a-f]{16}\")$" },
        }));
        self.refuses(&[Code::PreconditionFailed])
    }

    /// It takes a body of JSON.
    pub(super) fn body(mut self, schema: &Value, required: bool) -> Self {
        self.body = Some(json!({
            "required": required,
            "content": { "application/json": { "schema": schema } },
        }));
        self.refuses(&[
            Code::InvalidRequest,
            Code::LateBody,
            Code::BrokenBody,
            Code::UnsupportedMediaType,
        ])
    }

    /// It takes a configuration.
    pub(super) fn yaml(mut self) -> Self {
        let schema = json!({ "type": "string", "contentMediaType": "application/yaml" });
        self.body = Some(json!({
            "required": true,
            "description": "A configuration file, at most 1 MiB.",
            "content": { "application/yaml": { "schema": schema } },
        }));
        self.refuses(&[
            Code::InvalidRequest,
            Code::LateBody,
            Code::BrokenBody,
            Code::UnsupportedMediaType,
        ])
    }

    /// It answers with JSON.
    pub(super) fn answers(self, status: StatusCode, description: &str, schema: &Value) -> Self {
        self.answers_with(
            status,
            json!({
                "description": description,
                "content": { "application/json": { "schema": schema } },
            }),
        )
    }

    /// The same, with the `ETag` of what is shown.
    pub(super) fn answers_tagged(self, description: &str, schema: &Value) -> Self {
        self.answers_with(
            StatusCode::OK,
            json!({
                "description": description,
                "headers": { "ETag": etag("Stands for everything about it that a write can change.") },
                "content": { "application/json": { "schema": schema } },
            }),
        )
    }

    pub(super) fn answers_with(mut self, status: StatusCode, response: Value) -> Self {
        self.answers.push((status, response));
        self
    }

    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.refusals.extend(codes);
        self
    }
}

/// The parameters that stand in a path.
pub(super) fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let description = match name {
            "backend" => "The backend's id: its `host:port`, or the name it registered under.",
            _ => "The upstream's name.",
        };
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": { "type": "string", "minLength": 1, "maxLength": MAX_ID },
        }))
    })
}

/// A parameter in the query.
pub(super) fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

/// The schema of a duration.
pub(super) fn duration() -> Value {
    json!({ "type": "string", "pattern": DURATION })
}

/// The header `ETag`.
pub(super) fn etag(description: &str) -> Value {
    json!({
        "description": description,
        "required": true,
        "schema": { "type": "string", "pattern": "^\"[0-9a-f]{16}\"$" },
    })
}
