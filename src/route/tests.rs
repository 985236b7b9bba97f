//! Precedence and conditions, each rule by its name; then the index against the
//! plain reading of the rules, and the allocation count.

mod allocation;
mod conditions;
mod explanation;
mod precedence;
mod reference;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use regex::Regex;

use super::{RouteMatch, Router};
use crate::config::{
    Action, HeaderEdits, HostPattern, Match, PathPattern, Percent, Retry, RetryOn, Route,
};
use crate::request::Facts;

/// A route that forwards; only its conditions matter here.
fn route(name: &str, matches: Match) -> Route {
    Route {
        name: name.to_owned(),
        matches,
        action: Action::Forward(Vec::new()),
        rewrite: None,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        timeout: Duration::from_secs(30),
        retry: Retry {
            attempts: 0,
            on: RetryOn::default(),
            backoff: Duration::ZERO,
            budget: Percent::NONE,
            non_idempotent: false,
        },
        algorithm_override: false,
    }
}

fn routes(matches: impl IntoIterator<Item = Match>) -> Vec<Route> {
    let numbered = matches.into_iter().enumerate();
    numbered
        .map(|(at, matches)| route(&format!("r{at}"), matches))
        .collect()
}

/// `*.example.org` is a wildcard.
fn host(pattern: &str) -> HostPattern {
    match pattern.strip_prefix('*') {
        Some(suffix) => HostPattern::Suffix(suffix.to_owned()),
        None => HostPattern::Exact(pattern.to_owned()),
    }
}

/// Conditions on a host and path: `= /x` exact, `~ ^/x` regex, `/x` prefix; empty is any.
fn place(host_pattern: &str, path: &str) -> Match {
    Match {
        hosts: host_pattern.split_whitespace().map(host).collect(),
        path: match path.split_once(' ') {
            _ if path.is_empty() => None,
            Some(("=", exact)) => Some(PathPattern::Exact(exact.to_owned())),
            Some(("~", regex)) => Some(PathPattern::Regex(Regex::new(regex).unwrap())),
            _ => Some(PathPattern::Prefix(path.to_owned())),
        },
        ..Match::default()
    }
}

/// A request that owns what [`Facts`] borrows.
#[derive(Clone, Debug)]
struct Request {
    listener: usize,
    method: Method,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl Request {
    fn get(host: &str, path: &str) -> Self {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (path, None),
        };
        Self {
            listener: 0,
            method: Method::GET,
            host: host.to_owned(),
            path: path.to_owned(),
            query,
            headers: HeaderMap::new(),
        }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            listener: self.listener,
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            client: [192, 0, 2, 1].into(),
        }
    }
}

/// The position of the route that serves the request.
fn found(matches: &[Match], request: &Request) -> Option<usize> {
    found_match(matches, request).map(|found| found.route)
}

fn found_match(matches: &[Match], request: &Request) -> Option<RouteMatch> {
    let router = Router::new(&routes(matches.iter().cloned()));
    let found = router.find(&request.facts());
    assert_eq!(router.explain(&request.facts()).winner(), found);
    found
}
