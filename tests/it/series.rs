//! How many time series a large Evenkeel makes of itself, and that those of who left are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::deadline::wait_until;
use crate::support::metrics::Scrape;
use crate::support::{Backend, Client, Evenkeel, Folder, Reply};

/// What [`UPSTREAMS`] of [`BACKENDS`] behind [`ROUTES`] may have.
const BUDGET: usize = 15_000;

const UPSTREAMS: u8 = 5;
const BACKENDS: u8 = 20;
const ROUTES: usize = 10;

const STATUSES: [&str; 4] = ["200", "302", "404", "500"];
/// Those of the statuses, `failed` and `cancelled`.
const CLASSES: usize = STATUSES.len() + 2;

const ALGORITHMS: [&str; 9] = [
    "round_robin",
    "weighted_round_robin",
    "least_connections",
    "weighted_response_time",
    "power_of_two",
    "random",
    "ip_hash",
    "consistent_hash",
    "maglev",
];

/// Backends that come and go: so many at a time, so often.
const CROWD: u8 = 200;
const GENERATIONS: u8 = 5;

/// One listener that answers at every loopback address: to Evenkeel, each of them is a backend.
struct Crowd {
    backend: Backend,
    hanging: Arc<AtomicUsize>,
}

impl Crowd {
    /// It answers `/ROUTE/STATUS` with that status; `cut` and `hang` are what they say.
    fn start() -> Self {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let hanging = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&hanging);
        let backend = Backend::start_at(everywhere, move |request| {
            let path = request.target().split('?').next().unwrap_or_default();
            match path.rsplit('/').next().unwrap_or_default() {
                "health" => Reply::ok(""),
                "cut" => Reply::close(),
                "hang" => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    Reply::hang()
                }
                status => Reply::status(status.parse().expect("a status"), &[], ""),
            }
        });
        Self { backend, hanging }
    }

    /// The addresses of a group, as far as `count`.
    fn group(&self, group: u8, count: u8) -> impl Iterator<Item = SocketAddr> {
        let port = self.backend.address().port();
        let ip = move |number| Ipv4Addr::new(127, 80, group, number);
        (1..=count).map(move |number| SocketAddr::from((ip(number), port)))
    }

    /// Upstreams with a group each, the first one with those in a file as well; and routes over all.
    fn evenkeel(&self, file: &Path) -> Evenkeel {
        let upstream = |group: u8| {
            let addresses = self.group(group, BACKENDS);
            let backends = addresses.map(|address| format!("{{ address: \"{address}\" }}, "));
            let backends: String = backends.collect();
            let file = file.display();
            let more = match group {
                0 => format!("discovery: {{ type: file, path: \"{file}\" }}, "),
                _ => String::new(),
            };
            format!(
                "  u{group}: {{ algorithm: round_robin, {more}backends: [{backends}], \
                 health: {{ initial: up, active: {{ path: /health, timeout: 5s }}, \
                 passive: null, outlier: null }} }}\n"
            )
        };
        let split = (0..UPSTREAMS).map(|group| format!("{{ upstream: u{group}, weight: 1 }}, "));
        let split: String = split.collect();
        let route = |index: usize| {
            format!(
                "- {{ name: r{index}, match: {{ path: {{ prefix: /r{index} }} }}, \
                 split: [{split}], algorithm_override: true }}\n"
            )
        };
        Evenkeel::start(&format!(
            "server: {{ workers: 2 }}\n\
             listeners: [{{ name: web, address: \"@web@\" }}]\n\
             routes:\n{}upstreams:\n{}metrics: {{ address: \"@metrics@\" }}\n",
            (0..ROUTES).map(route).collect::<String>(),
            (0..UPSTREAMS).map(upstream).collect::<String>(),
        ))
    }

    /// Requests whose backend says nothing, and others whose client leaves before it does.
    fn fail(&self, evenkeel: &Evenkeel, times: usize) {
        for turn in 0..times * ROUTES {
            let route = turn % ROUTES;
            let answer = evenkeel.get(&format!("/r{route}/cut"));
            assert_eq!(answer.status, 502, "{}", answer.head);
            let before = self.hanging.load(Ordering::SeqCst);
            let mut client = Client::connect(evenkeel.web());
            client.send_request("GET", &format!("/r{route}/hang"), &[], b"");
            wait_until("a backend has it", || {
                self.hanging.load(Ordering::SeqCst) > before
            });
        }
    }
}

/// Asks each route so often.
fn ask(evenkeel: &Evenkeel, times: usize, path: &str) {
    let mut client = evenkeel.connect();
    for turn in 0..times * ROUTES {
        client.get(&format!("/r{}/{path}", turn % ROUTES));
    }
}

/// The number of series by family.
fn families(scrape: &Scrape) -> BTreeMap<&str, usize> {
    let mut families = BTreeMap::new();
    for series in scrape.all() {
        *families
            .entry(series.split('{').next().unwrap_or_default())
            .or_default() += 1;
    }
    families
}

/// The series that only one of two scrapes has.
fn differ(one: &Scrape, other: &Scrape) -> Vec<String> {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (one.all().collect(), other.all().collect());
    let apart = one.symmetric_difference(&other);
    apart.map(|series| (*series).to_owned()).collect()
}

#[test]
fn a_large_configuration_keeps_to_its_series_and_who_leaves_leaves_none_behind() {
    const FILE: &str = "more.yaml";
    let (crowd, folder) = (Crowd::start(), Folder::new());
    folder.write(FILE, "[]");
    let evenkeel = crowd.evenkeel(&folder.path(FILE));
    let has = |name: &str, count: usize| evenkeel.metrics().count(name) >= count;

    let backends = usize::from(UPSTREAMS) * usize::from(BACKENDS);
    let splits = usize::from(UPSTREAMS) * ROUTES;
    wait_until("everything has happened everywhere", || {
        for status in STATUSES {
            ask(&evenkeel, 60, status);
        }
        crowd.fail(&evenkeel, 30);
        for algorithm in ALGORITHMS {
            ask(&evenkeel, 5, &format!("200?algo={algorithm}"));
        }
        has("evenkeel_backend_requests_total", backends * CLASSES)
            && has(
                "evenkeel_request_duration_seconds_count",
                splits * STATUSES.len(),
            )
            && has(
                "evenkeel_algorithm_requests_total",
                usize::from(UPSTREAMS) * ALGORITHMS.len(),
            )
    });
    wait_until("every backend is checked", || {
        has("evenkeel_health_checks_total", backends) && has("evenkeel_discovery_up", 1)
    });
    let before = evenkeel.metrics();
    let count = before.all().count();
    assert!(count < BUDGET, "{count}: {:#?}", families(&before));

    let last = UPSTREAMS + GENERATIONS;
    for group in UPSTREAMS..last {
        let others = crowd.group(group, CROWD);
        let listed = others.map(|address| format!("- {address}\n"));
        folder.replace(FILE, &listed.collect::<String>());
        let all = backends + usize::from(CROWD);
        wait_until("they are found", || {
            evenkeel.metrics().count("evenkeel_backend_up") == all
        });
        wait_until("each has answered", || {
            ask(&evenkeel, 150, "200");
            has("evenkeel_backend_response_seconds_count", all)
        });
    }
    folder.replace(FILE, "[]");
    wait_until("they are gone", || {
        evenkeel.metrics().count("evenkeel_backend_up") == backends
    });
    wait_until("their series are gone", || {
        evenkeel.metrics().all().count() <= count
    });
    let after = evenkeel.metrics();
    assert!(
        differ(&before, &after).is_empty(),
        "{:#?}",
        differ(&before, &after)
    );
}
