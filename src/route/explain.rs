//! Why a request goes where it goes, for people.
//!
//! It asks every route by itself and sorts them, without the index: slow, plain,
//! and a second opinion that the tests hold against [`super::Router::find`].

use std::fmt;

use super::condition::{Unmet, first_unmet};
use super::found::RouteMatch;
use super::precedence::{HostKey, PathKey, PathKind, Rule, rank};
use crate::config::{PathPattern, ValuePattern};
use crate::request::{Facts, cookies, query};

/// Routes listed for another host or path before the rest is only counted.
const LISTED_ELSEWHERE: usize = 20;

/// Every route in the order in which it is considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// First the routes whose host and path match, the most specific first, then
    /// the others in the order of the file.
    pub considered: Vec<Considered>,
}

/// One route's part in the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Position in [`crate::config::Config::routes`].
    pub route: usize,
    /// The route's name.
    pub name: String,
    /// What makes it as specific as it is, such as `host *.example.org, path prefix /api`.
    pub specificity: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It serves the request.
    Won(RouteMatch),
    /// It would, but a more specific route does.
    Outranked,
    /// Host and path match, this condition does not.
    Unmet(String),
    /// It is for another host or path.
    Elsewhere(String),
}

impl Explanation {
    /// The match of the route that serves the request; `None` when none does.
    #[must_use]
    pub fn winner(&self) -> Option<RouteMatch> {
        self.considered.iter().find_map(|one| match one.verdict {
            Verdict::Won(matched) => Some(matched),
            _ => None,
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_elsewhere = |one: &&Considered| matches!(one.verdict, Verdict::Elsewhere(_));
        let here = self.considered.iter().filter(|one| !is_elsewhere(one));
        let mut count = 0;
        for one in here {
            count += 1;
            let Considered {
                name, specificity, ..
            } = one;
            writeln!(f, "{count:>3}. {name} ({specificity}): {}", one.verdict)?;
        }
        if count == 0 {
            writeln!(f, "  no route is for this host and path")?;
        }
        for one in self
            .considered
            .iter()
            .filter(is_elsewhere)
            .take(LISTED_ELSEWHERE)
        {
            writeln!(f, "  -  {}: {}", one.name, one.verdict)?;
        }
        let more = (self.considered.len() - count).saturating_sub(LISTED_ELSEWHERE);
        if more > 0 {
            writeln!(f, "  -  and {more} more for another host or path")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Won(_) => f.write_str("serves the request"),
            Self::Outranked => f.write_str("matches too, but is less specific"),
            Self::Unmet(why) | Self::Elsewhere(why) => f.write_str(why),
        }
    }
}

pub(super) fn explain(rules: &[Rule], facts: &Facts<'_>) -> Explanation {
    let mut here = Vec::new();
    let mut elsewhere = Vec::new();
    for (position, rule) in rules.iter().enumerate() {
        match place(rule, facts) {
            Ok((host, prefix_len)) => here.push((rank(rule, host, position), host, prefix_len)),
            Err(why) => {
                let verdict = Verdict::Elsewhere(why);
                elsewhere.push(considered(rule, position, HostKey::Any, verdict));
            }
        }
    }
    here.sort_by_key(|&(rank, ..)| rank);
    let mut won = false;
    let mut all: Vec<_> = here
        .into_iter()
        .map(|((.., route), host, prefix_len)| {
            let verdict = match first_unmet(&rules[route].matches, facts) {
                Some(unmet) => Verdict::Unmet(describe(unmet, facts)),
                None if won => Verdict::Outranked,
                None => Verdict::Won(RouteMatch { route, prefix_len }),
            };
            won |= matches!(verdict, Verdict::Won(_));
            considered(&rules[route], route, host, verdict)
        })
        .collect();
    all.append(&mut elsewhere);
    Explanation { considered: all }
}

fn considered(rule: &Rule, route: usize, host: HostKey<'_>, verdict: Verdict) -> Considered {
    Considered {
        route,
        name: rule.name.clone(),
        specificity: specificity(rule, host),
        verdict,
    }
}

fn specificity(rule: &Rule, host: HostKey<'_>) -> String {
    let host = name(host);
    let path = match (&rule.matches.path, &rule.path) {
        (None, _) | (_, None) => "any path".to_owned(),
        (Some(PathPattern::Regex(regex)), Some(PathKey { literal, .. })) => {
            format!("path regex {regex} ranked as {literal}")
        }
        (_, Some(PathKey { literal, kind })) => {
            let kind = match kind {
                PathKind::Exact => "exactly",
                PathKind::Prefix | PathKind::Regex => "prefix",
            };
            format!("path {kind} {literal}")
        }
    };
    let conditions = match rule.conditions {
        0 => String::new(),
        1 => ", 1 condition".to_owned(),
        many => format!(", {many} conditions"),
    };
    format!("{host}, {path}{conditions}")
}

fn name(host: HostKey<'_>) -> String {
    match host {
        HostKey::Exact(host) => format!("host {host}"),
        HostKey::Suffix(suffix) => format!("host *{suffix}"),
        HostKey::Any => "any host".to_owned(),
    }
}

/// The most specific host condition that holds and the bytes of the path that the
/// path condition covers, or why the route is for another place.
fn place<'m>(rule: &'m Rule, facts: &Facts<'_>) -> Result<(HostKey<'m>, usize), String> {
    let host = rule
        .hosts()
        .filter(|&key| covers(key, facts.host))
        .max_by_key(|key| key.specificity())
        .ok_or_else(|| {
            let names: Vec<_> = rule.hosts().map(name).collect();
            format!("is for {}", names.join(" or "))
        })?;
    let prefix_len = match &rule.matches.path {
        None | Some(PathPattern::Regex(_)) => 0,
        Some(PathPattern::Exact(path)) if path == facts.path => path.len(),
        Some(PathPattern::Exact(path)) => return Err(format!("is for the path {path} only")),
        Some(PathPattern::Prefix(prefix)) => {
            let covered = prefix.trim_end_matches('/');
            match facts.path.strip_prefix(covered) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => covered.len(),
                _ => return Err(format!("is for paths under {prefix}")),
            }
        }
    };
    Ok((host, prefix_len))
}

fn covers(key: HostKey<'_>, host: &str) -> bool {
    match key {
        HostKey::Exact(name) => name == host,
        HostKey::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        HostKey::Any => true,
    }
}

fn describe(unmet: Unmet<'_>, facts: &Facts<'_>) -> String {
    match unmet {
        Unmet::Listener => "is for another listener".to_owned(),
        Unmet::Method => format!("is not for method {}", facts.method),
        Unmet::ContentType(wanted) => {
            let sent = facts.headers.get(http::header::CONTENT_TYPE);
            let sent = sent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            format!("wants content type {wanted}, got {}", list(sent))
        }
        Unmet::Header(name, pattern) => {
            let sent = facts.headers.get_all(name).iter();
            let sent = sent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            format!("wants header {name} {}, got {}", wish(pattern), list(sent))
        }
        Unmet::Query(name, pattern) => {
            let sent = query(facts.query)
                .filter(|(parameter, _)| parameter.is(name))
                .map(|(_, value)| value.decoded().into_owned());
            let wish = wish(pattern);
            format!("wants query parameter {name} {wish}, got {}", list(sent))
        }
        Unmet::Cookie(name, pattern) => {
            let sent = cookies(facts.headers)
                .filter(|(cookie, _)| *cookie == name)
                .map(|(_, value)| value.to_owned());
            format!("wants cookie {name} {}, got {}", wish(pattern), list(sent))
        }
        Unmet::Path(regex) => format!("wants a path that matches {regex}"),
    }
}

fn wish(pattern: &ValuePattern) -> String {
    match pattern {
        ValuePattern::Exact(value) => format!("to be {value:?}"),
        ValuePattern::Regex(regex) => format!("to match {regex}"),
        ValuePattern::Present(true) => "to be there".to_owned(),
        ValuePattern::Present(false) => "to be absent".to_owned(),
    }
}

fn list(values: impl IntoIterator<Item = String>) -> String {
    let quoted: Vec<_> = values
        .into_iter()
        .map(|value| format!("{value:?}"))
        .collect();
    if quoted.is_empty() {
        "none".to_owned()
    } else {
        quoted.join(", ")
    }
}
