//! How specific a route is. Both the index, which is built in this order, and
//! the explanation, which sorts by it, take it from here.

use std::cmp::Reverse;

use regex_syntax::hir::{Hir, HirKind, Look};

use crate::config::{HostPattern, Match, PathPattern, Route};
use crate::request::normalize_path;

/// A route as the router sees it: its conditions, literal paths in normal form.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) matches: Match,
    /// Conditions beside host and path.
    pub(super) conditions: usize,
    /// `None` matches every path.
    pub(super) path: Option<PathKey>,
}

impl Rule {
    pub(super) fn new(route: &Route) -> Self {
        let mut matches = route.matches.clone();
        matches.path = matches.path.map(normalized);
        Self {
            name: route.name.clone(),
            conditions: count_conditions(&matches),
            path: matches.path.as_ref().map(PathKey::new),
            matches,
        }
    }

    /// The host conditions, of which one must hold; never empty.
    pub(super) fn hosts(&self) -> impl Iterator<Item = HostKey<'_>> {
        let hosts = &self.matches.hosts;
        let any = hosts.is_empty().then_some(HostKey::Any);
        hosts.iter().map(HostKey::new).chain(any)
    }
}

/// One host condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostKey<'m> {
    Exact(&'m str),
    /// What the host ends in, with the dot at its start.
    Suffix(&'m str),
    Any,
}

impl<'m> HostKey<'m> {
    fn new(pattern: &'m HostPattern) -> Self {
        match pattern {
            HostPattern::Exact(host) => Self::Exact(host),
            HostPattern::Suffix(suffix) => Self::Suffix(suffix),
        }
    }

    /// The length of what it requires; more than any suffix when it requires all.
    pub(super) fn specificity(self) -> usize {
        match self {
            Self::Exact(_) => usize::MAX,
            Self::Suffix(suffix) => suffix.len(),
            Self::Any => 0,
        }
    }
}

/// Where a path condition stands in the index.
#[derive(Clone, Debug)]
pub(super) struct PathKey {
    /// What every matching path starts with; the longer, the more specific.
    pub(super) literal: String,
    pub(super) kind: PathKind,
}

/// Kinds of path conditions, from the most specific one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathKind {
    Exact,
    Regex,
    Prefix,
}

impl PathKey {
    fn new(pattern: &PathPattern) -> Self {
        let (kind, literal) = match pattern {
            PathPattern::Exact(path) => (PathKind::Exact, path.clone()),
            PathPattern::Prefix(path) => (PathKind::Prefix, path.clone()),
            PathPattern::Regex(regex) => (PathKind::Regex, literal_start(regex.as_str())),
        };
        Self { literal, kind }
    }
}

/// Sorts routes from the most specific one: host, path, conditions, position.
pub(super) type Rank = (
    Reverse<usize>,
    Reverse<usize>,
    PathKind,
    Reverse<usize>,
    usize,
);

/// The rank of the rule at `position` for requests that match `host`, one of its own.
pub(super) fn rank(rule: &Rule, host: HostKey<'_>, position: usize) -> Rank {
    let host = host.specificity();
    let (literal, kind) = match &rule.path {
        Some(key) => (key.literal.len(), key.kind),
        None => (0, PathKind::Prefix),
    };
    let conditions = Reverse(rule.conditions);
    (Reverse(host), Reverse(literal), kind, conditions, position)
}

fn normalized(pattern: PathPattern) -> PathPattern {
    let normal = |path: String| match normalize_path(&path) {
        Ok(normal) => normal.into_owned(),
        // No request has such a path either; the route stays and never matches.
        Err(_) => path,
    };
    match pattern {
        PathPattern::Exact(path) => PathPattern::Exact(normal(path)),
        PathPattern::Prefix(path) => {
            let mut path = normal(path);
            if path.len() > 1 && path.ends_with('/') {
                path.pop();
            }
            PathPattern::Prefix(path)
        }
        regex @ PathPattern::Regex(_) => regex,
    }
}

fn count_conditions(matches: &Match) -> usize {
    let listed = matches.headers.len() + matches.query.len() + matches.cookies.len();
    listed
        + usize::from(!matches.methods.is_empty())
        + usize::from(!matches.listeners.is_empty())
        + usize::from(matches.content_type.is_some())
}

/// The literal text that a path must start with to match `pattern`, at least the
/// slash that every path starts with.
fn literal_start(pattern: &str) -> String {
    regex_syntax::parse(pattern)
        .ok()
        .and_then(|hir| anchored_literal(&hir))
        .filter(|literal| literal.starts_with('/'))
        .unwrap_or_else(|| "/".to_owned())
}

fn anchored_literal(hir: &Hir) -> Option<String> {
    let HirKind::Concat(parts) = hir.kind() else {
        return None;
    };
    let [start, literal, ..] = parts.as_slice() else {
        return None;
    };
    match (start.kind(), literal.kind()) {
        (HirKind::Look(Look::Start), HirKind::Literal(literal)) => {
            String::from_utf8(literal.0.to_vec()).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literal_start_of_a_regex_is_what_it_requires() {
        for (pattern, literal) in [
            (r"^/api/v\d+/users", "/api/v"),
            ("^/api$", "/api"),
            (r"^/a\.b/", "/a.b/"),
            ("^/ab?c", "/a"),
            ("^/ab*", "/a"),
            ("^/a|/b", "/"),
            ("^/(api|web)/x", "/"),
            ("(?i)^/api", "/"),
            ("(?m)^/api", "/"),
            (r"\.png$", "/"),
            ("/api", "/"),
            ("^api", "/"),
            ("", "/"),
        ] {
            assert_eq!(literal_start(pattern), literal, "{pattern}");
        }
    }
}
