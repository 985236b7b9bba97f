//! Stage 2: from the facts of a request to the route that serves it.
//!
//! # Which route wins
//!
//! Of the routes whose conditions all hold, the first by:
//!
//! 1. the host: exact, then the longest wildcard suffix, then routes for any host;
//! 2. the path: the longest literal, and for the same literal exact before
//!    regex before prefix; routes without a path condition come last;
//! 3. the number of further conditions, most first: each header, query parameter
//!    and cookie counts one, and so do methods, content type and listeners;
//! 4. the order in the file.
//!
//! A regex counts with the literal text it requires at the start of the path:
//! `^/api/v\d+/` ranks as `/api/v`. One without, such as `\.png$`, ranks as `/`,
//! hence before the catch-all `prefix: /` and after every longer prefix.
//!
//! The order is total and independent of the request, so a more specific route
//! whose other conditions fail simply passes the request on to the next, on
//! less specific hosts too.
//!
//! # Why an index
//!
//! Hosts are a hash map, the paths of a host a radix tree that is walked down
//! once and climbed back up. The cost follows the length of host and path, not
//! the number of routes; only routes with the same host and the same path, which
//! differ in their conditions alone, are tried one by one.
//!
//! [`Router::find`] takes no lock and allocates nothing. Conditions with a regex
//! are the exception: the regex crate keeps a pool of scratch space per
//! expression, and an escaped query value is decoded for it.

use crate::config;
use crate::request::Facts;

pub use explain::{Considered, Explanation, Verdict};
pub use found::RouteMatch;

mod condition;
mod explain;
mod found;
mod hosts;
mod paths;
mod precedence;
pub mod redirect;
pub mod rewrite;
pub mod split;
#[cfg(test)]
mod tests;

/// The routes of a configuration, indexed.
#[derive(Debug)]
pub struct Router {
    rules: Vec<precedence::Rule>,
    hosts: hosts::Hosts,
}

impl Router {
    /// Indexes `routes`; their positions are the ones [`find`](Self::find) answers with.
    ///
    /// Literal paths are normalised like those of requests, so `/caf\u{e9}` and
    /// `/caf%C3%A9` are one path.
    #[must_use]
    pub fn new(routes: &[config::Route]) -> Self {
        let rules: Vec<_> = routes.iter().map(precedence::Rule::new).collect();
        let hosts = hosts::Hosts::new(&rules);
        Self { rules, hosts }
    }

    /// The route that serves the request; `None` when none matches.
    #[must_use]
    pub fn find(&self, facts: &Facts<'_>) -> Option<RouteMatch> {
        self.hosts
            .indexes(facts.host)
            .flat_map(|paths| paths.candidates(facts.path))
            .find(|candidate| condition::all_hold(&self.rules[candidate.route].matches, facts))
    }

    /// Every route with the reason why it serves the request or does not, in the
    /// order in which they are considered. For people: it looks at all routes.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        explain::explain(&self.rules, facts)
    }
}
