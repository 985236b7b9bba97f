//! What finding a route costs, and that it does not grow with the table:
//! 10 to 10,000 routes of mixed kinds over many hosts (`spread`) and on one host
//! (`one_host`). The bar: 1,000 routes at most twice the time of 10.
//!
//! `cargo bench --bench route` measures; the last lines give the ratios.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use evenkeel::config::{
    Action, HeaderEdits, HostPattern, Match, PathPattern, Percent, Retry, RetryOn, Route,
    ValuePattern,
};
use evenkeel::request::Facts;
use evenkeel::route::Router;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use regex::Regex;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    find(&mut criterion);
    criterion.final_summary();
    // Without this flag the bench only has to prove that it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
}

fn find(criterion: &mut Criterion) {
    for table in [Table::Spread, Table::OneHost] {
        for case in table.cases() {
            let mut group = criterion.benchmark_group(format!("{}/{}", table.name(), case.name));
            for size in SIZES {
                let router = Router::new(&table.routes(size));
                let request = case.request(size);
                group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, _| {
                    bencher.iter(|| router.find(black_box(&request.facts())));
                });
            }
            group.finish();
        }
    }
}

/// The ratio of the bar, from the shortest of several interleaved runs.
fn ratios() {
    for table in [Table::Spread, Table::OneHost] {
        for case in table.cases() {
            let [small, large] = [10, 1_000].map(|size| {
                let router = Router::new(&table.routes(size));
                let request = case.request(size);
                (router, request)
            });
            let mut best = [f64::INFINITY; 2];
            for _ in 0..40 {
                for (best, (router, request)) in best.iter_mut().zip([&small, &large]) {
                    *best = best.min(nanoseconds(router, request));
                }
            }
            let [small, large] = best;
            let ratio = large / small;
            let name = format!("{}/{}", table.name(), case.name);
            #[expect(clippy::print_stdout, reason = "the report is the purpose")]
            {
                println!("{name:<24} 10: {small:6.1} ns  1,000: {large:6.1} ns  ratio {ratio:.2}");
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch is what a bench is")]
fn nanoseconds(router: &Router, request: &Request) -> f64 {
    const ROUNDS: u32 = 50_000;
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        black_box(router.find(black_box(&request.facts())));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}

#[derive(Clone, Copy)]
enum Table {
    /// Five routes on each host, every second host a wildcard.
    Spread,
    /// All routes on one host.
    OneHost,
}

struct Case {
    name: &'static str,
    /// Host and path, given the number of routes.
    target: fn(usize) -> (String, String),
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::OneHost => "one_host",
        }
    }

    fn routes(self, size: usize) -> Vec<Route> {
        (0..size).map(|at| self.route(at)).collect()
    }

    /// Of ten routes: five prefixes, two exact paths, one regex, one with further
    /// conditions, one without a path.
    fn route(self, at: usize) -> Route {
        let path = match at % 10 {
            0..=4 => Some(PathPattern::Prefix(format!("/service-{at}/api"))),
            5 | 6 => Some(PathPattern::Exact(format!("/service-{at}/health"))),
            7 => Some(regex(&format!(r"^/service-{at}/v\d+/users"))),
            8 => Some(PathPattern::Prefix(format!("/service-{}/api", at - 8))),
            _ => match self {
                Self::Spread => None,
                Self::OneHost => Some(PathPattern::Prefix(format!("/static/{at}"))),
            },
        };
        let mut matches = Match {
            hosts: vec![self.host(at)],
            path,
            ..Match::default()
        };
        if at % 10 == 8 {
            matches.methods = vec![Method::POST];
            matches.headers = vec![(
                HeaderName::from_static("x-beta"),
                ValuePattern::Exact("1".to_owned()),
            )];
        }
        route(format!("route-{at}"), matches)
    }

    fn host(self, at: usize) -> HostPattern {
        let tenant = at / 5;
        match self {
            Self::OneHost => HostPattern::Exact("www.example.com".to_owned()),
            Self::Spread if tenant.is_multiple_of(2) => {
                HostPattern::Exact(format!("www.tenant-{tenant}.example.com"))
            }
            Self::Spread => HostPattern::Suffix(format!(".tenant-{tenant}.example.com")),
        }
    }

    fn cases(self) -> Vec<Case> {
        let case = |name, target| Case { name, target };
        match self {
            Self::Spread => vec![
                case("hit", |size| {
                    let tenant = size / 5 - 2;
                    let host = format!("www.tenant-{tenant}.example.com");
                    (host, format!("/service-{}/api/users/42", tenant * 5))
                }),
                case("wildcard_hit", |size| {
                    let tenant = size / 5 - 1;
                    let host = format!("a.b.tenant-{tenant}.example.com");
                    (host, format!("/service-{}/health", tenant * 5))
                }),
                case("miss", |_| {
                    ("www.example.net".to_owned(), "/service-0/api".to_owned())
                }),
            ],
            Self::OneHost => vec![
                case("hit", |size| {
                    (www(), format!("/service-{}/api/users/42", size - 10))
                }),
                case("regex_hit", |size| {
                    (www(), format!("/service-{}/v2/users", size - 3))
                }),
                case("miss", |_| (www(), "/service-x/api/users".to_owned())),
            ],
        }
    }
}

fn www() -> String {
    "www.example.com".to_owned()
}

fn regex(pattern: &str) -> PathPattern {
    PathPattern::Regex(Regex::new(pattern).expect("the pattern is fixed but for a number"))
}

fn route(name: String, matches: Match) -> Route {
    Route {
        name,
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

struct Request {
    host: String,
    path: String,
    headers: HeaderMap,
}

impl Case {
    fn request(&self, size: usize) -> Request {
        let (host, path) = (self.target)(size);
        let mut headers = HeaderMap::new();
        for name in ["accept", "user-agent", "accept-encoding", "x-beta"] {
            headers.insert(name, HeaderValue::from_static("something usual"));
        }
        Request {
            host,
            path,
            headers,
        }
    }
}

impl Request {
    fn facts(&self) -> Facts<'_> {
        Facts {
            listener: 0,
            method: &Method::GET,
            host: &self.host,
            path: &self.path,
            query: None,
            headers: &self.headers,
            client: [192, 0, 2, 1].into(),
        }
    }
}
