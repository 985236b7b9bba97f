//! YAML as a tree in which every key and value knows its place.
//!
//! The tree is built from the parser's events with a stack of our own, so the
//! depth, the number of nodes and what aliases expand to are all bounded, and
//! a duplicate key is a problem that does not hide the others.

use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::node::{Entry, Node, Scalar, Value};
use super::path;
use super::problem::{Place, Problems};

/// Deepest nesting of mappings and lists.
const MAX_DEPTH: usize = 32;
/// Keys of one mapping.
const MAX_KEYS: usize = 10_000;
/// Nodes of a document, those that aliases repeat included.
const MAX_NODES: usize = 500_000;

/// The document in `text`; `None`, with the reason noted, where it is not one.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::new(problems);
    loop {
        let (event, mark) = match parser.next_token() {
            Ok(next) => next,
            Err(error) => {
                problems.add(place(*error.marker()), "syntax", error.info());
                return None;
            }
        };
        match builder.take(event, place(mark)) {
            Ok(Step::More) => {}
            Ok(Step::Done) => return builder.root,
            Err((at, message)) => {
                builder.problems.add(at, "syntax", message);
                return None;
            }
        }
    }
}

fn place(mark: Marker) -> Place {
    Place::File {
        line: mark.line().max(1),
        column: mark.col() + 1,
    }
}

/// A mapping or list that is not finished.
struct Open {
    at: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        merged: Vec<Entry>,
        key: Option<(String, Place)>,
    },
}

enum Step {
    More,
    Done,
}

type Fatal = (Place, String);

struct Builder<'p> {
    problems: &'p mut Problems,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

impl<'p> Builder<'p> {
    fn new(problems: &'p mut Problems) -> Self {
        Self {
            problems,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            nodes: 0,
        }
    }

    fn take(&mut self, event: Event, at: Place) -> Result<Step, Fatal> {
        match event {
            Event::StreamEnd => return Ok(Step::Done),
            Event::DocumentStart if self.root.is_some() => {
                return Err((at, "a second document; one file is one document".to_owned()));
            }
            Event::Nothing | Event::StreamStart | Event::DocumentStart | Event::DocumentEnd => {}
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                self.scalar(text, style, anchor, at)?;
            }
            Event::Alias(anchor) => self.alias(anchor, at)?,
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                self.start(at, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                let content = Content::Map {
                    entries: Vec::new(),
                    merged: Vec::new(),
                    key: None,
                };
                self.start(at, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
        }
        Ok(Step::More)
    }

    fn scalar(
        &mut self,
        text: String,
        style: TScalarStyle,
        anchor: usize,
        at: Place,
    ) -> Result<(), Fatal> {
        if let Some(Content::Map { key, .. }) = self.open.last_mut().map(|open| &mut open.content)
            && key.is_none()
        {
            *key = Some((text, at));
            return Ok(());
        }
        let scalar = Scalar {
            text,
            plain: style == TScalarStyle::Plain,
            substituted: false,
            broken: false,
        };
        let node = Node {
            at,
            value: Value::Scalar(scalar),
        };
        self.value(node, anchor)
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<(), Fatal> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err((at, "an alias inside of what it stands for".to_owned()));
        };
        let waits_for_key = matches!(
            self.open.last().map(|open| &open.content),
            Some(Content::Map { key: None, .. })
        );
        if waits_for_key {
            return Err((at, "an alias cannot be a key".to_owned()));
        }
        self.count(node.size(), at)?;
        self.value(node, 0)
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), Fatal> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err((at, format!("more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn start(&mut self, at: Place, anchor: usize, content: Content) -> Result<(), Fatal> {
        let waits_for_key = matches!(
            self.open.last().map(|open| &open.content),
            Some(Content::Map { key: None, .. })
        );
        if waits_for_key {
            return Err((at, "a key must be text, not a list or mapping".to_owned()));
        }
        if self.open.len() == MAX_DEPTH {
            return Err((at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(Open {
            at,
            anchor,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fatal> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (at, value) = match open.content {
            Content::List(items) => (open.at, Value::List(items)),
            Content::Map {
                mut entries,
                merged,
                ..
            } => {
                // A block mapping is announced at its first colon; it starts at its first key.
                let first = entries.first().map_or(open.at, |entry| entry.at);
                merge(&mut entries, merged);
                (open.at.min(first), Value::Map(entries))
            }
        };
        self.value(Node { at, value }, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        self.count(1, node.at)?;
        if anchor > 0 {
            self.count(node.size(), node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { merged, key, .. }) => match key.take() {
                Some((key, _)) if key == "<<" => collect_merge(node, merged)?,
                Some((key, at)) => return self.entry(Entry { key, at, node }),
                None => {}
            },
        }
        Ok(())
    }

    fn entry(&mut self, mut entry: Entry) -> Result<(), Fatal> {
        if entry.node.is_nothing() {
            // The parser sees nothing only where something else starts.
            entry.node.at = entry.at;
        }
        let Some(Content::Map { entries, .. }) = self.open.last_mut().map(|open| &mut open.content)
        else {
            return Ok(());
        };
        if entries.len() == MAX_KEYS {
            return Err((entry.at, format!("a mapping of more than {MAX_KEYS} keys")));
        }
        let Some(first) = entries.iter().find(|own| own.key == entry.key) else {
            entries.push(entry);
            return Ok(());
        };
        let message = match first.at {
            Place::File { line, .. } => format!("duplicate key, first on line {line}"),
            Place::Environment => "duplicate key".to_owned(),
        };
        let key = self.path_of(&entry.key);
        self.problems.add(entry.at, key, message);
        Ok(())
    }

    /// The path of `key` in the innermost open mapping.
    fn path_of(&self, key: &str) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::List(items) => path::push_index(&mut path, items.len()),
                Content::Map {
                    key: Some((key, _)),
                    ..
                } => path::push_key(&mut path, key),
                Content::Map { key: None, .. } => {}
            }
        }
        path::push_key(&mut path, key);
        path
    }
}

fn refuse_tag(tagged: bool, at: Place) -> Result<(), Fatal> {
    if tagged {
        return Err((at, "tags such as `!!str` are not supported".to_owned()));
    }
    Ok(())
}

/// What `<<` brings in: one mapping or a list of them.
fn collect_merge(node: Node, merged: &mut Vec<Entry>) -> Result<(), Fatal> {
    match node.value {
        Value::Map(entries) if merged.len() + entries.len() <= MAX_KEYS => merged.extend(entries),
        Value::Map(_) => {
            return Err((node.at, format!("`<<` brings in more than {MAX_KEYS} keys")));
        }
        Value::List(items) => {
            for item in items {
                collect_merge(item, merged)?;
            }
        }
        Value::Scalar(_) => {
            return Err((node.at, "`<<` takes a mapping or a list of them".to_owned()));
        }
    }
    Ok(())
}

/// Adds what the mapping does not say itself; of two merged mappings the first wins.
fn merge(entries: &mut Vec<Entry>, merged: Vec<Entry>) {
    for entry in merged {
        if !entries.iter().any(|own| own.key == entry.key) {
            entries.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::Kind;

    fn parsed(text: &str) -> Result<Node, String> {
        let mut problems = Problems::default();
        match parse(text, &mut problems) {
            Some(root) if problems.is_empty() => Ok(root),
            _ => Err(problems.into_errors("f").to_string()),
        }
    }

    fn at(node: &Node) -> (usize, usize) {
        match node.at {
            Place::File { line, column } => (line, column),
            Place::Environment => (0, 0),
        }
    }

    #[test]
    fn every_value_knows_where_it_starts() {
        let root = parsed("# c\na:\n  b: [x, {c: y}]\nd:\ne: |\n  text\n").unwrap();
        assert_eq!(at(&root), (2, 1));
        let a = root.get("a").unwrap();
        assert_eq!(at(a), (3, 3));
        let list = a.get("b").unwrap();
        assert_eq!(at(list), (3, 6));
        assert_eq!(at(list.item(0).unwrap()), (3, 7));
        assert_eq!(at(list.item(1).unwrap()), (3, 10));
        assert_eq!(at(list.item(1).unwrap().get("c").unwrap()), (3, 14));
        assert_eq!(at(root.get("d").unwrap()), (4, 1));
    }

    #[test]
    fn columns_count_characters() {
        let root = parsed("{ä: ö, b: c}").unwrap();
        assert_eq!(at(root.get("b").unwrap()), (1, 11));
    }

    #[test]
    fn quotes_make_text() {
        let root =
            parsed("{a: 5, b: '5', c: true, d: \"null\", e: null, f: 1.5, g: 10.0.0.1}").unwrap();
        let kind = |key: &str| match &root.get(key).unwrap().value {
            Value::Scalar(scalar) => scalar.kind(),
            _ => panic!("{key} is a scalar"),
        };
        assert_eq!(kind("a"), Kind::Integer(5));
        assert_eq!(kind("b"), Kind::Text);
        assert_eq!(kind("c"), Kind::Bool(true));
        assert_eq!(kind("d"), Kind::Text);
        assert_eq!(kind("e"), Kind::Null);
        assert_eq!(kind("f"), Kind::Float);
        assert_eq!(kind("g"), Kind::Text);
    }

    #[test]
    fn a_merged_mapping_gives_what_the_mapping_does_not_say_itself() {
        let root =
            parsed("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: {<<: [*a, {z: 4}]}\n").unwrap();
        let text = |key: &str, inner: &str| match &root.get(key).unwrap().get(inner).unwrap().value
        {
            Value::Scalar(scalar) => scalar.text.clone(),
            _ => panic!("{key}.{inner} is a scalar"),
        };
        assert_eq!(
            (text("b", "x"), text("b", "y")),
            ("1".to_owned(), "3".to_owned())
        );
        assert_eq!(
            (text("c", "x"), text("c", "z")),
            ("1".to_owned(), "4".to_owned())
        );
    }

    #[test]
    fn every_duplicate_key_is_told_with_its_path() {
        assert_eq!(
            parsed("a: [{b: 1, b: 2}]\nc: 1\nc: 2\n").unwrap_err(),
            "f:1:12: a[0].b: duplicate key, first on line 1\nf:3:1: c: duplicate key, first on line 2"
        );
    }

    #[test]
    fn deep_and_wide_documents_are_refused_without_harm() {
        for depth in [MAX_DEPTH + 1, 100_000] {
            assert!(parsed(&"[".repeat(depth)).is_err());
            assert!(parsed(&"- ".repeat(depth)).is_err());
        }
        let mut block = String::new();
        for depth in 0..2000 {
            block.push_str(&" ".repeat(depth));
            block.push_str("a:\n");
        }
        assert!(parsed(&block).unwrap_err().contains("nested deeper"));
        let keys: Vec<String> = (0..=MAX_KEYS).map(|key| key.to_string()).collect();
        let wide = format!("{}: 1\n", keys.join(": 1\n"));
        assert!(
            parsed(&wide)
                .unwrap_err()
                .contains("a mapping of more than 10000 keys")
        );
    }
}
