//! The index against the plain reading of the rules: ask every route, sort, take
//! the first. The reference shares no code with the router but the configuration
//! types and the parsers of queries and cookies.

use std::cmp::Reverse;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::config::ValuePattern;

fn reference(routes: &[Route], request: &Request) -> Option<RouteMatch> {
    routes
        .iter()
        .enumerate()
        .filter_map(|(at, route)| rank(&route.matches, at, request))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, found)| found)
}

type Rank = (Reverse<usize>, Reverse<usize>, u8, Reverse<usize>, usize);

fn rank(matches: &Match, route: usize, request: &Request) -> Option<(Rank, RouteMatch)> {
    let host = host_rank(matches, &request.host)?;
    let (literal, kind, prefix_len) = path_rank(matches, &request.path)?;
    let conditions = conditions(matches, request)?;
    let rank = (
        Reverse(host),
        Reverse(literal),
        kind,
        Reverse(conditions),
        route,
    );
    Some((rank, RouteMatch { route, prefix_len }))
}

fn host_rank(matches: &Match, host: &str) -> Option<usize> {
    if matches.hosts.is_empty() {
        return Some(0);
    }
    let ranks = matches.hosts.iter().filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => (name == host).then_some(1000),
        HostPattern::Suffix(suffix) => {
            let rest = host.strip_suffix(suffix.as_str())?;
            (!rest.is_empty()).then_some(suffix.len())
        }
    });
    ranks.max()
}

fn path_rank(matches: &Match, path: &str) -> Option<(usize, u8, usize)> {
    match &matches.path {
        None => Some((0, 9, 0)),
        Some(PathPattern::Exact(exact)) => (exact == path).then_some((path.len(), 0, path.len())),
        Some(PathPattern::Regex(regex)) => {
            let literal = literal(regex.as_str());
            regex.is_match(path).then_some((literal, 1, 0))
        }
        Some(PathPattern::Prefix(prefix)) => {
            let bare = prefix.strip_suffix('/').unwrap_or(prefix);
            let covered = path == bare || path.starts_with(&format!("{bare}/"));
            covered.then_some((bare.len().max(1), 2, bare.len()))
        }
    }
}

/// Enough for the expressions in `paths`: literal up to the first special character.
fn literal(pattern: &str) -> usize {
    match pattern.strip_prefix('^') {
        Some(rest) => rest
            .find(['[', '\\', '(', '$'])
            .unwrap_or(rest.len())
            .max(1),
        None => 1,
    }
}

fn conditions(matches: &Match, request: &Request) -> Option<usize> {
    let headers = matches.headers.iter().map(|(name, pattern)| {
        let values = request.headers.get_all(name).iter();
        fits(
            pattern,
            values.map(|value| value.to_str().unwrap().to_owned()),
        )
    });
    let query = matches.query.iter().map(|(name, pattern)| {
        let pairs: Vec<_> = crate::request::query(request.query.as_deref())
            .map(|(name, value)| (name.decoded(), value.decoded()))
            .collect();
        let values = pairs.iter().filter(|(parameter, _)| parameter == name);
        fits(pattern, values.map(|(_, value)| value.to_string()))
    });
    let cookies = matches.cookies.iter().map(|(name, pattern)| {
        let pairs = crate::request::cookies(&request.headers);
        let values = pairs.filter(|(cookie, _)| cookie == name);
        fits(pattern, values.map(|(_, value)| value.to_owned()))
    });
    let lists = [
        (!matches.methods.is_empty()).then(|| matches.methods.contains(&request.method)),
        (!matches.listeners.is_empty()).then(|| matches.listeners.contains(&request.listener)),
        matches.content_type.as_ref().map(|wanted| {
            let sent = request.headers.get("content-type");
            sent.is_some_and(|sent| sent.to_str().unwrap() == wanted)
        }),
    ];
    let all: Vec<bool> = headers
        .chain(query)
        .chain(cookies)
        .chain(lists.into_iter().flatten())
        .collect();
    all.iter().all(|&holds| holds).then_some(all.len())
}

fn fits(pattern: &ValuePattern, values: impl Iterator<Item = String>) -> bool {
    let values: Vec<String> = values.collect();
    match pattern {
        ValuePattern::Exact(wanted) => values.contains(wanted),
        ValuePattern::Regex(regex) => values.iter().any(|value| regex.is_match(value)),
        ValuePattern::Present(wanted) => values.is_empty() != *wanted,
    }
}

/// Few letters, so that names, prefixes and suffixes of one another are common.
fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(select(vec!["a", "b", "ab"]), 1..4).prop_map(|labels| labels.join("."))
}

fn hosts() -> impl Strategy<Value = Vec<HostPattern>> {
    let pattern = prop_oneof![
        names().prop_map(HostPattern::Exact),
        names().prop_map(|name| HostPattern::Suffix(format!(".{name}"))),
    ];
    prop::collection::vec(pattern, 0..3)
}

fn literal_paths() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(select(vec!["a", "b", "ab", "abc"]), 0..4);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}", segments.join("/"));
        if slash && path.len() > 1 {
            path + "/"
        } else {
            path
        }
    })
}

/// Compiling is what takes the time here, so a few expressions serve all cases.
fn regexes() -> Vec<Regex> {
    let starts = ["", "^/", "^/a", "^/a/", "^/a/b", "^/abc/", "^/ab/abc"];
    let ends = ["", "$", "[ab]", "(b|/c)", r"\w*/"];
    let patterns = starts
        .iter()
        .flat_map(|start| ends.iter().map(move |end| format!("{start}{end}")));
    patterns
        .map(|pattern| Regex::new(&pattern).unwrap())
        .collect()
}

fn paths() -> impl Strategy<Value = Option<PathPattern>> {
    let regex = select(regexes()).prop_map(PathPattern::Regex);
    prop_oneof![
        1 => Just(None),
        3 => literal_paths().prop_map(|path| Some(PathPattern::Exact(path))),
        4 => literal_paths().prop_map(|path| Some(PathPattern::Prefix(path))),
        3 => regex.prop_map(Some),
    ]
}

fn values() -> impl Strategy<Value = ValuePattern> {
    prop_oneof![
        select(vec!["1", "2", ""]).prop_map(|value| ValuePattern::Exact(value.to_owned())),
        Just(ValuePattern::Regex(Regex::new("^[12]$").unwrap())),
        any::<bool>().prop_map(ValuePattern::Present),
    ]
}

/// At most one value condition in two of three routes, so that most match.
fn named_values() -> impl Strategy<Value = Vec<(String, ValuePattern)>> {
    let pair = (select(vec!["x", "y"]), values());
    prop::collection::vec(
        pair.prop_map(|(name, value)| (name.to_owned(), value)),
        0..2,
    )
}

fn matches() -> impl Strategy<Value = Match> {
    let lists = (
        prop::collection::vec(0..2_usize, 0..2),
        prop::collection::vec(select(vec![Method::GET, Method::POST]), 0..2),
        prop::option::weighted(0.2, select(vec!["text/css", "a/b"])),
    );
    (
        hosts(),
        paths(),
        lists,
        named_values(),
        named_values(),
        named_values(),
    )
        .prop_map(
            |(hosts, path, (listeners, methods, content_type), headers, query, cookies)| Match {
                listeners,
                hosts,
                path,
                methods,
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value))
                    .collect(),
                query,
                cookies,
                content_type: content_type.map(str::to_owned),
            },
        )
}

fn requests() -> impl Strategy<Value = Request> {
    let pairs =
        || prop::collection::vec((select(vec!["x", "y"]), select(vec!["1", "2", ""])), 0..3);
    let line = (
        0..2_usize,
        select(vec![Method::GET, Method::POST]),
        prop_oneof![names(), Just(String::new())],
        literal_paths(),
        prop::option::of(select(vec!["text/css", "a/b"])),
    );
    (line, pairs(), pairs(), pairs()).prop_map(|(line, headers, query, cookies)| {
        let (listener, method, host, path, content_type) = line;
        let join = |pairs: &[(&str, &str)], with: &str| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            pairs.join(with)
        };
        let mut request = Request::get(&host, &path);
        request.listener = listener;
        request.method = method;
        request.query = (!query.is_empty()).then(|| join(&query, "&"));
        if !cookies.is_empty() {
            request = request.header("cookie", &join(&cookies, "; "));
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        headers.into_iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    })
}

/// A request made to fit one of the routes in host and path, where it can.
fn aim(request: &mut Request, target: &Match, way: u8) {
    match target.hosts.first() {
        Some(HostPattern::Exact(host)) => request.host.clone_from(host),
        Some(HostPattern::Suffix(suffix)) => request.host = format!("a{suffix}"),
        None => {}
    }
    if let Some(PathPattern::Exact(path) | PathPattern::Prefix(path)) = &target.path {
        let more = ["", "/", "/a", "b"][usize::from(way % 4)];
        let path = format!("{path}{more}").replace("//", "/");
        request.path = path;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_index_agrees_with_the_plain_reading(
        table in prop::collection::vec(matches(), 0..40),
        mut request in requests(),
        target: Option<Index>,
        way: u8,
    ) {
        if let (Some(target), false) = (target, table.is_empty()) {
            aim(&mut request, target.get(&table), way);
        }
        let routes = routes(table);
        let router = Router::new(&routes);
        let wanted = reference(&routes, &request);
        prop_assert_eq!(router.find(&request.facts()), wanted);
        prop_assert_eq!(router.explain(&request.facts()).winner(), wanted);
    }
}
