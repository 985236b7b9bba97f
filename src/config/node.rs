//! The document as a tree: what each value is, how it was written and where it starts.

use super::problem::Place;

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Place,
    pub(crate) node: Node,
}

/// Text, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Without quotes, so that `5` is a number and `true` a boolean.
    pub(crate) plain: bool,
    /// Whether a `${...}` was replaced in it.
    pub(crate) substituted: bool,
    /// Whether a `${...}` in it could not be replaced, which is noted already.
    pub(crate) broken: bool,
}

/// What a scalar is under YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i64),
    Float,
    Text,
}

impl Scalar {
    /// What the text stands for.
    pub(crate) fn kind(&self) -> Kind {
        if !self.plain {
            return Kind::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
            "true" | "True" | "TRUE" => Kind::Bool(true),
            "false" | "False" | "FALSE" => Kind::Bool(false),
            text => match text.parse() {
                Ok(number) => Kind::Integer(number),
                Err(_) if is_float(text) => Kind::Float,
                Err(_) => Kind::Text,
            },
        }
    }

    /// The same for a place that takes no text: quotes around a variable do not count there,
    /// because in `{ }` YAML asks for them.
    pub(crate) fn kind_of_filled(&self) -> Kind {
        let plain = self.plain || self.substituted;
        Self {
            plain,
            ..self.clone()
        }
        .kind()
    }
}

fn is_float(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.contains(|c: char| c.is_ascii_digit())
        && text.parse::<f64>().is_ok()
}

impl Node {
    /// The value of `key`, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry of `key`, where this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The element at `index`, where this is a list that has it.
    pub(crate) fn item(&self, index: usize) -> Option<&Node> {
        match &self.value {
            Value::List(items) => items.get(index),
            _ => None,
        }
    }

    /// Whether this is the absence of a value, rather than a `null` that was written.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.plain && matches!(scalar.text.as_str(), "" | "~"))
    }

    /// Whether it is nothing, or a variable that came out empty: `token: ${TOKEN:-}` turns the
    /// token off.
    pub(crate) fn stands_for_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => {
                scalar.kind() == Kind::Null || (scalar.substituted && scalar.text.is_empty())
            }
            _ => false,
        }
    }

    /// Nodes in here, itself included.
    pub(crate) fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
        }
    }
}
