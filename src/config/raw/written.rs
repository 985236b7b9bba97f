//! Text of a given form, as the file has it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::format::Format;

/// A text and what it stands for.
pub(crate) struct Written<F: Format> {
    text: String,
    pub(crate) value: F::Value,
}

impl<F: Format> Written<F> {
    /// A default of ours.
    pub(crate) fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            value: F::parse(text).expect("our own defaults are of their form"),
        }
    }
}

/// Without the text, which may be a secret.
impl<F: Format> fmt::Debug for Written<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<F: Format> Clone for Written<F> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            value: self.value.clone(),
        }
    }
}

impl<F: Format> Serialize for Written<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, F: Format> Deserialize<'de> for Written<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = F::parse(&text)
            .map_err(|reason| de::Error::custom(format!("expected {}: {reason}", F::EXPECTED)))?;
        Ok(Self { text, value })
    }
}

impl<F: Format> JsonSchema for Written<F> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        F::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string", "format": F::NAME });
        if let Some(pattern) = F::PATTERN {
            schema.insert("pattern".to_owned(), pattern.into());
        }
        if F::SECRET {
            schema.insert("writeOnly".to_owned(), true.into());
        }
        schema
    }
}
