use super::*;
use crate::config::ValuePattern;

#[track_caller]
fn order(request: &Request, matches: &[Match]) {
    // The listed order is the expected one; the file's order is the reverse, so
    // that it helps nobody. Taking away the winner promotes the next.
    let mut left: Vec<Match> = matches.iter().rev().cloned().collect();
    while !left.is_empty() {
        assert_eq!(found(&left, request), Some(left.len() - 1), "{left:#?}");
        left.pop();
    }
}

fn with_header(matches: Match, name: &str) -> Match {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    let mut matches = matches;
    matches.headers.push((name, ValuePattern::Present(true)));
    matches
}

#[test]
fn exact_host_then_longer_wildcard_then_shorter_then_any() {
    order(
        &Request::get("a.b.example.org", "/"),
        &[
            place("a.b.example.org", "/"),
            place("*.b.example.org", "/"),
            place("*.example.org", "/"),
            place("*.org", "/"),
            place("", "/"),
        ],
    );
}

#[test]
fn the_host_outweighs_the_path() {
    order(
        &Request::get("a.example.org", "/api/users"),
        &[
            place("a.example.org", ""),
            place("*.example.org", "/api"),
            place("", "= /api/users"),
        ],
    );
}

#[test]
fn the_longest_path_wins_and_exact_before_regex_before_prefix() {
    order(
        &Request::get("h", "/api/users"),
        &[
            place("", "= /api/users"),
            place("", "~ ^/api/users(/.*)?$"),
            place("", "/api/users"),
            place("", "~ ^/api/u"),
            place("", "/api"),
            place("", "~ users"),
            place("", "/"),
            place("", ""),
        ],
    );
}

#[test]
fn the_path_outweighs_the_conditions() {
    let request = Request::get("h", "/api").header("x-a", "1");
    order(
        &request,
        &[place("", "/api"), with_header(place("", "/"), "x-a")],
    );
}

#[test]
fn more_conditions_win() {
    let request = Request::get("h", "/api?d=1")
        .header("x-a", "1")
        .header("x-b", "2")
        .header("cookie", "c=1");
    let one = with_header(place("", "/api"), "x-a");
    let two = with_header(one.clone(), "x-b");
    let mut three = two.clone();
    three.methods = vec![Method::GET, Method::POST];
    let mut four = three.clone();
    four.listeners = vec![0];
    let mut five = four.clone();
    five.query = vec![("d".to_owned(), ValuePattern::Present(true))];
    let mut six = five.clone();
    six.cookies = vec![("c".to_owned(), ValuePattern::Present(true))];
    order(
        &request,
        &[six, five, four, three, two, one, place("", "/api")],
    );
}

#[test]
fn the_order_in_the_file_breaks_ties() {
    let request = Request::get("h", "/api").header("x-a", "1");
    let tied = [
        with_header(place("", "/api"), "x-a"),
        with_header(place("", "/api"), "x-a"),
    ];
    assert_eq!(found(&tied, &request), Some(0));
    let regexes = [place("", "~ /a"), place("", "~ pi$")];
    assert_eq!(found(&regexes, &request), Some(0));
}

#[test]
fn a_failed_condition_falls_back_to_the_less_specific_path() {
    let matches = [
        place("", "/"),
        with_header(place("", "/api/users"), "x-missing"),
        place("", "/api"),
    ];
    let request = Request::get("h", "/api/users/1");
    assert_eq!(found(&matches, &request), Some(2));
}

#[test]
fn a_failed_condition_falls_back_across_hosts() {
    let matches = [
        with_header(place("a.example.org", "/"), "x-missing"),
        place("a.example.org", "/other"),
        with_header(place("*.example.org", "/"), "x-missing"),
        place("", "/api"),
    ];
    let request = Request::get("a.example.org", "/api");
    assert_eq!(found(&matches, &request), Some(3));
}

#[test]
fn a_wildcard_covers_every_depth_but_not_the_bare_domain() {
    let matches = [place("*.example.org", "")];
    for (host, wanted) in [
        ("a.example.org", Some(0)),
        ("a.b.example.org", Some(0)),
        ("example.org", None),
        (".example.org", None),
        ("badexample.org", None),
        ("a.example.org.evil", None),
        ("", None),
    ] {
        assert_eq!(found(&matches, &Request::get(host, "/")), wanted, "{host}");
    }
}

#[test]
fn any_of_several_hosts_matches_with_its_own_rank() {
    let matches = [
        place("*.example.org", "/api"),
        place("*.org a.example.org b.example.org b.example.org", "/"),
    ];
    let exact = Request::get("a.example.org", "/api");
    assert_eq!(found(&matches, &exact), Some(1));
    let wildcard = Request::get("c.example.org", "/api");
    assert_eq!(found(&matches, &wildcard), Some(0));
    let short = Request::get("other.org", "/api");
    assert_eq!(found(&matches, &short), Some(1));
}

#[test]
fn a_prefix_ends_at_a_slash() {
    for prefix in ["/api", "/api/"] {
        let matches = [place("", prefix)];
        for (path, prefix_len) in [
            ("/api", Some(4)),
            ("/api/", Some(4)),
            ("/api/x", Some(4)),
            ("/apis", None),
            ("/ap", None),
            ("/", None),
        ] {
            let found = found_match(&matches, &Request::get("h", path));
            assert_eq!(found.map(|found| found.prefix_len), prefix_len, "{path}");
        }
    }
}

#[test]
fn the_match_tells_what_the_path_condition_covers() {
    for (path, prefix_len) in [("", 0), ("/", 0), ("/a", 2), ("= /a/b", 4), ("~ ^/a", 0)] {
        let found = found_match(&[place("", path)], &Request::get("h", "/a/b"));
        let wanted = RouteMatch {
            route: 0,
            prefix_len,
        };
        assert_eq!(found, Some(wanted), "{path}");
    }
}

#[test]
fn exact_paths_are_exact() {
    let matches = [place("", "= /a"), place("", "= /a/")];
    for (path, wanted) in [
        ("/a", Some(0)),
        ("/a/", Some(1)),
        ("/a/b", None),
        ("/", None),
        ("/ab", None),
    ] {
        assert_eq!(found(&matches, &Request::get("h", path)), wanted, "{path}");
    }
}

#[test]
fn literal_paths_are_normalised_like_requests() {
    let matches = [place("", "= /caf\u{e9}/%7euser"), place("", "/a//b/./c/")];
    let exact = Request::get("h", "/caf%C3%A9/~user");
    assert_eq!(found(&matches, &exact), Some(0));
    assert_eq!(found(&matches, &Request::get("h", "/a/b/c/d")), Some(1));
}

#[test]
fn no_routes_match_nothing() {
    assert_eq!(found(&[], &Request::get("h", "/")), None);
}
