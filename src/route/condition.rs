//! The conditions that no index decides, cheapest first.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use regex::Regex;

use crate::config::{Match, PathPattern, ValuePattern};
use crate::request::{Encoded, Facts, cookies, query};

/// A condition that does not hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unmet<'m> {
    Listener,
    Method,
    ContentType(&'m str),
    Header(&'m HeaderName, &'m ValuePattern),
    Query(&'m str, &'m ValuePattern),
    Cookie(&'m str, &'m ValuePattern),
    Path(&'m Regex),
}

/// Whether everything but host and literal path holds.
pub(super) fn all_hold(matches: &Match, facts: &Facts<'_>) -> bool {
    first_unmet(matches, facts).is_none()
}

/// The first condition beside host and literal path that does not hold.
pub(super) fn first_unmet<'m>(matches: &'m Match, facts: &Facts<'_>) -> Option<Unmet<'m>> {
    unmet_line(matches, facts)
        .or_else(|| unmet_header(matches, facts))
        .or_else(|| unmet_query(matches, facts))
        .or_else(|| unmet_cookie(matches, facts))
        .or_else(|| unmet_path(matches, facts))
}

fn unmet_line<'m>(matches: &'m Match, facts: &Facts<'_>) -> Option<Unmet<'m>> {
    if !matches.listeners.is_empty() && !matches.listeners.contains(&facts.listener) {
        return Some(Unmet::Listener);
    }
    if !matches.methods.is_empty() && !matches.methods.contains(facts.method) {
        return Some(Unmet::Method);
    }
    let wanted = matches.content_type.as_deref()?;
    (!has_media_type(facts.headers, wanted)).then_some(Unmet::ContentType(wanted))
}

fn has_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        let end = value.iter().position(|&byte| byte == b';');
        let media_type = value[..end.unwrap_or(value.len())].trim_ascii();
        media_type.eq_ignore_ascii_case(wanted.as_bytes())
    })
}

fn unmet_header<'m>(matches: &'m Match, facts: &Facts<'_>) -> Option<Unmet<'m>> {
    matches
        .headers
        .iter()
        .find(|(name, pattern)| {
            let mut values = facts.headers.get_all(name).iter();
            !match pattern {
                ValuePattern::Exact(wanted) => values.any(|value| value == wanted.as_str()),
                ValuePattern::Regex(regex) => values.any(|value| {
                    std::str::from_utf8(value.as_bytes()).is_ok_and(|value| regex.is_match(value))
                }),
                ValuePattern::Present(wanted) => values.next().is_some() == *wanted,
            }
        })
        .map(|(name, pattern)| Unmet::Header(name, pattern))
}

fn unmet_query<'m>(matches: &'m Match, facts: &Facts<'_>) -> Option<Unmet<'m>> {
    matches
        .query
        .iter()
        .find(|(name, pattern)| {
            let mut values = query(facts.query)
                .filter(|(parameter, _)| parameter.is(name))
                .map(|(_, value)| value);
            !match pattern {
                ValuePattern::Exact(wanted) => values.any(|value| value.is(wanted)),
                ValuePattern::Regex(regex) => {
                    values.any(|value: Encoded<'_>| regex.is_match(&value.decoded()))
                }
                ValuePattern::Present(wanted) => values.next().is_some() == *wanted,
            }
        })
        .map(|(name, pattern)| Unmet::Query(name, pattern))
}

fn unmet_cookie<'m>(matches: &'m Match, facts: &Facts<'_>) -> Option<Unmet<'m>> {
    matches
        .cookies
        .iter()
        .find(|(name, pattern)| {
            let mut values = cookies(facts.headers)
                .filter(|(cookie, _)| cookie == name)
                .map(|(_, value)| value);
            !match pattern {
                ValuePattern::Exact(wanted) => values.any(|value| value == wanted),
                ValuePattern::Regex(regex) => values.any(|value| regex.is_match(value)),
                ValuePattern::Present(wanted) => values.next().is_some() == *wanted,
            }
        })
        .map(|(name, pattern)| Unmet::Cookie(name, pattern))
}

fn unmet_path<'m>(matches: &'m Match, facts: &Facts<'_>) -> Option<Unmet<'m>> {
    match &matches.path {
        Some(PathPattern::Regex(regex)) if !regex.is_match(facts.path) => Some(Unmet::Path(regex)),
        _ => None,
    }
}
