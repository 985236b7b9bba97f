//! The house's words in JSON: written by their labels, described by the list of them all.

use std::borrow::Cow;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serializer;

use crate::config::Algorithm;
use crate::state::{Reason, State};

/// One of a fixed set of words.
pub(super) trait Word: Copy + 'static {
    /// Every one.
    fn all() -> &'static [Self];
    /// How it is written.
    fn word(self) -> &'static str;
}

impl Word for State {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn word(self) -> &'static str {
        self.label()
    }
}

impl Word for Reason {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn word(self) -> &'static str {
        self.label()
    }
}

impl Word for Algorithm {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn word(self) -> &'static str {
        self.name()
    }
}

/// Writes the word.
pub(super) fn write<W: Word, S: Serializer>(word: &W, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word.word())
}

/// The schema of a field that holds one of the words.
pub(super) fn schema<W: Word>(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<Cow<'static, str>> = W::all().iter().map(|word| word.word().into()).collect();
    json_schema!({ "type": "string", "enum": words })
}
