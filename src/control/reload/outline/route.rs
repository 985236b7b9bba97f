//! A route in an outline.

use super::item::Item;
use crate::config::{Action, Config, Match, RedirectTarget, Retry, RetryOn, Rewrite, Route, Split};
use crate::control::reload::value::{Keys, count, duration, edits, option, pattern, percent};

/// One route; `config` has the names of what it refers to.
pub(super) fn route(route: &Route, config: &Config) -> Item {
    let Route {
        name,
        matches,
        action,
        rewrite,
        request_headers,
        response_headers,
        timeout,
        retry,
        algorithm_override,
    } = route;
    let mut keys = Keys::default();
    conditions(matches, config, &mut keys);
    let summary = act(action, config, &mut keys);
    keys.say("rewrite", option(rewrite.as_ref().map(rewriting)));
    edits("request_headers", request_headers, &mut keys);
    edits("response_headers", response_headers, &mut keys);
    keys.say("timeout", duration(*timeout));
    retrying(retry, &mut keys);
    keys.say("algorithm_override", algorithm_override);
    Item {
        kind: "route",
        path: format!("routes.{name}"),
        summary,
        keys,
    }
}

fn conditions(matches: &Match, config: &Config, keys: &mut Keys) {
    let Match {
        listeners,
        hosts,
        path,
        methods,
        headers,
        query,
        cookies,
        content_type,
    } = matches;
    let listener = |index: &usize| config.listeners.get(*index).map(|one| one.name.clone());
    let listener = |index| listener(index).unwrap_or_else(|| "(not running)".to_owned());
    keys.list("match.listener", listeners.iter().map(listener));
    keys.list("match.host", hosts.iter().map(pattern::host));
    keys.say("match.path", option(path.as_ref().map(pattern::path)));
    keys.list("match.methods", methods);
    for (name, value) in headers {
        keys.tell(
            &format!("match.headers.{name}"),
            name.as_str(),
            pattern::value(value),
        );
    }
    for (name, value) in query {
        keys.tell(&format!("match.query.{name}"), name, pattern::value(value));
    }
    for (name, value) in cookies {
        keys.tell(
            &format!("match.cookies.{name}"),
            "cookie",
            pattern::value(value),
        );
    }
    keys.say("match.content_type", option(content_type.as_ref()));
}

/// The keys of a route's action, and what it does.
fn act(action: &Action, config: &Config, keys: &mut Keys) -> String {
    let does = match action {
        Action::Forward(splits) => {
            let name = |index: usize| config.upstreams.get(index).map_or("?", |one| &one.name);
            let share = |split: &Split| match splits.len() {
                1 => name(split.upstream).to_owned(),
                _ => format!("{} {}", name(split.upstream), split.weight),
            };
            let shares: Vec<String> = splits.iter().map(share).collect();
            format!("to {}", shares.join(", "))
        }
        Action::Respond { status, body } => {
            keys.secretly("respond.body", count(body.len(), "byte"), body.as_bytes());
            format!("responds {}", status.as_u16())
        }
        Action::Redirect { status, to } => {
            let RedirectTarget { scheme, host, path } = to;
            let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
            let to = format!("{}://{} {}", part(scheme), part(host), part(path));
            format!("redirects {} to {to}", status.as_u16())
        }
    };
    keys.say("action", &does);
    does
}

fn rewriting(rewrite: &Rewrite) -> String {
    match rewrite {
        Rewrite::Prefix(prefix) => format!("prefix {prefix}"),
        Rewrite::Path(path) => format!("path {path}"),
        Rewrite::Regex {
            pattern,
            replacement,
        } => format!("regex {pattern} by {replacement}"),
    }
}

fn retrying(retry: &Retry, keys: &mut Keys) {
    let Retry {
        attempts,
        on,
        backoff,
        budget,
        non_idempotent,
    } = retry;
    let RetryOn {
        connect,
        reset,
        timeout,
        statuses,
    } = on;
    let words = [(connect, "connect"), (reset, "reset"), (timeout, "timeout")];
    let words = words.into_iter().filter(|(is, _)| **is);
    let words = words.map(|(_, word)| word.to_owned());
    let statuses = statuses.iter().map(|status| status.as_str().to_owned());
    keys.say("retry.attempts", attempts);
    keys.list("retry.on", words.chain(statuses));
    keys.say("retry.backoff", duration(*backoff));
    keys.say("retry.budget", percent(*budget));
    keys.say("retry.non_idempotent", non_idempotent);
}
