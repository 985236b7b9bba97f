//! The JSON Schema of the configuration, generated from the types of the file as written.
//!
//! Editors complete and check with it, the loader walks the document along it,
//! and the reference is written from it. Two keywords are ours: `x-minimum` and
//! `x-maximum` bound texts with units, and `x-not-supported-yet` marks a key
//! that is known but must stay off, or lists words that are.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::raw;

/// Marks keys and words of later versions.
pub(crate) const NOT_YET: &str = "x-not-supported-yet";

/// Keys of later versions: where, which, and the values that say "off".
fn later_keys() -> [(&'static str, &'static str, Value); 4] {
    [
        ("Listener", "proxy_protocol", json!([false])),
        ("Listener", "tls", json!([null])),
        ("Route", "mirror", json!([null])),
        ("", "fleet", json!([null, {"redis": null}])),
    ]
}

/// Words of later versions: where, of which key, which.
const LATER_WORDS: [(&str, &str, &[&str]); 1] = [("Listener", "protocol", &["tcp"])];

/// The JSON Schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = generate::<raw::Config>();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Evenkeel configuration"));
    }
    for (definition, key, off) in later_keys() {
        if let Some(properties) = properties_of(&mut schema, definition) {
            let later = json!({
                "description": "Not supported yet.",
                "enum": off,
                NOT_YET: true,
            });
            properties.insert(key.to_owned(), later);
        }
    }
    for (definition, key, words) in LATER_WORDS {
        let property = properties_of(&mut schema, definition).and_then(|all| all.get_mut(key));
        if let Some(property) = property.and_then(Value::as_object_mut) {
            property.insert(NOT_YET.to_owned(), json!(words));
        }
    }
    schema
}

/// The JSON Schema of a file of backends.
pub(crate) fn backends() -> Value {
    generate::<Vec<raw::Item>>()
}

fn generate<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

fn properties_of<'s>(
    schema: &'s mut Value,
    definition: &str,
) -> Option<&'s mut Map<String, Value>> {
    let object = match definition {
        "" => schema,
        name => schema.get_mut("$defs")?.get_mut(name)?,
    };
    object.get_mut("properties")?.as_object_mut()
}

/// Takes away what the generator adds but the file's author cannot use.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            let required: Vec<String> = required_keys(object);
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                for (key, property) in properties.iter_mut() {
                    tidy_property(property, required.contains(key));
                }
            }
            if is_of(object, "number") {
                object.remove("format");
            }
            if is_of(object, "integer") {
                object.remove("format");
                if object.contains_key("enum") {
                    object.remove("minimum");
                    object.remove("maximum");
                }
            }
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// The keys without a default: required ones, and those of which one must be chosen.
fn required_keys(object: &Map<String, Value>) -> Vec<String> {
    let names = |value: &Value| -> Vec<String> {
        let list = value.get("required").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let mut all = names(&Value::Object(object.clone()));
    for choice in object
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        all.extend(names(choice));
    }
    all
}

fn tidy_property(property: &mut Value, required: bool) {
    let Some(object) = property.as_object_mut() else {
        return;
    };
    let default_is_null = object.get("default").is_some_and(Value::is_null);
    if required || (default_is_null && !accepts_null(object)) {
        object.remove("default");
    }
}

/// Whether a value may be of this type, perhaps beside null.
fn is_of(schema: &Map<String, Value>, kind: &str) -> bool {
    let kind = json!(kind);
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.contains(&kind),
        only => only == Some(&kind),
    }
}

fn accepts_null(schema: &Map<String, Value>) -> bool {
    let null = json!("null");
    match schema.get("type") {
        Some(Value::Array(types)) => types.contains(&null),
        Some(kind) => *kind == null,
        None => schema
            .get("anyOf")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().filter_map(Value::as_object).any(accepts_null)),
    }
}

/// The values it allows, where it allows only some.
pub(super) fn constants(schema: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let listed = schema.get("enum").and_then(Value::as_array);
    let documented = schema.get("oneOf").and_then(Value::as_array);
    listed
        .into_iter()
        .flatten()
        .chain(schema.get("const"))
        .chain(
            documented
                .into_iter()
                .flatten()
                .filter_map(|one| one.get("const")),
        )
}
