//! What every conversion needs: the document to find places in, and where problems go.

use std::path::Path as FilePath;

use crate::config::node::{Node, Value};
use crate::config::path::Path;
use crate::config::problem::Problems;

/// What a file that the configuration names must contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Certificates in PEM.
    Certificates,
    /// A private key in PEM.
    PrivateKey,
    /// A program that can be run.
    Program,
}

/// Looks at a file: why it will not do, if it will not.
pub(crate) type CheckFile<'c> = &'c dyn Fn(&FilePath, FileKind) -> Result<(), String>;

/// The document and the problems found in it.
pub(crate) struct Context<'c> {
    root: &'c Node,
    problems: &'c mut Problems,
    check: CheckFile<'c>,
}

impl<'c> Context<'c> {
    pub(crate) fn new(root: &'c Node, problems: &'c mut Problems, check: CheckFile<'c>) -> Self {
        Self {
            root,
            problems,
            check,
        }
    }

    /// Notes a problem with the value at `path`.
    pub(crate) fn add(&mut self, path: &Path<'_>, message: impl Into<String>) {
        let place = path.find_nearest(self.root).at;
        self.problems.add(place, path.to_string(), message);
    }

    /// Notes a problem with `key` itself in the mapping at `path`.
    pub(crate) fn add_at_key(&mut self, path: &Path<'_>, key: &str, message: impl Into<String>) {
        let node = path.find_nearest(self.root);
        let place = node.entry(key).map_or(node.at, |entry| entry.at);
        self.problems.add(place, path.key(key).to_string(), message);
    }

    /// Whether the document has a value at `path`.
    pub(crate) fn is_given(&self, path: &Path<'_>) -> bool {
        path.find(self.root).is_some()
    }

    /// Whether the document has nothing at `path` where a value could be: `null` or an empty variable.
    pub(crate) fn is_null(&self, path: &Path<'_>) -> bool {
        path.find(self.root).is_some_and(Node::stands_for_null)
    }

    /// Whether the document has a list without elements at `path`.
    pub(crate) fn is_empty_list(&self, path: &Path<'_>) -> bool {
        let value = path.find(self.root).map(|node| &node.value);
        matches!(value, Some(Value::List(items)) if items.is_empty())
    }

    /// Whether the document has a list at `path`.
    pub(crate) fn is_list(&self, path: &Path<'_>) -> bool {
        let value = path.find(self.root).map(|node| &node.value);
        matches!(value, Some(Value::List(_)))
    }

    /// Whether the document has a mapping at `path`.
    pub(crate) fn is_mapping(&self, path: &Path<'_>) -> bool {
        let value = path.find(self.root).map(|node| &node.value);
        matches!(value, Some(Value::Map(_)))
    }

    /// Looks at the file that the value at `path` names.
    pub(crate) fn check_file(&mut self, path: &Path<'_>, file: &FilePath, kind: FileKind) {
        if let Err(message) = (self.check)(file, kind) {
            self.add(path, message);
        }
    }
}
