use allocation_counter::measure;

use super::*;
use crate::config::ValuePattern;
use crate::request::{normalize_host, normalize_path};

#[test]
fn finding_a_route_allocates_nothing() {
    let mut picky = place("a.example.org", "/api/v1");
    picky.methods = vec![Method::GET];
    picky.headers = vec![(
        HeaderName::from_static("x-a"),
        ValuePattern::Exact("1".to_owned()),
    )];
    picky.query = vec![("a b".to_owned(), ValuePattern::Exact("c d".to_owned()))];
    picky.cookies = vec![("group".to_owned(), ValuePattern::Exact("b".to_owned()))];
    let table = [
        place("", ""),
        place("*.org", "/"),
        place("*.example.org", "/api"),
        picky,
    ];
    let router = Router::new(&routes(table));
    let hit = Request::get("a.example.org", "/api/v1/x?%61+b=c%20d")
        .header("x-a", "1")
        .header("cookie", "x=1; group=b");
    let backtracking = Request::get("a.example.org", "/other").header("x-a", "2");
    let miss = Request::get("example.com", "/api");
    for (request, wanted) in [(&hit, 3), (&backtracking, 1), (&miss, 0)] {
        let facts = request.facts();
        let mut found = None;
        let counted = measure(|| found = router.find(&facts));
        assert_eq!(found.map(|found| found.route), Some(wanted));
        assert_eq!(counted.count_total, 0);
    }
}

#[test]
fn normalising_what_is_normal_allocates_nothing() {
    let counted = measure(|| {
        assert!(normalize_path("/api/v1/users/42").is_ok());
        assert!(normalize_host("api.example.com:8080").is_ok());
    });
    assert_eq!(counted.count_total, 0);
}
