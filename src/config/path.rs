//! The path of a key, such as `routes[0].match.path`.
//!
//! A path is a chain of borrowed steps on the stack: walking a large file
//! costs nothing until there is a problem to name.

use std::fmt;
use std::fmt::Write as _;

use super::node::Node;
use super::problem::quoted;

/// A key's place in the document's structure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The document itself.
    pub(crate) const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    /// The value of `key` in here.
    pub(crate) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// The element at `index` in here.
    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// The node here, where the document has one.
    pub(crate) fn find<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        let parent = match self.parent {
            Some(parent) => parent.find(root)?,
            None => root,
        };
        match self.step {
            Step::Root => Some(parent),
            Step::Key(key) => parent.get(key),
            Step::Index(index) => parent.item(index),
        }
    }

    /// The node here, or the innermost one around it.
    pub(crate) fn find_nearest<'n>(&self, root: &'n Node) -> &'n Node {
        match (self.find(root), self.parent) {
            (Some(node), _) => node,
            (None, Some(parent)) => parent.find_nearest(root),
            (None, None) => root,
        }
    }

    fn write_to(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write_to(out);
        }
        match self.step {
            Step::Root => {}
            Step::Key(key) => push_key(out, key),
            Step::Index(index) => push_index(out, index),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write_to(&mut out);
        f.write_str(if out.is_empty() { "file" } else { &out })
    }
}

/// Adds a key to a path in text; quoted where it would not read as one word.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.len() <= 60 && key.chars().all(word) {
        path.push_str(key);
    } else {
        path.push_str(&quoted(key));
    }
}

/// Adds an index to a path in text.
pub(crate) fn push_index(path: &mut String, index: usize) {
    write!(path, "[{index}]").expect("writing to a String cannot fail");
}
