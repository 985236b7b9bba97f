//! The reference of the configuration in Markdown, written from its schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::schema::{self, NOT_YET, constants};

type Object = Map<String, Value>;

const HEAD: &str = include_str!("docs_head.md");

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let schema = schema::schema();
    let mut writer = Writer {
        schema: &schema,
        out: HEAD.to_owned(),
        told: BTreeSet::new(),
    };
    if let Some(root) = schema.as_object() {
        writer.section("The file", "", root);
    }
    writer.out.truncate(writer.out.trim_end().len());
    writer.out.push('\n');
    writer.out
}

struct Writer<'s> {
    schema: &'s Value,
    out: String,
    told: BTreeSet<String>,
}

/// A section still to be written: its heading, the name of its type, its schema.
struct Later<'s> {
    path: String,
    name: String,
    schema: &'s Object,
}

impl<'s> Writer<'s> {
    /// One mapping as a table, and then the mappings in it.
    fn section(&mut self, heading: &str, path: &str, schema: &'s Object) {
        let text = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut later = Vec::new();
        let table = self.table(path, schema, &mut later);
        write!(self.out, "## {heading}\n\n{text}\n\n{table}\n").expect(INFALLIBLE);
        for next in later {
            if self.told.insert(next.name) {
                let heading = format!("`{}`", next.path);
                self.section(&heading, &next.path, next.schema);
            }
        }
    }

    fn table(&self, path: &str, schema: &'s Object, later: &mut Vec<Later<'s>>) -> String {
        let mut table = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
        let required = names(schema.get("required"));
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, property) in properties.into_iter().flatten() {
            let Some(property) = property.as_object() else {
                continue;
            };
            if property.get(NOT_YET) == Some(&Value::Bool(true)) {
                continue;
            }
            let sections = self.sections(&join(path, key), property);
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                Some(Value::Object(keys)) if !keys.is_empty() => "see below".to_owned(),
                Some(Value::String(text)) if text.is_empty() => "`\"\"`".to_owned(),
                Some(default) => format!("`{default}`").replace('"', "").replace(',', ", "),
                None => String::new(),
            };
            let meaning = property.get("description").and_then(Value::as_str);
            let value = self.value(property);
            let meaning = cell(meaning.unwrap_or_default());
            writeln!(
                table,
                "| `{key}` | {} | {default} | {meaning} |",
                cell(&value)
            )
            .expect(INFALLIBLE);
            later.extend(sections);
        }
        table
    }

    /// The mappings with keys of their own that a value of `property` may be or hold.
    fn sections(&self, path: &str, property: &'s Object) -> Vec<Later<'s>> {
        if let Some(items) = property.get("items").and_then(Value::as_object) {
            return self.sections(&format!("{path}[]"), items);
        }
        if let Some(values) = property
            .get("additionalProperties")
            .and_then(Value::as_object)
        {
            return self.sections(&format!("{path}.NAME"), values);
        }
        let alternatives = property.get("anyOf").and_then(Value::as_array);
        if let Some(alternatives) = alternatives {
            let objects = alternatives.iter().filter_map(Value::as_object);
            return objects.flat_map(|one| self.sections(path, one)).collect();
        }
        let reference = property.get("$ref").and_then(Value::as_str);
        let schema = self.resolve(property);
        if !schema.contains_key("properties") {
            return Vec::new();
        }
        vec![Later {
            path: path.to_owned(),
            name: reference.unwrap_or(path).to_owned(),
            schema,
        }]
    }

    fn resolve(&self, schema: &'s Object) -> &'s Object {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target =
            reference.and_then(|reference| self.schema.pointer(reference.strip_prefix('#')?));
        target.and_then(Value::as_object).unwrap_or(schema)
    }

    /// What the value may be, in words.
    fn value(&self, property: &'s Object) -> String {
        let schema = self.resolve(property);
        if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
            let objects = alternatives.iter().filter_map(Value::as_object);
            let words: Vec<String> = objects.map(|one| self.value(one)).collect();
            return words.join(" or ");
        }
        let bounds = bounds(schema);
        if let Some(items) = schema.get("items").and_then(Value::as_object) {
            return format!("list of {}{bounds}", self.value(items));
        }
        if let Some(values) = schema
            .get("additionalProperties")
            .and_then(Value::as_object)
        {
            return format!("mapping from names to {}{bounds}", self.value(values));
        }
        let words = words(schema);
        if !words.is_empty() {
            return words.join(", ");
        }
        let nullable = match schema.get("type") {
            Some(Value::Array(_)) => " or null",
            _ => "",
        };
        format!("{}{bounds}{nullable}", kind(schema))
    }
}

const INFALLIBLE: &str = "writing to a String cannot fail";

fn kind(schema: &Object) -> &str {
    let format = schema.get("format").and_then(Value::as_str);
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    match (format, kind) {
        (Some(format), _) => format,
        (None, Some("object")) => "mapping",
        (None, Some("string")) => "text",
        (None, kind) => kind.unwrap_or("text"),
    }
}

fn words(schema: &Object) -> Vec<String> {
    constants(schema)
        .map(|word| match word {
            Value::Null => "null".to_owned(),
            word => format!("`{word}`").replace('"', ""),
        })
        .collect()
}

/// The bounds in words: ` 1 to 10`, ` (at most 64)`.
fn bounds(schema: &Object) -> String {
    let shown = |key: &str| {
        let value = schema.get(key)?;
        Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    };
    for (least, most) in [
        ("minimum", "maximum"),
        ("x-minimum", "x-maximum"),
        ("minItems", "maxItems"),
    ] {
        match (shown(least), shown(most)) {
            (Some(least), Some(most)) => return format!(", {least} to {most}"),
            (None, Some(most)) => return format!(", at most {most}"),
            _ => {}
        }
    }
    for (key, unit) in [("maxProperties", ""), ("maxLength", " characters")] {
        if let Some(most) = shown(key) {
            return format!(", at most {most}{unit}");
        }
    }
    String::new()
}

fn names(list: Option<&Value>) -> Vec<&str> {
    let list = list.and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(schema: &Value, all: &mut BTreeSet<String>) {
        match schema {
            Value::Object(object) => {
                let form = object.get("type").and(object.get("format"));
                if let Some(Value::String(format)) = form {
                    all.insert(format.clone());
                }
                object.values().for_each(|value| formats(value, all));
            }
            Value::Array(items) => items.iter().for_each(|item| formats(item, all)),
            _ => {}
        }
    }

    #[test]
    fn every_form_is_explained() {
        let mut all = BTreeSet::new();
        formats(&schema::schema(), &mut all);
        assert!(all.len() > 15);
        let rows: Vec<&str> = HEAD.lines().filter(|line| line.starts_with("| ")).collect();
        for format in all {
            let named = |row: &&str| {
                let first = row.split('|').nth(1).unwrap_or_default();
                first.split(',').any(|name| name.trim() == format)
            };
            assert!(
                rows.iter().any(named),
                "docs_head.md does not explain `{format}`"
            );
        }
    }
}
