//! YAML as a tree in which every key and value knows its place.
//!
//! The tree is built from the parser's events with a stack of our own, so the
//! depth, the number of nodes and what aliases expand to are all bounded, and
//! a duplicate key is a problem that does not hide the others.

use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::path;
use super::problem::{Place, Problems};

/// Deepest nesting of mappings and lists.
const MAX_DEPTH: usize = 32;
/// Keys of one mapping.
const MAX_KEYS: usize = 10_000;
/// Nodes of a document, those that aliases repeat included.
const MAX_NODES: usize = 500_000;

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

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
        }
    }
}

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
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            Event::StreamEnd => return Ok(Step::Done),
            Event::DocumentStart if self.root.is_some() => {
                return Err((at, "a second document; one file is one document".to_owned()));
            }
            Event::DocumentStart => {}
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
                merge(&mut entries, merged);
                (open.at, Value::Map(entries))
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

    fn entry(&mut self, entry: Entry) -> Result<(), Fatal> {
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
