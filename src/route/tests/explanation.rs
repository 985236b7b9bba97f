use super::*;
use crate::config::ValuePattern;

#[test]
fn it_reads_as_text_in_the_order_of_consideration() {
    let mut beta = place("api.example.com", "/api");
    beta.headers = vec![(
        HeaderName::from_static("x-beta"),
        ValuePattern::Exact("1".to_owned()),
    )];
    let routes = [
        route("fallback", place("", "")),
        route("wild", place("*.example.com", "/api/users/")),
        route("numbers", place("*.example.com", r"~ ^/api/.*\d$")),
        route("admin", place("", "/admin")),
        route("shop", place("shop.example.com *.shop.example", "/")),
        route("beta", beta),
        route("root", place("", "= /")),
    ];
    let request = Request::get("api.example.com", "/api/users").header("x-beta", "2");
    let explanation = Router::new(&routes).explain(&request.facts());
    assert_eq!(explanation.winner().map(|found| found.route), Some(1));
    assert_eq!(
        explanation.to_string(),
        r#"  1. beta (host api.example.com, path prefix /api, 1 condition): wants header x-beta to be "1", got "2"
  2. wild (host *.example.com, path prefix /api/users): serves the request
  3. numbers (host *.example.com, path regex ^/api/.*\d$ ranked as /api/): wants a path that matches ^/api/.*\d$
  4. fallback (any host, any path): matches too, but is less specific
  -  admin: is for paths under /admin
  -  shop: is for host shop.example.com or host *.shop.example
  -  root: is for the path / only
"#
    );
}

#[test]
fn every_condition_says_what_it_wanted_and_got() {
    let exact = || ValuePattern::Exact("v".to_owned());
    let cases = [
        (
            Match {
                listeners: vec![1],
                ..Match::default()
            },
            "is for another listener",
        ),
        (
            Match {
                methods: vec![Method::POST],
                ..Match::default()
            },
            "is not for method GET",
        ),
        (
            Match {
                content_type: Some("text/css".to_owned()),
                ..Match::default()
            },
            r#"wants content type text/css, got "a/b""#,
        ),
        (
            Match {
                query: vec![("q".to_owned(), exact())],
                ..Match::default()
            },
            r#"wants query parameter q to be "v", got "1", "2 3""#,
        ),
        (
            Match {
                cookies: vec![("c".to_owned(), ValuePattern::Present(false))],
                ..Match::default()
            },
            r#"wants cookie c to be absent, got "x""#,
        ),
        (
            Match {
                headers: vec![(HeaderName::from_static("x-y"), ValuePattern::Present(true))],
                ..Match::default()
            },
            "wants header x-y to be there, got none",
        ),
    ];
    let request = Request::get("h", "/?q=1&q=2+3")
        .header("content-type", "a/b")
        .header("cookie", "c=x");
    for (matches, wanted) in cases {
        let explanation = Router::new(&routes([matches])).explain(&request.facts());
        let text = explanation.to_string();
        assert!(text.trim_end().ends_with(wanted), "{text}");
        assert_eq!(explanation.winner(), None);
    }
}

#[test]
fn a_long_list_of_other_routes_is_only_counted() {
    let many = (0..100).map(|at| place("", &format!("/p{at}")));
    let explanation = Router::new(&routes(many)).explain(&Request::get("h", "/x").facts());
    let text = explanation.to_string();
    assert_eq!(text.lines().count(), 22, "{text}");
    assert!(text.starts_with("  no route is for this host and path\n"));
    assert!(text.ends_with("  -  and 80 more for another host or path\n"));
}
