//! Which backend gets a request, seen from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::config::Algorithm;

use crate::support::{Backend, Client, Evenkeel, Gate, Reply, Setup};

/// Three backends with the weights 3, 2 and 1, and a route that lets `?algo=` choose.
struct Trio {
    backends: [Backend; 3],
    evenkeel: Evenkeel,
}

impl Trio {
    fn new(upstream: &str) -> Self {
        let backends = ["a", "b", "c"].map(Backend::named);
        let setup = Setup::new(&[])
            .backend(backends[0].address(), "weight: 3")
            .backend(backends[1].address(), "weight: 2")
            .backend(backends[2].address(), "weight: 1")
            .route("algorithm_override: true")
            .upstream(upstream);
        Self {
            backends,
            evenkeel: setup.start(),
        }
    }

    /// How many of so many sequential requests each backend got.
    fn shares(&self, requests: usize, algorithm: &str) -> [usize; 3] {
        let before = self.counts();
        let mut client = self.evenkeel.connect();
        for _ in 0..requests {
            let response = client.get(&format!("/?algo={algorithm}"));
            assert_eq!(response.status, 200, "{algorithm}: {}", response.head);
        }
        let after = self.counts();
        std::array::from_fn(|index| after[index] - before[index])
    }

    fn counts(&self) -> [usize; 3] {
        std::array::from_fn(|index| self.backends[index].count())
    }
}

#[track_caller]
fn close_to(shares: [usize; 3], expected: [usize; 3], slack: usize) {
    let near = shares
        .iter()
        .zip(expected)
        .all(|(share, wanted)| share.abs_diff(wanted) <= slack);
    assert!(near, "{shares:?} is not {expected:?} give or take {slack}");
}

#[test]
fn round_robin_shares_evenly() {
    close_to(
        Trio::new("algorithm: round_robin").shares(300, "round_robin"),
        [100, 100, 100],
        1,
    );
}

#[test]
fn weighted_round_robin_shares_by_weight() {
    let trio = Trio::new("algorithm: round_robin");
    close_to(trio.shares(300, "weighted_round_robin"), [150, 100, 50], 1);
}

#[test]
fn random_shares_by_weight() {
    // 5 standard deviations of the binomial distribution around a half of 600.
    close_to(
        Trio::new("algorithm: round_robin").shares(600, "random"),
        [300, 200, 100],
        62,
    );
}

#[test]
fn every_algorithm_by_name_serves_and_is_counted() {
    let trio = Trio::new("algorithm: round_robin");
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        assert_eq!(trio.shares(30, name).iter().sum::<usize>(), 30, "{name}");
        let labels = [("upstream", "main"), ("algorithm", name)];
        trio.evenkeel
            .wait_for_metric("evenkeel_algorithm_requests_total", &labels, 30.0);
    }
}

#[test]
fn the_configured_algorithm_holds_without_an_override() {
    let trio = Trio::new("algorithm: weighted_round_robin");
    let mut client = trio.evenkeel.connect();
    for _ in 0..60 {
        assert_eq!(client.get("/").status, 200);
    }
    close_to(trio.counts(), [30, 20, 10], 1);
}

#[test]
fn an_unknown_algorithm_is_refused_with_the_names() {
    let trio = Trio::new("algorithm: round_robin");
    let response = trio.evenkeel.get("/?algo=fastest");
    assert_eq!(
        (response.status, response.reason()),
        (400, Some("unknown_algorithm"))
    );
    for algorithm in Algorithm::ALL {
        assert!(
            response.text().contains(algorithm.name()),
            "{}",
            response.text()
        );
    }
    assert_eq!(trio.counts(), [0, 0, 0]);
}

#[test]
fn algo_is_an_ordinary_parameter_where_the_route_does_not_allow_it() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).start();
    assert_eq!(evenkeel.get("/?algo=fastest").status, 200);
    assert_eq!(backend.only_request().target(), "/?algo=fastest");
}

#[test]
fn one_client_address_stays_with_one_backend() {
    let shares = Trio::new("algorithm: round_robin").shares(30, "ip_hash");
    assert!(shares.contains(&30), "{shares:?}");
}

#[test]
fn one_key_stays_with_one_backend_and_keys_spread() {
    for name in ["consistent_hash", "maglev"] {
        let trio = Trio::new(&format!(
            "algorithm: {name}\n    hash_key: {{ header: X-User }}"
        ));
        let mut client = trio.evenkeel.connect();
        let mut homes = BTreeMap::new();
        for round in 0..3 {
            for user in 0..120 {
                let user = format!("user-{user}");
                let response = client.request("GET", "/", &[("X-User", &user)], b"").text();
                let home = homes.entry(user).or_insert_with(|| response.clone());
                assert_eq!(*home, response, "{name}, round {round}");
            }
        }
        let counts = trio.counts();
        assert!(
            counts.iter().all(|count| *count >= 15),
            "{name}: {counts:?}"
        );
        assert!(
            counts[0] > counts[2],
            "{name} follows the weights: {counts:?}"
        );
    }
}

/// Two backends whose answers to `/hold` wait for the gate.
fn holding_pair(gate: &Gate) -> [Backend; 2] {
    ["a", "b"].map(|name| {
        let gate = gate.clone();
        Backend::start(move |request| match request.target() {
            "/hold" => Reply::ok(name).after(&gate),
            _ => Reply::ok(name),
        })
    })
}

#[test]
fn least_connections_avoids_the_busy_backend() {
    let gate = Gate::new();
    let [a, b] = holding_pair(&gate);
    let evenkeel = Setup::new(&[&a, &b])
        .upstream("algorithm: least_connections")
        .start();
    let mut holding = evenkeel.connect();
    holding.send_request("GET", "/hold", &[], b"");
    crate::support::deadline::wait_until("the held request arrives", || a.count() + b.count() == 1);
    let busy = if a.count() == 1 { "a" } else { "b" };
    let mut client = evenkeel.connect();
    for _ in 0..10 {
        assert_ne!(client.get("/").text(), busy);
    }
    gate.open();
    assert_eq!(holding.response().text(), busy);
}

#[test]
fn weighted_response_time_prefers_the_fast_backend() {
    let slow = Backend::start(|_| Reply::ok("slow").delayed(Duration::from_millis(40)));
    let fast = Backend::named("fast");
    let evenkeel = Setup::new(&[&slow, &fast])
        .upstream("algorithm: weighted_response_time")
        .start();
    let mut client = evenkeel.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(
        slow.count() <= 20,
        "the slow one got {} of 100",
        slow.count()
    );
}

#[test]
fn a_sticky_client_stays_and_moves_when_its_backend_is_gone() {
    let backends = ["a", "b", "c"].map(Backend::named);
    let setup = Setup::new(&[&backends[0], &backends[1], &backends[2]])
        .upstream("algorithm: round_robin")
        .upstream("sticky: { cookie: KEEL, ttl: 1h }");
    let evenkeel = setup.start();
    let mut client = evenkeel.connect();
    let (home, cookie) = bound(&mut client, &[]);
    for backend in &backends {
        let address = backend.address().to_string();
        assert!(!cookie.contains(&address), "no address in {cookie}");
    }
    for _ in 0..9 {
        assert_eq!(
            client
                .request("GET", "/", &[("Cookie", &cookie)], b"")
                .text(),
            home
        );
    }
    let gone = backends
        .iter()
        .find(|backend| backend.count() >= 10)
        .expect("the home is one of them");
    gone.stop();
    let (new_home, new_cookie) = bound(&mut client, &[("Cookie", &cookie)]);
    assert_ne!(new_home, home);
    for _ in 0..9 {
        assert_eq!(
            client
                .request("GET", "/", &[("Cookie", &new_cookie)], b"")
                .text(),
            new_home
        );
    }
}

/// One GET that must set the cookie: who answered, and the cookie to send back.
#[track_caller]
fn bound(client: &mut Client, headers: &[(&str, &str)]) -> (String, String) {
    let response = client.request("GET", "/", headers, b"");
    assert_eq!(response.status, 200, "{}", response.head);
    let set = response.header("set-cookie").expect("a cookie is set");
    assert!(set.starts_with("KEEL="), "{set}");
    assert!(set.contains("HttpOnly"), "{set}");
    let cookie = set.split(';').next().expect("split yields one item");
    (response.text(), cookie.to_owned())
}

#[test]
fn a_forged_sticky_cookie_binds_to_nothing() {
    let backends = ["a", "b"].map(Backend::named);
    let evenkeel = Setup::new(&[&backends[0], &backends[1]])
        .upstream("algorithm: round_robin")
        .upstream("sticky: { cookie: KEEL, ttl: 1h }")
        .start();
    let mut client = evenkeel.connect();
    let (home, cookie) = bound(&mut client, &[]);
    let last = cookie.chars().last().expect("a cookie has a value");
    let other = if last == 'A' { 'B' } else { 'A' };
    let forged = format!("{}{other}", &cookie[..cookie.len() - 1]);
    let mut homes = vec![home];
    for cookie in [forged.as_str(), "KEEL=", "KEEL=garbage", "KEEL=%00"] {
        homes.push(bound(&mut client, &[("Cookie", cookie)]).0);
    }
    homes.dedup();
    assert!(
        homes.len() > 1,
        "forged cookies follow the algorithm: {homes:?}"
    );
}

#[test]
fn a_backup_serves_when_no_primary_can() {
    let (primary, backup) = (Backend::named("primary"), Backend::named("backup"));
    let evenkeel = Setup::new(&[&primary])
        .backend(backup.address(), "backup: true")
        .start();
    let mut client = evenkeel.connect();
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "primary");
    }
    primary.stop();
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "backup");
    }
}
