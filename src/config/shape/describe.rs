//! Schemas and values in the words of a message.

use serde_json::{Map, Value as Json};

use crate::config::format;
use crate::config::node::{Kind, Node, Value};
use crate::config::problem::quoted;
use crate::config::schema::constants;

pub(super) type Object = Map<String, Json>;

/// What these schemas together allow.
pub(super) fn expected(alternatives: &[&Object]) -> String {
    let parts: Vec<String> = alternatives.iter().flat_map(|one| parts(one)).collect();
    join(&parts)
}

fn parts(schema: &Object) -> Vec<String> {
    let words = words(schema);
    if !words.is_empty() {
        return ticked(&words);
    }
    let format = schema.get("format").and_then(Json::as_str);
    if let Some(rule) = format.and_then(format::rule_named) {
        return vec![in_range(rule.expected, schema)];
    }
    match kind_of(schema) {
        "integer" => integers(schema),
        "number" => numbers(schema),
        "boolean" => vec!["true".to_owned(), "false".to_owned()],
        "array" => vec!["a list".to_owned()],
        "object" => vec![mapping(schema)],
        "null" => vec!["null".to_owned()],
        _ => vec!["text".to_owned()],
    }
}

/// With a range, the range says more than examples do.
fn in_range(expected: &str, schema: &Object) -> String {
    let bound = |key| schema.get(key).and_then(Json::as_str);
    match (bound("x-minimum"), bound("x-maximum")) {
        (Some(least), Some(most)) => {
            let noun = expected.split(" such as").next().unwrap_or(expected);
            let noun = noun.split(" from ").next().unwrap_or(noun);
            format!("{noun} from {least} to {most}")
        }
        _ => expected.to_owned(),
    }
}

fn integers(schema: &Object) -> Vec<String> {
    let listed = schema.get("enum").and_then(Json::as_array);
    let numbers: Vec<String> = listed
        .into_iter()
        .flatten()
        .chain(schema.get("const"))
        .map(ToString::to_string)
        .collect();
    if !numbers.is_empty() {
        return numbers;
    }
    vec![match bounds(schema) {
        (Some(least), Some(most)) => format!("an integer from {least} to {most}"),
        _ => "an integer".to_owned(),
    }]
}

fn numbers(schema: &Object) -> Vec<String> {
    vec![match fractional_bounds(schema) {
        (Some(least), Some(most)) => format!("a number from {least} to {most}"),
        _ => "a number".to_owned(),
    }]
}

fn mapping(schema: &Object) -> String {
    let choices = choices(schema);
    if choices.is_empty() {
        return "a mapping".to_owned();
    }
    format!("a mapping with {}", join(&ticked(&choices)))
}

/// Each word in backticks.
pub(super) fn ticked(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("`{word}`")).collect()
}

/// `a, b or c`.
pub(super) fn join(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The type that is not `null`, where there is one.
pub(super) fn kind_of(schema: &Object) -> &str {
    match schema.get("type") {
        Some(Json::String(kind)) => kind,
        Some(Json::Array(kinds)) => kinds
            .iter()
            .filter_map(Json::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ => "string",
    }
}

/// Whether `null` is one of its types.
pub(super) fn takes_null(schema: &Object) -> bool {
    match schema.get("type") {
        Some(Json::String(kind)) => kind == "null",
        Some(Json::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        _ => false,
    }
}

/// The words it allows, where it allows only some.
pub(super) fn words(schema: &Object) -> Vec<&str> {
    constants(schema).filter_map(Json::as_str).collect()
}

/// The keys of which exactly one must be there.
pub(super) fn choices(schema: &Object) -> Vec<&str> {
    let list = schema.get("oneOf").and_then(Json::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|one| one.get("required")?.get(0)?.as_str())
        .collect()
}

/// The least and the most it allows.
pub(super) fn bounds(schema: &Object) -> (Option<i64>, Option<i64>) {
    let number = |key| schema.get(key).and_then(Json::as_i64);
    (number("minimum"), number("maximum"))
}

/// The same where it need not be whole.
pub(super) fn fractional_bounds(schema: &Object) -> (Option<f64>, Option<f64>) {
    let number = |key| schema.get(key).and_then(Json::as_f64);
    (number("minimum"), number("maximum"))
}

/// What stands there, as a message shows it.
pub(super) fn found(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar(scalar) => match scalar.kind() {
            Kind::Null => "nothing".to_owned(),
            Kind::Text => quoted(&scalar.text),
            Kind::Bool(_) | Kind::Integer(_) | Kind::Float => scalar.text.clone(),
        },
    }
}
