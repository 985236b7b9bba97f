//! Scalars: text to a number, a truth value, a word or text of some form.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::describe::{Object, bounds, fractional_bounds, kind_of, words};
use crate::config::format::{self, Rule};
use crate::config::node::{Kind, Scalar};
use crate::config::problem::did_you_mean;
use crate::config::schema::NOT_YET;

/// Why a scalar is not what a schema wants.
pub(super) enum Refusal {
    NotYet,
    Because(String),
}

/// The form that `schema` asks for, where it asks for one.
pub(super) fn rule_of(schema: &Object) -> Option<&'static Rule> {
    format::rule_named(schema.get("format")?.as_str()?)
}

/// The value of `scalar` under `schema`.
pub(super) fn read_scalar(scalar: &Scalar, schema: &Object) -> Result<Yaml, Refusal> {
    match kind_of(schema) {
        "integer" => read_integer(scalar, schema),
        "number" => read_number(scalar, schema),
        "boolean" => match scalar.kind_of_filled() {
            Kind::Bool(value) => Ok(Yaml::Bool(value)),
            _ => Err(Refusal::Because(String::new())),
        },
        _ => read_text(scalar, schema).map(|()| Yaml::String(scalar.text.clone())),
    }
}

fn read_integer(scalar: &Scalar, schema: &Object) -> Result<Yaml, Refusal> {
    let Kind::Integer(number) = scalar.kind_of_filled() else {
        return Err(Refusal::Because(String::new()));
    };
    let (least, most) = bounds(schema);
    let listed = schema.get("enum").and_then(Json::as_array);
    let allowed = least.is_none_or(|least| number >= least)
        && most.is_none_or(|most| number <= most)
        && listed.is_none_or(|all| all.iter().any(|one| one.as_i64() == Some(number)))
        && schema
            .get("const")
            .is_none_or(|one| one.as_i64() == Some(number));
    if allowed {
        Ok(Yaml::Number(number.into()))
    } else {
        Err(Refusal::Because(String::new()))
    }
}

fn read_number(scalar: &Scalar, schema: &Object) -> Result<Yaml, Refusal> {
    let number = match scalar.kind_of_filled() {
        Kind::Integer(number) => Some(number as f64),
        Kind::Float => scalar.text.parse::<f64>().ok(),
        _ => None,
    };
    let (least, most) = fractional_bounds(schema);
    match number {
        Some(number)
            if number.is_finite()
                && least.is_none_or(|least| number >= least)
                && most.is_none_or(|most| number <= most) =>
        {
            Ok(Yaml::Number(number.into()))
        }
        _ => Err(Refusal::Because(String::new())),
    }
}

fn read_text(scalar: &Scalar, schema: &Object) -> Result<(), Refusal> {
    let words = words(schema);
    if !words.is_empty() {
        return read_word(scalar, schema, &words);
    }
    if let Some(rule) = rule_of(schema) {
        let magnitude = (rule.check)(&scalar.text).map_err(Refusal::Because)?;
        in_range(magnitude, schema, rule)?;
    }
    let most = schema.get("maxLength").and_then(Json::as_u64);
    if most.is_some_and(|most| scalar.text.chars().count() as u64 > most) {
        return Err(Refusal::Because(format!(
            "longer than {} characters",
            most.unwrap_or_default()
        )));
    }
    if scalar.kind() != Kind::Text && !scalar.substituted {
        return Err(Refusal::Because(
            "text that looks like this stands in quotes".to_owned(),
        ));
    }
    Ok(())
}

fn read_word(scalar: &Scalar, schema: &Object, words: &[&str]) -> Result<(), Refusal> {
    let text = scalar.text.as_str();
    if words.contains(&text) {
        return Ok(());
    }
    let later = schema.get(NOT_YET).and_then(Json::as_array);
    if later.is_some_and(|all| all.iter().any(|word| word == text)) {
        return Err(Refusal::NotYet);
    }
    Err(Refusal::Because(did_you_mean(text, words.iter().copied())))
}

fn in_range(magnitude: Option<f64>, schema: &Object, rule: &Rule) -> Result<(), Refusal> {
    let Some(magnitude) = magnitude else {
        return Ok(());
    };
    let text = |key| schema.get(key).and_then(Json::as_str);
    let bound = |key| (rule.check)(text(key)?).ok()?;
    let (least, most) = (bound("x-minimum"), bound("x-maximum"));
    if least.is_none_or(|least| magnitude >= least) && most.is_none_or(|most| magnitude <= most) {
        return Ok(());
    }
    Err(Refusal::Because(String::new()))
}
