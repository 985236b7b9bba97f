use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use schema::problems;

use super::*;
use crate::control::admin::page;

mod schema;

const METHODS: [&str; 8] = [
    "get", "put", "post", "patch", "delete", "head", "options", "trace",
];

/// Every call of the document: its path and its method.
pub(in crate::control::admin) fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document = openapi();
    let paths = document["paths"].as_object().expect("an object");
    paths
        .iter()
        .map(|(path, calls)| {
            let methods = calls.as_object().expect("an object").keys().cloned();
            (path.clone(), methods.collect())
        })
        .collect()
}

/// Fails unless the answer is one that the document tells of, or part of the page, which is for
/// people.
#[track_caller]
pub(in crate::control::admin) fn conforms(
    method: &str,
    target: &str,
    status: StatusCode,
    kind: Option<&str>,
    body: &[u8],
) {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let document = DOCUMENT.get_or_init(openapi);
    let call = format!("{method} {target}: {status}");
    let path = target.split('?').next().unwrap_or_default();
    if page::has(path) {
        return;
    }
    let operation = template(document, path)
        .map(|template| &document["paths"][template][method.to_ascii_lowercase()]);
    let is_elsewhere = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
    let schema = match operation {
        Some(operation) if operation.is_object() => {
            let response = &operation["responses"][status.as_str()];
            assert!(response.is_object(), "{call} is not documented");
            let content = response.get("content");
            let Some(content) = content else {
                assert!(body.is_empty(), "{call} has a body");
                return;
            };
            let kind = kind.unwrap_or_default();
            let media = content.get(kind);
            media.unwrap_or_else(|| panic!("{call} is {kind}"))["schema"].clone()
        }
        _ => {
            assert!(is_elsewhere, "{call} of no call");
            json!({ "$ref": "#/components/schemas/Error" })
        }
    };
    let instance: Value = serde_json::from_slice(body).expect("every answer is JSON");
    let problems = problems(document, &schema, &instance);
    assert!(problems.is_empty(), "{call}: {instance:#}\n{problems:#?}");
}

/// The path of the document that a path is an instance of.
fn template<'d>(document: &'d Value, path: &str) -> Option<&'d str> {
    let paths = document["paths"].as_object().expect("an object");
    let fits = |template: &str| {
        let (one, other) = (template.split('/'), path.split('/'));
        one.clone().count() == other.clone().count()
            && one
                .zip(other)
                .all(|(one, other)| one == other || (one.starts_with('{') && !other.is_empty()))
    };
    paths.keys().map(String::as_str).find(|path| fits(path))
}

#[test]
fn every_route_of_the_router_is_in_the_document_and_nothing_else() {
    let source = include_str!("../mod.rs");
    let route = Regex::new(r#"\.route\(\s*"([^"]+)""#).expect("a regex");
    let routed: BTreeSet<String> = route
        .captures_iter(source)
        .map(|found| found[1].to_owned())
        .collect();
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(routed, documented);
    assert!(routed.len() > 7);
}

#[test]
fn the_document_is_whole() {
    let document = openapi();
    let mut ids = BTreeSet::new();
    for (path, calls) in document["paths"].as_object().expect("an object") {
        for (method, call) in calls.as_object().expect("an object") {
            assert!(METHODS.contains(&method.as_str()), "{path} {method}");
            assert!(ids.insert(call["operationId"].to_string()), "{call}");
            assert!(!call["summary"].as_str().expect("text").is_empty());
            let parameters = call["parameters"].as_array();
            let names = parameters.into_iter().flatten().map(|one| &one["name"]);
            for name in names.clone().filter(|name| *name == "upstream") {
                assert!(path.contains(&format!("{{{}}}", name.as_str().expect("text"))));
            }
            let in_path = path.matches('{').count();
            let told = parameters.into_iter().flatten();
            assert_eq!(
                told.filter(|one| one["in"] == "path").count(),
                in_path,
                "{path}"
            );
        }
    }
    every_reference_leads_somewhere(&document, &document);
}

#[track_caller]
fn every_reference_leads_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Array(items) => {
            for item in items {
                every_reference_leads_somewhere(document, item);
            }
        }
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                let pointer = reference.strip_prefix('#').expect("in this document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            for value in object.values() {
                every_reference_leads_somewhere(document, value);
            }
        }
        _ => {}
    }
}

#[test]
fn every_schema_describes_itself_and_its_keys() {
    let document = openapi();
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("an object");
    assert!(schemas.len() > 10, "{:?}", schemas.keys());
    for (name, schema) in schemas {
        assert!(schema["description"].is_string(), "{name}");
        let properties = schema["properties"].as_object();
        for (key, property) in properties.into_iter().flatten() {
            assert!(
                property["description"].is_string(),
                "{name}.{key}: {property}"
            );
        }
    }
}

#[test]
fn a_wrong_answer_is_noticed() {
    let document = openapi();
    let schema = json!({ "$ref": "#/components/schemas/Error" });
    let good = json!({ "code": "unauthorized", "message": "", "hint": "" });
    assert_eq!(problems(&document, &schema, &good), [""; 0]);
    for wrong in [
        json!({ "code": "unheard_of", "message": "", "hint": "" }),
        json!({ "code": "unauthorized", "message": "" }),
        json!({ "code": "unauthorized", "message": 1, "hint": "" }),
        json!([]),
    ] {
        assert_ne!(problems(&document, &schema, &wrong), [""; 0], "{wrong}");
    }
}
