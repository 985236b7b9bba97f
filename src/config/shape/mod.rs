//! The walk over the document along the schema.
//!
//! It reports what has the wrong shape, each at its place, and returns the
//! document without it, so that the types of the file as written always
//! deserialise and what is sound is checked further. Nothing that is left out
//! may cause a second report: later steps take a missing key as already told.

use serde_json::Value as Json;
use serde_yaml::{Mapping, Value as Yaml};

use describe::{Object, choices, expected, found, join, kind_of, takes_null, ticked};
use scalar::{Refusal, read_scalar, rule_of};

use super::node::{Entry, Kind, Node, Value};
use super::path::Path;
use super::problem::{Place, Problems, did_you_mean};
use super::schema::NOT_YET;

mod describe;
mod scalar;

/// The part of the document that has the shape of `schema`.
pub(crate) fn walk(root: &Node, schema: &Json, problems: &mut Problems) -> Option<Yaml> {
    let mut walker = Walker { schema, problems };
    walker.node(root, schema.as_object()?, &Path::ROOT)
}

struct Walker<'w> {
    schema: &'w Json,
    problems: &'w mut Problems,
}

impl<'w> Walker<'w> {
    fn add(&mut self, at: Place, path: &Path<'_>, message: impl Into<String>) {
        self.problems.add(at, path.to_string(), message);
    }

    /// Says what was expected instead of this node, and why if there is more to say.
    fn wrong(&mut self, node: &Node, allowed: &[&Object], path: &Path<'_>, reason: &str) {
        let mut message = format!("expected {}", expected(allowed));
        let secret = allowed.iter().any(|one| one.contains_key("writeOnly"));
        if !secret {
            message.push_str(", found ");
            message.push_str(&found(node));
        }
        if !reason.is_empty() {
            message.push_str(if reason.starts_with(';') { "" } else { ": " });
            message.push_str(reason);
        }
        self.add(node.at, path, message);
    }

    /// `schema` itself, or what it refers to.
    fn resolve<'s>(&self, schema: &'s Object) -> &'s Object
    where
        'w: 's,
    {
        let target = schema
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|reference| self.schema.pointer(reference.strip_prefix('#')?));
        target.and_then(Json::as_object).unwrap_or(schema)
    }

    /// The schemas of which one must hold, references resolved.
    fn alternatives<'s>(&self, schema: &'s Object) -> Vec<&'s Object>
    where
        'w: 's,
    {
        let resolved = self.resolve(schema);
        match resolved.get("anyOf").and_then(Json::as_array) {
            None => vec![resolved],
            Some(all) => all
                .iter()
                .filter_map(Json::as_object)
                .flat_map(|one| self.alternatives(one))
                .collect(),
        }
    }

    fn node(&mut self, node: &Node, schema: &Object, path: &Path<'_>) -> Option<Yaml> {
        if is_broken(node) {
            return None;
        }
        if schema.get(NOT_YET) == Some(&Json::Bool(true)) {
            return self.must_be_off(node, schema, path);
        }
        let mut allowed = self.alternatives(schema);
        if node.stands_for_null() && allowed.iter().any(|one| takes_null(one)) {
            return Some(Yaml::Null);
        }
        if let [only] = allowed.as_mut_slice()
            && schema.contains_key(NOT_YET)
        {
            *only = schema;
        }
        self.choose(node, &allowed, path)
    }

    fn must_be_off(&mut self, node: &Node, schema: &Object, path: &Path<'_>) -> Option<Yaml> {
        let off = schema.get("enum").and_then(Json::as_array);
        if !off.is_some_and(|values| values.iter().any(|value| equals(node, value))) {
            self.add(node.at, path, "not supported yet");
        }
        None
    }

    /// Takes the alternative of the node's own kind, so that its problems are told precisely.
    fn choose(&mut self, node: &Node, allowed: &[&Object], path: &Path<'_>) -> Option<Yaml> {
        let fitting: Vec<&Object> = allowed
            .iter()
            .copied()
            .filter(|one| kind_fits(node, one))
            .collect();
        match fitting.as_slice() {
            [] => {
                self.wrong(node, allowed, path, "");
                None
            }
            [one] => match kind_of(one) {
                "object" => self.object(node, one, path),
                "array" => self.list(node, one, path),
                _ => self.scalar(node, &[one], allowed, path),
            },
            several => self.scalar(node, several, allowed, path),
        }
    }

    /// A value that one of `fitting` must accept; a message names all of `allowed`.
    fn scalar(
        &mut self,
        node: &Node,
        fitting: &[&Object],
        allowed: &[&Object],
        path: &Path<'_>,
    ) -> Option<Yaml> {
        let Value::Scalar(scalar) = &node.value else {
            return None;
        };
        // Of a number that will not do, its range says why, not the form of a text it might have been.
        let is_number = matches!(scalar.kind(), Kind::Integer(_) | Kind::Float)
            && fitting.iter().any(|one| is_numeric(one));
        let mut first_reason = String::new();
        for one in fitting {
            match read_scalar(scalar, one) {
                Ok(value) => return Some(value),
                Err(Refusal::NotYet) => {
                    let message = format!("{} is not supported yet", found(node));
                    self.add(node.at, path, message);
                    return None;
                }
                Err(Refusal::Because(_)) if is_number && !is_numeric(one) => {}
                Err(Refusal::Because(reason)) if first_reason.is_empty() => first_reason = reason,
                Err(Refusal::Because(_)) => {}
            }
        }
        self.wrong(node, allowed, path, &first_reason);
        None
    }

    fn list(&mut self, node: &Node, schema: &Object, path: &Path<'_>) -> Option<Yaml> {
        let Value::List(items) = &node.value else {
            return None;
        };
        self.count(node, items.len(), (schema, "minItems", "maxItems"), path);
        let item_schema = schema.get("items")?.as_object()?;
        let placeholder = self.placeholder(item_schema);
        let mut whole = Vec::with_capacity(items.len());
        let mut missing = false;
        for (index, item) in items.iter().enumerate() {
            match self
                .node(item, item_schema, &path.index(index))
                .or_else(|| placeholder.clone())
            {
                Some(value) => whole.push(value),
                None => missing = true,
            }
        }
        (!missing).then_some(Yaml::Sequence(whole))
    }

    /// What stands for a broken element, so that the others keep their places and their names.
    fn placeholder(&self, schema: &Object) -> Option<Yaml> {
        let is_object = kind_of(self.resolve(schema)) == "object";
        is_object.then(|| Yaml::Mapping(Mapping::new()))
    }

    fn object(&mut self, node: &Node, schema: &Object, path: &Path<'_>) -> Option<Yaml> {
        let Value::Map(entries) = &node.value else {
            return None;
        };
        let properties = schema.get("properties").and_then(Json::as_object);
        let whole = if let Some(properties) = properties {
            self.check_keys(node, schema, path);
            self.properties(entries, properties, path)
        } else {
            let bounds = (schema, "minProperties", "maxProperties");
            self.count(node, entries.len(), bounds, path);
            self.free_keys(entries, schema, path)?
        };
        Some(Yaml::Mapping(whole))
    }

    fn properties(&mut self, entries: &[Entry], properties: &Object, path: &Path<'_>) -> Mapping {
        let mut whole = Mapping::new();
        for entry in entries {
            let path = path.key(&entry.key);
            let Some(schema) = properties.get(&entry.key).and_then(Json::as_object) else {
                self.add(entry.at, &path, unknown_key(&entry.key, properties));
                continue;
            };
            if let Some(value) = self.node(&entry.node, schema, &path) {
                whole.insert(Yaml::String(entry.key.clone()), value);
            }
        }
        whole
    }

    /// A mapping whose keys the author chooses.
    fn free_keys(
        &mut self,
        entries: &[Entry],
        schema: &Object,
        path: &Path<'_>,
    ) -> Option<Mapping> {
        let names = schema.get("propertyNames").and_then(Json::as_object);
        let rule = names.and_then(rule_of);
        let value_schema = schema.get("additionalProperties")?.as_object()?;
        let placeholder = self.placeholder(value_schema);
        let mut whole = Mapping::new();
        for entry in entries {
            let path = path.key(&entry.key);
            if let Some(Err(reason)) = rule.map(|rule| (rule.check)(&entry.key)) {
                let what = rule.map_or("", |rule| rule.expected);
                let reason = if reason.is_empty() {
                    reason
                } else {
                    format!(": {reason}")
                };
                self.add(entry.at, &path, format!("the key must be {what}{reason}"));
            }
            if let Some(value) = self
                .node(&entry.node, value_schema, &path)
                .or_else(|| placeholder.clone())
            {
                whole.insert(Yaml::String(entry.key.clone()), value);
            }
        }
        Some(whole)
    }

    /// Missing keys, and keys of which there must be exactly one.
    fn check_keys(&mut self, node: &Node, schema: &Object, path: &Path<'_>) {
        let required = schema.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten().filter_map(Json::as_str) {
            if node.entry(key).is_none() {
                self.add(node.at, path, format!("the key `{key}` is missing"));
            }
        }
        let choices = choices(schema);
        if choices.is_empty() {
            return;
        }
        let mut chosen = choices.iter().filter_map(|key| node.entry(key));
        let all = join(&ticked(&choices));
        let Some(first) = chosen.next() else {
            self.add(node.at, path, format!("one of the keys {all} is missing"));
            return;
        };
        for other in chosen {
            let message = format!(
                "contradicts `{}`; only one of {} is allowed",
                first.key, all
            );
            self.add(other.at, &path.key(&other.key), message);
        }
    }

    fn count(
        &mut self,
        node: &Node,
        len: usize,
        (schema, least, most): (&Object, &str, &str),
        path: &Path<'_>,
    ) {
        let bound = |key| schema.get(key).and_then(Json::as_u64);
        let len = len as u64;
        if let Some(least) = bound(least).filter(|least| len < *least) {
            self.add(
                node.at,
                path,
                format!("at least {least} needed, found {len}"),
            );
        }
        if let Some(most) = bound(most).filter(|most| len > *most) {
            self.add(
                node.at,
                path,
                format!("at most {most} allowed, found {len}"),
            );
        }
    }
}

fn unknown_key(key: &str, properties: &Object) -> String {
    let near = did_you_mean(key, properties.keys().map(String::as_str));
    if !near.is_empty() {
        return format!("unknown key{near}");
    }
    let allowed: Vec<&str> = properties
        .iter()
        .filter(|(_, schema)| schema.get(NOT_YET) != Some(&Json::Bool(true)))
        .map(|(key, _)| key.as_str())
        .collect();
    format!("unknown key; allowed: {}", allowed.join(", "))
}

fn is_broken(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar.broken)
}

fn kind_fits(node: &Node, schema: &Object) -> bool {
    let wanted = kind_of(schema);
    match &node.value {
        Value::List(_) => wanted == "array",
        Value::Map(_) => wanted == "object",
        Value::Scalar(_) if node.stands_for_null() => wanted == "string" && is_filled_text(node),
        Value::Scalar(_) => matches!(wanted, "string" | "integer" | "number" | "boolean"),
    }
}

fn is_numeric(schema: &Object) -> bool {
    matches!(kind_of(schema), "integer" | "number")
}

fn is_filled_text(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar.substituted)
}

fn equals(node: &Node, value: &Json) -> bool {
    match (&node.value, value) {
        (Value::Scalar(scalar), Json::Null) => scalar.kind() == Kind::Null,
        (Value::Scalar(scalar), Json::Bool(wanted)) => scalar.kind() == Kind::Bool(*wanted),
        (Value::Scalar(scalar), Json::String(wanted)) => scalar.text == *wanted,
        (Value::Map(entries), Json::Object(wanted)) => entries.iter().all(|entry| {
            wanted
                .get(&entry.key)
                .is_some_and(|value| equals(&entry.node, value))
        }),
        _ => false,
    }
}
