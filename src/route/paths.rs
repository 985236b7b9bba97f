//! The path half of the index: a radix tree over the literal starts of a host's
//! path conditions.
//!
//! A look-up walks down along the path once. Every node that holds routes knows
//! the next one above it, so climbing from the deepest visits the candidates
//! from the longest literal to the shortest, and no list of them is made.

use super::found::RouteMatch;
use super::precedence::{PathKey, PathKind};

/// The routes of one host, by path.
#[derive(Debug)]
pub(super) struct PathIndex {
    /// The first is the root, whose label is empty.
    nodes: Vec<Node>,
    /// Routes without a path condition, the most specific first.
    pathless: Vec<usize>,
}

#[derive(Debug, Default)]
struct Node {
    /// What this node adds to the literal of its parent.
    label: Box<[u8]>,
    /// Length of the whole literal.
    depth: usize,
    /// First bytes of the children's labels, sorted, and beside each the child.
    first_bytes: Vec<u8>,
    children: Vec<usize>,
    /// The nearest node above that has entries.
    above: Option<usize>,
    /// The most specific first.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    route: usize,
    kind: PathKind,
}

impl Default for PathIndex {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            pathless: Vec::new(),
        }
    }
}

impl PathIndex {
    /// Indexes `routes`, which come most specific first.
    pub(super) fn new<'k>(routes: impl Iterator<Item = (usize, Option<&'k PathKey>)>) -> Self {
        let mut index = Self::default();
        for (route, key) in routes {
            match key {
                Some(PathKey { literal, kind }) => {
                    let node = index.node_of(literal.as_bytes());
                    let entry = Entry { route, kind: *kind };
                    index.nodes[node].entries.push(entry);
                }
                None => index.pathless.push(route),
            }
        }
        index.link();
        index
    }

    /// The routes whose literal path condition holds for `path`, and those with a
    /// regex that may, the most specific first.
    pub(super) fn candidates<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = RouteMatch> + use<'a> {
        let deepest = self.deepest(path.as_bytes());
        let climb =
            std::iter::successors(deepest, |node| node.above.map(|above| &self.nodes[above]));
        let literal = climb.flat_map(move |node| {
            node.entries
                .iter()
                .filter_map(move |entry| entry.admit(path.as_bytes(), node.depth))
        });
        let pathless = self.pathless.iter().map(|&route| RouteMatch {
            route,
            prefix_len: 0,
        });
        literal.chain(pathless)
    }

    /// The deepest node with entries whose literal `path` starts with.
    fn deepest(&self, path: &[u8]) -> Option<&Node> {
        let mut node = &self.nodes[0];
        let mut deepest = None;
        loop {
            if !node.entries.is_empty() {
                deepest = Some(node);
            }
            let rest = &path[node.depth..];
            let child = rest.first().and_then(|&first| node.child(first));
            match child.map(|child| &self.nodes[child]) {
                Some(child) if rest.starts_with(&child.label) => node = child,
                _ => return deepest,
            }
        }
    }

    /// The node of `literal`, made where it does not exist.
    fn node_of(&mut self, literal: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = &literal[self.nodes[at].depth..];
            let Some(&first) = rest.first() else {
                return at;
            };
            let Some(child) = self.nodes[at].child(first) else {
                return self.add_child(at, rest);
            };
            let label = &self.nodes[child].label;
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                self.split(child, common);
            }
            at = child;
        }
    }

    fn add_child(&mut self, parent: usize, label: &[u8]) -> usize {
        let child = self.nodes.len();
        let node = Node {
            label: label.into(),
            depth: self.nodes[parent].depth + label.len(),
            ..Node::default()
        };
        self.nodes.push(node);
        self.nodes[parent].adopt(label[0], child);
        child
    }

    /// Cuts the label of `node` after `at` bytes. The node keeps the start; what it
    /// was moves into a new child.
    fn split(&mut self, node: usize, at: usize) {
        let lower = self.nodes.len();
        let upper = &mut self.nodes[node];
        let label = std::mem::take(&mut upper.label);
        let start = Node {
            label: label[..at].into(),
            depth: upper.depth - (label.len() - at),
            ..Node::default()
        };
        let mut moved = std::mem::replace(upper, start);
        upper.adopt(label[at], lower);
        moved.label = label[at..].into();
        self.nodes.push(moved);
    }

    /// Gives each node its nearest ancestor with entries.
    fn link(&mut self) {
        let mut open = vec![(0, None)];
        while let Some((at, above)) = open.pop() {
            let node = &mut self.nodes[at];
            node.above = above;
            let nearest = if node.entries.is_empty() {
                above
            } else {
                Some(at)
            };
            open.extend(node.children.iter().map(|&child| (child, nearest)));
        }
    }
}

impl Node {
    fn child(&self, first: u8) -> Option<usize> {
        let at = self.first_bytes.binary_search(&first).ok()?;
        Some(self.children[at])
    }

    fn adopt(&mut self, first: u8, child: usize) {
        let at = self.first_bytes.partition_point(|&byte| byte < first);
        self.first_bytes.insert(at, first);
        self.children.insert(at, child);
    }
}

impl Entry {
    /// The match this entry stands for, given that `path` starts with its literal,
    /// which is `len` bytes long.
    fn admit(self, path: &[u8], len: usize) -> Option<RouteMatch> {
        // The only prefix that ends in a slash is `/`, and it covers no part of the path.
        let (holds, prefix_len) = match self.kind {
            PathKind::Exact => (len == path.len(), len),
            PathKind::Regex => (true, 0),
            PathKind::Prefix if len == 1 => (true, 0),
            PathKind::Prefix => (matches!(path.get(len), None | Some(b'/')), len),
        };
        holds.then_some(RouteMatch {
            route: self.route,
            prefix_len,
        })
    }
}
