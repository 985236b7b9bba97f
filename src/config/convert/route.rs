//! Routes: names resolved, contradictions found.

use std::collections::BTreeMap;

use http::{HeaderName, StatusCode};

use super::context::Context;
use super::headers::{self, SAME_HEADER, Side};
use super::names::{Positions, note_repeated, position};
use crate::config::format::{Format, HeaderNameText};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::{
    Action, Match, PathPattern, RedirectTarget, Retry, RetryOn, Rewrite, Route, Split, ValuePattern,
};

/// What routes refer to.
#[derive(Clone, Copy)]
pub(super) struct Names<'n> {
    /// `None` where the list is broken, so that nothing can be said of references to it.
    pub(super) listeners: Option<&'n Positions>,
    /// Likewise.
    pub(super) upstreams: Option<&'n Positions>,
}

/// Keys that say how a request is forwarded.
const FORWARDING: [&str; 5] = [
    "rewrite",
    "request_headers",
    "timeout",
    "retry",
    "algorithm_override",
];

/// The routes as run.
pub(super) fn routes(
    written: Vec<raw::Route>,
    names: Names<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Route>> {
    let list = Path::ROOT.key("routes");
    let names_written = written
        .iter()
        .map(|route| route.name.as_ref().map(|name| name.value.clone()));
    note_repeated(names_written, &list, ("name", "the name"), context);
    let all: Vec<Option<Route>> = written
        .into_iter()
        .enumerate()
        .map(|(index, written)| route(written, names, &list.index(index), context))
        .collect();
    all.into_iter().collect()
}

fn route(
    written: raw::Route,
    names: Names<'_>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Route> {
    note_contradictions(&written, path, context);
    let rewrite = rewrite(written.rewrite, &written.matches, path, context);
    let matches = matches(
        written.matches,
        names.listeners,
        &path.key("match"),
        context,
    );
    let request_headers = headers::edits(
        written.request_headers,
        Side::Request,
        &path.key("request_headers"),
        context,
    );
    let response_headers = headers::edits(
        written.response_headers,
        Side::Response,
        &path.key("response_headers"),
        context,
    );
    let chosen = Chosen {
        upstream: written.upstream.map(|name| name.value),
        split: written.split,
        respond: written.respond,
        redirect: written.redirect,
    };
    let action = action(chosen, names.upstreams, path, context);
    Some(Route {
        name: written.name?.value,
        matches,
        action: action?,
        rewrite,
        request_headers,
        response_headers,
        timeout: written.timeout.value,
        retry: retry(written.retry),
        algorithm_override: written.algorithm_override,
    })
}

fn note_contradictions(written: &raw::Route, path: &Path<'_>, context: &mut Context<'_>) {
    let answers = match (&written.respond, &written.redirect) {
        (Some(_), _) => "respond",
        (None, Some(_)) => "redirect",
        (None, None) => return,
    };
    if written.upstream.is_some() || written.split.is_some() {
        return;
    }
    for key in FORWARDING {
        if context.is_given(&path.key(key)) {
            let message = format!("has no effect with `{answers}`, which does not forward");
            context.add_at_key(path, key, message);
        }
    }
}

fn matches(
    written: raw::Match,
    listeners: Option<&Positions>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Match {
    let list = path.key("listener");
    let mut positions = Vec::with_capacity(written.listener.len());
    for (index, name) in written.listener.iter().enumerate() {
        let at = list.index(index);
        positions.extend(position(&name.value, listeners, "listener", &at, context));
    }
    let hosts = written.host.into_iter().map(|host| host.value).collect();
    let methods = written.methods.into_iter().map(|method| method.value);
    Match {
        listeners: positions,
        hosts,
        path: written.path.and_then(path_pattern),
        methods: methods.collect(),
        headers: header_tests(written.headers, &path.key("headers"), context),
        query: value_tests(written.query),
        cookies: value_tests(written.cookies),
        content_type: written.content_type.map(|media_type| media_type.value),
    }
}

fn path_pattern(written: raw::PathMatch) -> Option<PathPattern> {
    let exact = written.exact.map(|path| PathPattern::Exact(path.value));
    let prefix = written.prefix.map(|path| PathPattern::Prefix(path.value));
    let regex = written.regex.map(|regex| PathPattern::Regex(regex.value));
    exact.or(prefix).or(regex)
}

fn header_tests(
    written: BTreeMap<String, raw::ValueMatch>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Vec<(HeaderName, ValuePattern)> {
    let mut all: Vec<(HeaderName, ValuePattern)> = Vec::with_capacity(written.len());
    for (key, test) in written {
        let Ok(name) = HeaderNameText::parse(&key) else {
            continue;
        };
        if all.iter().any(|(earlier, _)| *earlier == name) {
            context.add_at_key(path, &key, SAME_HEADER);
        }
        all.extend(value_pattern(test).map(|pattern| (name, pattern)));
    }
    all
}

fn value_tests(written: BTreeMap<String, raw::ValueMatch>) -> Vec<(String, ValuePattern)> {
    written
        .into_iter()
        .filter_map(|(key, test)| Some((key, value_pattern(test)?)))
        .collect()
}

fn value_pattern(written: raw::ValueMatch) -> Option<ValuePattern> {
    match written {
        raw::ValueMatch::Exact(text) => Some(ValuePattern::Exact(text)),
        raw::ValueMatch::Test(raw::ValueTest { regex, present }) => regex
            .map(|regex| ValuePattern::Regex(regex.value))
            .or(present.map(ValuePattern::Present)),
    }
}

/// The keys of which a route has exactly one.
struct Chosen {
    upstream: Option<String>,
    split: Option<Vec<raw::Split>>,
    respond: Option<raw::Respond>,
    redirect: Option<raw::Redirect>,
}

fn action(
    chosen: Chosen,
    upstreams: Option<&Positions>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Action> {
    let split = chosen
        .split
        .map(|shares| splits(shares, upstreams, &path.key("split"), context));
    if let Some(name) = chosen.upstream {
        let at = path.key("upstream");
        let upstream = position(&name, upstreams, "upstream", &at, context)?;
        return Some(Action::Forward(vec![Split {
            upstream,
            weight: 1,
        }]));
    }
    if let Some(split) = split {
        return split.map(Action::Forward);
    }
    if let Some(respond) = chosen.respond {
        return Some(Action::Respond {
            status: StatusCode::from_u16(respond.status?).ok()?,
            body: respond.body,
        });
    }
    redirect(chosen.redirect?, &path.key("redirect"), context)
}

fn splits(
    written: Vec<raw::Split>,
    upstreams: Option<&Positions>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Split>> {
    if !written.is_empty() && written.iter().all(|share| share.weight == 0) {
        context.add(path, "every weight is 0; at least one must be positive");
    }
    let mut shares: Vec<Option<Split>> = Vec::with_capacity(written.len());
    for (index, share) in written.into_iter().enumerate() {
        let element = path.index(index);
        let at = element.key("upstream");
        let named = share.upstream.map(|name| name.value);
        let upstream = named.and_then(|name| position(&name, upstreams, "upstream", &at, context));
        let repeated = shares
            .iter()
            .position(|earlier| upstream.is_some() && earlier.map(|one| one.upstream) == upstream);
        if let Some(earlier) = repeated {
            let message = format!("the upstream is already that of {}", path.index(earlier));
            context.add(&at, message);
        }
        shares.push(upstream.map(|upstream| Split {
            upstream,
            weight: share.weight,
        }));
    }
    shares.into_iter().collect()
}

fn redirect(written: raw::Redirect, path: &Path<'_>, context: &mut Context<'_>) -> Option<Action> {
    let target = ["scheme", "host", "path"];
    if !target.iter().any(|key| context.is_given(&path.key(key))) {
        context.add(path, "redirects to itself; give `scheme`, `host` or `path`");
    }
    Some(Action::Redirect {
        status: StatusCode::from_u16(written.status.0).ok()?,
        to: RedirectTarget {
            scheme: written.scheme.map(|scheme| scheme.name().to_owned()),
            host: written.host.map(|host| host.value),
            path: written.path.map(|path| path.value),
        },
    })
}

fn rewrite(
    written: Option<raw::Rewrite>,
    matches: &raw::Match,
    route: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Rewrite> {
    let written = written?;
    let path = route.key("rewrite");
    note_replacement(&written, &path, context);
    if let Some(prefix) = written.prefix {
        let has_prefix = matches
            .path
            .as_ref()
            .is_some_and(|path| path.prefix.is_some());
        let given = context.is_given(&route.key("match").key("path").key("prefix"));
        if !has_prefix && !given {
            context.add_at_key(
                &path,
                "prefix",
                "needs `match.path.prefix`, which it replaces",
            );
        }
        return Some(Rewrite::Prefix(prefix.value));
    }
    if let Some(whole) = written.path {
        return Some(Rewrite::Path(whole.value));
    }
    Some(Rewrite::Regex {
        pattern: written.regex?.value,
        replacement: written.replacement?,
    })
}

fn note_replacement(written: &raw::Rewrite, path: &Path<'_>, context: &mut Context<'_>) {
    let regex = context.is_given(&path.key("regex"));
    let replacement = context.is_given(&path.key("replacement"));
    if regex && !replacement {
        context.add(
            path,
            "the key `replacement` is missing; it goes with `regex`",
        );
    }
    if replacement && !regex && (written.prefix.is_some() || written.path.is_some()) {
        context.add_at_key(path, "replacement", "has no effect without `regex`");
    }
}

fn retry(written: raw::Retry) -> Retry {
    let mut on = RetryOn::default();
    for condition in written.on {
        match condition {
            raw::RetryCondition::Word(raw::RetryWord::Connect) => on.connect = true,
            raw::RetryCondition::Word(raw::RetryWord::Reset) => on.reset = true,
            raw::RetryCondition::Word(raw::RetryWord::Timeout) => on.timeout = true,
            raw::RetryCondition::Status(code) => on.statuses.extend(StatusCode::from_u16(code)),
        }
    }
    on.statuses.sort();
    on.statuses.dedup();
    Retry {
        attempts: written.attempts,
        on,
        backoff: written.backoff.value,
        budget: written.budget.value,
        non_idempotent: written.non_idempotent,
    }
}
