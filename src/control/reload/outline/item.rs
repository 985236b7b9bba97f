//! One thing of an outline.

use crate::control::reload::value::Keys;

/// One thing that a configuration has by name.
#[derive(Debug)]
pub(in crate::control::reload) struct Item {
    /// What it is, in a word.
    pub(in crate::control::reload) kind: &'static str,
    /// Where it is: `routes.api`.
    pub(in crate::control::reload) path: String,
    /// What it amounts to.
    pub(in crate::control::reload) summary: String,
    pub(in crate::control::reload) keys: Keys,
}
