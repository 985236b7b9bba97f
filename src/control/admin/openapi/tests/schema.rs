//! Whether a value is as a schema says.
//!
//! Knows the keywords of JSON Schema (draft 2020-12) that the document uses, and fails on any
//! other: what it does not understand it must not wave through. `tests/openapi/run` checks with a
//! library as well.

use regex::Regex;
use serde_json::{Map, Value};

/// What only describes.
const ANNOTATIONS: [&str; 6] = [
    "title",
    "description",
    "default",
    "format",
    "contentMediaType",
    "x-data",
];

/// Everything in which `instance` is not as `schema` says, a part of `document`.
pub(super) fn problems(document: &Value, schema: &Value, instance: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, instance, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, instance: &Value, at: &str, found: &mut Vec<String>) {
    let schema = match schema {
        Value::Bool(true) => return,
        Value::Bool(false) => return found.push(format!("{at}: nothing may be here")),
        schema => schema.as_object().expect("a schema is an object"),
    };
    for (keyword, rule) in schema {
        let holds = match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().and_then(|link| link.strip_prefix('#'));
                let target = document.pointer(pointer.expect("a reference"));
                check(
                    document,
                    target.expect("it leads somewhere"),
                    instance,
                    at,
                    found,
                );
                true
            }
            "allOf" => {
                for part in rule.as_array().expect("a list") {
                    check(document, part, instance, at, found);
                }
                true
            }
            "anyOf" => fitting(document, rule, instance) > 0,
            "oneOf" => fitting(document, rule, instance) == 1,
            "properties" | "items" | "additionalProperties" => {
                inside(document, schema, keyword, instance, at, found);
                true
            }
            keyword if ANNOTATIONS.contains(&keyword) => true,
            keyword => holds(keyword, rule, instance),
        };
        if !holds {
            found.push(format!("{at}: {instance} breaks {keyword}: {rule}"));
        }
    }
}

/// How many of the schemas it is as.
fn fitting(document: &Value, schemas: &Value, instance: &Value) -> usize {
    let schemas = schemas.as_array().expect("a list").iter();
    schemas
        .filter(|schema| problems(document, schema, instance).is_empty())
        .count()
}

/// The parts of an object or a list.
fn inside(
    document: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    instance: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    let rule = &schema[keyword];
    let known = schema.get("properties").and_then(Value::as_object);
    match (keyword, instance) {
        ("items", Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(document, rule, item, &format!("{at}/{index}"), found);
            }
        }
        ("properties", Value::Object(object)) => {
            for (key, rule) in known.expect("an object") {
                if let Some(value) = object.get(key) {
                    check(document, rule, value, &format!("{at}/{key}"), found);
                }
            }
        }
        ("additionalProperties", Value::Object(object)) => {
            let others = object.iter();
            for (key, value) in
                others.filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key)))
            {
                check(document, rule, value, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// Whether a keyword about the value itself holds; one about another type does.
fn holds(keyword: &str, rule: &Value, instance: &Value) -> bool {
    let limit = || rule.as_f64().expect("a number");
    let compare = |fits: fn(f64, f64) -> bool| {
        let number = instance.as_f64();
        number.is_none_or(|number| fits(number, limit()))
    };
    let length = |fits: fn(f64, f64) -> bool| {
        let text = instance.as_str();
        text.is_none_or(|text| fits(text.chars().count() as f64, limit()))
    };
    match keyword {
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, instance)),
            kind => is_of(kind, instance),
        },
        "enum" => rule.as_array().expect("a list").contains(instance),
        "const" => rule == instance,
        "required" => instance.as_object().is_none_or(|object| {
            let mut keys = rule.as_array().expect("a list").iter();
            keys.all(|key| object.contains_key(key.as_str().expect("text")))
        }),
        "minimum" => compare(|number, limit| number >= limit),
        "maximum" => compare(|number, limit| number <= limit),
        "minLength" => length(|count, limit| count >= limit),
        "maxLength" => length(|count, limit| count <= limit),
        "pattern" => {
            let pattern = Regex::new(rule.as_str().expect("text")).expect("a regex");
            instance.as_str().is_none_or(|text| pattern.is_match(text))
        }
        other => panic!("the keyword {other} is not known here"),
    }
}

fn is_of(kind: &Value, instance: &Value) -> bool {
    match kind.as_str().expect("a type's name") {
        "null" => instance.is_null(),
        "boolean" => instance.is_boolean(),
        "string" => instance.is_string(),
        "array" => instance.is_array(),
        "object" => instance.is_object(),
        "number" => instance.is_number(),
        "integer" => instance.is_u64() || instance.is_i64(),
        other => panic!("there is no type {other}"),
    }
}
