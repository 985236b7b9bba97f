//! What is explained is what then happens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::{encoded, get, patch};
use crate::support::deadline::{eventually, wait_until};
use crate::support::ports::Port;
use crate::support::{Backend, Client, Evenkeel, Reply, Response};

/// Requests that are explained and then made.
const ROUNDS: u32 = 240;

/// Backends with a name each, two of them odd, and one address where nobody listens.
struct World {
    backends: Vec<(&'static str, Backend)>,
    nobody: Port,
    evenkeel: Evenkeel,
    /// Of sticky clients, from before anything befell the backends.
    cookies: Vec<String>,
}

/// A random sequence that a seed determines (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A request as a client makes it.
#[derive(Debug)]
struct Call {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    client: IpAddr,
}

impl World {
    fn new() -> Self {
        let named = |name: &'static str| (name, Backend::named(name));
        let failing = Backend::start(|request| match request.target() {
            "/flaky/fail" => Reply::status(500, &[], "failing"),
            _ => Reply::ok("failing"),
        });
        let backends = vec![
            named("a"),
            named("b"),
            named("c"),
            named("d"),
            named("e"),
            ("failing", failing),
        ];
        let nobody = Port::reserve();
        let evenkeel = Evenkeel::start(&yaml(&backends, nobody.address()));
        let cookies = (0..3).filter_map(|_| cookie(&evenkeel.get("/sticky")));
        let world = Self {
            backends,
            nobody,
            cookies: cookies.collect(),
            evenkeel,
        };
        world.befall();
        world
    }

    fn address(&self, name: &str) -> SocketAddr {
        let found = self.backends.iter().find(|(one, _)| *one == name);
        found.expect("there is one of this name").1.address()
    }

    fn admin(&self) -> SocketAddr {
        self.evenkeel.admin()
    }

    /// One backend drains, one is in maintenance, one is down, one is ejected.
    fn befall(&self) {
        let draining = r#"{"state": "draining", "deadline": "10m"}"#;
        for upstream in ["turns", "sticky", "hashed"] {
            patch(self.admin(), upstream, self.address("c"), draining);
        }
        for (upstream, backend) in [
            ("turns", "d"),
            ("weighted", "d"),
            ("maglev", "d"),
            ("sticky", "b"),
        ] {
            let maintenance = r#"{"state": "maintenance"}"#;
            patch(self.admin(), upstream, self.address(backend), maintenance);
        }
        for (path, upstream, state) in [
            ("/turns", "turns", "down"),
            ("/hashed", "hashed", "down"),
            ("/flaky/fail", "flaky", "ejected"),
        ] {
            let mut number = 0;
            wait_until(&format!("one of {upstream} is {state}"), || {
                number += 1;
                let user = format!("user-{number}");
                let mut client = self.evenkeel.connect();
                client.request("GET", path, &[("X-User", &user)], b"");
                let (_, report) = get(self.admin(), &format!("/api/v1/explain?url={path}"));
                let backends = report["upstreams"][0]["backends"].as_array().cloned();
                backends.iter().flatten().any(|one| one["state"] == state)
            });
        }
    }

    /// What is said about a request, once nothing is in flight.
    fn explained(&self, call: &Call) -> Value {
        let mut path = format!(
            "/api/v1/explain?method={}&url={}&client={}&header=host:%20test.example",
            call.method,
            encoded(&call.target),
            call.client
        );
        for (name, value) in &call.headers {
            path += "&header=";
            path += &encoded(&format!("{name}: {value}"));
        }
        eventually("a report while all is quiet", || {
            let (status, report) = get(self.admin(), &path);
            assert_eq!(status, 200, "{path}: {report}");
            let upstreams = report["upstreams"].as_array().expect("a list");
            let backends = upstreams
                .iter()
                .flat_map(|upstream| upstream["backends"].as_array().expect("a list"));
            let quiet = backends.into_iter().all(|one| one["in_flight"] == 0);
            quiet.then_some(report)
        })
    }

    fn made(&self, call: &Call) -> Response {
        let headers: Vec<(&str, &str)> = call
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut client =
            Client::connect_from(call.client, self.evenkeel.web()).expect("loopback is wide");
        client.request(call.method, &call.target, &headers, b"")
    }

    /// The backend that gave an answer, by its id.
    fn answered(&self, response: &Response) -> String {
        let name = response.text();
        self.address(&name).to_string()
    }
}

fn yaml(backends: &[(&str, Backend)], nobody: SocketAddr) -> String {
    let list = |names: &[&str]| {
        let one = |name: &&str| {
            let (name, weight) = name.split_once('*').unwrap_or((name, "1"));
            let address = match backends.iter().find(|(one, _)| *one == name) {
                Some((_, backend)) => backend.address(),
                None => nobody,
            };
            format!("      - {{ address: \"{address}\", weight: {weight} }}\n")
        };
        names.iter().map(one).collect::<String>()
    };
    let upstream = |name: &str, keys: &str, names: &[&str]| {
        format!(
            "  {name}:\n    {keys}\n    panic_threshold: 0%\n    \
             health: {{ outlier: {{ mode: off }} }}\n    backends:\n{}",
            list(names)
        )
    };
    [
        "server: { workers: 2 }\n\
         listeners: [{ name: web, address: \"@web@\" }]\n\
         routes:\n\
         \x20 - { name: beta, match: { headers: { X-Beta: \"1\" } }, upstream: weighted }\n\
         \x20 - { name: vip, match: { cookies: { group: vip } }, upstream: maglev }\n\
         \x20 - { name: post, match: { methods: [POST], path: { prefix: /turns } }, respond: { status: 403, body: \"no\" } }\n\
         \x20 - { name: turns, match: { path: { prefix: /turns } }, upstream: turns }\n\
         \x20 - { name: sticky, match: { path: { prefix: /sticky } }, upstream: sticky }\n\
         \x20 - { name: hashed, match: { path: { prefix: /hashed } }, upstream: hashed }\n\
         \x20 - { name: client, match: { path: { prefix: /client } }, upstream: client }\n\
         \x20 - { name: least, match: { path: { prefix: /least } }, upstream: least }\n\
         \x20 - { name: flaky, match: { path: { prefix: /flaky } }, upstream: flaky }\n\
         \x20 - { name: any, match: { path: { prefix: /any } }, upstream: least, algorithm_override: true }\n\
         \x20 - { name: stable, match: { path: { prefix: /stable } }, split: [{ upstream: sticky, weight: 1 }, { upstream: weighted, weight: 2 }] }\n\
         \x20 - { name: drawn, match: { path: { prefix: /drawn } }, split: [{ upstream: client, weight: 1 }, { upstream: weighted, weight: 1 }] }\n\
         \x20 - { name: old, match: { path: { exact: /old } }, redirect: { path: /turns } }\n\
         \x20 - { name: empty, match: { path: { prefix: /empty } }, upstream: empty }\n\
         upstreams:\n"
            .to_owned(),
        upstream("turns", "algorithm: round_robin", &["a", "b", "c", "d", "nobody"]),
        upstream("weighted", "algorithm: weighted_round_robin", &["a*3", "b", "d", "e*2"]),
        upstream(
            "sticky",
            "algorithm: round_robin\n    sticky: { cookie: KEEL, ttl: 1h }",
            &["a", "b", "c"],
        ),
        upstream(
            "hashed",
            "algorithm: consistent_hash\n    hash_key: { header: X-User }",
            &["a", "b*2", "c", "nobody"],
        ),
        upstream(
            "maglev",
            "algorithm: maglev\n    hash_key: path",
            &["a", "b", "d", "e"],
        ),
        upstream("client", "algorithm: ip_hash", &["a", "b", "e*3"]),
        upstream("least", "algorithm: least_connections", &["a", "b", "e"]),
        upstream("flaky", "algorithm: round_robin", &["a", "failing"]),
        "  empty: { discovery: { type: registry } }\n\
         metrics: { address: \"@metrics@\" }\n\
         admin: { address: \"@admin@\" }\n"
            .to_owned(),
    ]
    .concat()
}

/// What a sticky client sends back.
fn cookie(response: &Response) -> Option<String> {
    let set = response.header("set-cookie")?;
    Some(set.split(';').next()?.to_owned())
}

/// A request drawn from everything that the configuration tells apart.
fn call(dice: &mut Dice, cookies: &[String]) -> Call {
    const TARGETS: [&str; 18] = [
        "/",
        "/other",
        "/turns",
        "/turns/x?y=1",
        "/sticky",
        "/sticky/a",
        "/hashed",
        "/hashed/x",
        "/client",
        "/least",
        "/flaky",
        "/any?algo=maglev",
        "/any?algo=ip_hash",
        "/any?algo=fastest",
        "/stable",
        "/drawn",
        "/old",
        "/empty",
    ];
    let mut headers = Vec::new();
    if dice.below(3) == 0 {
        let user = format!("user-{}", dice.below(40));
        headers.push(("X-User", user));
    }
    if dice.below(5) == 0 {
        headers.push(("X-Beta", "1".to_owned()));
    }
    if dice.below(5) == 0 {
        headers.push(("Cookie", "group=vip".to_owned()));
    } else if !cookies.is_empty() && dice.below(2) == 0 {
        headers.push(("Cookie", dice.one_of(cookies).clone()));
    }
    let path = dice.below(20);
    let target = match path {
        0 => "/turns/../../x".to_owned(),
        1 => format!("/none/{path}"),
        2 => format!("/turns//./{}", dice.below(9)),
        _ => (*dice.one_of(&TARGETS)).to_owned(),
    };
    let last = u8::try_from(1 + dice.below(200)).expect("a byte");
    Call {
        method: if dice.below(6) == 0 { "POST" } else { "GET" },
        target,
        headers,
        client: IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)),
    }
}

/// The upstream that the report says the request goes to.
fn chosen(report: &Value) -> &Value {
    let upstreams = report["upstreams"].as_array().expect("a list");
    let mut chosen = upstreams.iter().filter(|one| !one["chosen_by"].is_null());
    let first = chosen.next().expect("the request goes somewhere");
    assert!(chosen.next().is_none(), "and nowhere else: {report}");
    first
}

fn candidates(upstream: &Value) -> Vec<&str> {
    let backends = upstream["backends"].as_array().expect("a list");
    let candidates = backends.iter().filter(|one| one["candidate"] == true);
    candidates.filter_map(|one| one["id"].as_str()).collect()
}

/// What the report says the client will see, against what it saw.
fn agree(world: &World, call: &Call, report: &Value, response: &Response) {
    let context = format!("{call:?}\n{report:#}\n{}", response.head);
    let outcome = &report["outcome"];
    match outcome["kind"].as_str() {
        Some("refuse") => {
            assert_eq!(outcome["status"], response.status, "{context}");
            assert_eq!(outcome["reason"].as_str(), response.reason(), "{context}");
        }
        Some("respond") => assert_eq!(outcome["status"], response.status, "{context}"),
        Some("redirect") => {
            assert_eq!(outcome["status"], response.status, "{context}");
            let location = response.header("location");
            assert_eq!(outcome["location"].as_str(), location, "{context}");
        }
        Some("forward") => forwarded(world, report, response, &context),
        kind => panic!("{kind:?}: {context}"),
    }
}

fn forwarded(world: &World, report: &Value, response: &Response, context: &str) {
    let upstream = chosen(report);
    if upstream["pick"].is_null() {
        assert_eq!(response.status, 503, "{context}");
        let unavailable = upstream["unavailable"].as_str();
        assert_eq!(unavailable, response.reason(), "{context}");
        return;
    }
    assert_eq!(response.status, 200, "{context}");
    let answered = world.answered(response);
    let pick = &upstream["pick"];
    let by_draw = upstream["chosen_by"] == "draw";
    // Where nobody listens, the next try decides.
    let is_retried = pick["backend"] == world.nobody.address().to_string();
    if by_draw || is_retried || pick["by_chance"] == true {
        let upstreams = report["upstreams"].as_array().expect("a list");
        let possible = upstreams.iter().filter(|one| by_draw || *one == upstream);
        let mut possible = possible.flat_map(candidates);
        assert!(possible.any(|id| id == answered), "{context}");
    } else {
        assert_eq!(pick["backend"], answered, "{context}");
    }
}

#[test]
fn what_is_explained_is_what_happens() {
    let world = World::new();
    let mut dice = Dice(0x5eed_0001);
    let mut cookies = world.cookies.clone();
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..ROUNDS {
        let call = call(&mut dice, &cookies);
        let report = world.explained(&call);
        let response = world.made(&call);
        agree(&world, &call, &report, &response);
        cookies.extend(cookie(&response));
        met.insert(report["route"].as_str().unwrap_or("none").to_owned());
        for upstream in report["upstreams"].as_array().into_iter().flatten() {
            let reason = upstream["pick"]["reason"].as_str().unwrap_or("nothing");
            met.insert(format!("picked by {reason}"));
            let binding = upstream["sticky"]["binding"].as_str();
            met.extend(binding.map(|word| format!("cookie: {word}")));
            for backend in upstream["backends"].as_array().into_iter().flatten() {
                met.extend(
                    backend["excluded"]
                        .as_str()
                        .map(|why| format!("out: {why}")),
                );
            }
        }
    }
    for wanted in [
        "beta",
        "vip",
        "post",
        "turns",
        "sticky",
        "hashed",
        "client",
        "least",
        "flaky",
        "any",
        "stable",
        "drawn",
        "old",
        "empty",
        "none",
        "picked by algorithm",
        "picked by sticky",
        "picked by nothing",
        "cookie: none",
        "cookie: holds",
        "cookie: moves",
        "out: draining",
        "out: maintenance",
        "out: down",
        "out: ejected",
    ] {
        assert!(met.contains(wanted), "no request met `{wanted}`: {met:?}");
    }
}

#[test]
fn explaining_takes_nobodys_turn() {
    let backends = ["a", "b", "c"].map(|name| (name, Backend::named(name)));
    let world_of = |evenkeel: &Evenkeel| {
        let (_, report) = get(evenkeel.admin(), "/api/v1/explain?url=/");
        report["upstreams"][0]["pick"]["backend"].clone()
    };
    let all: Vec<&Backend> = backends.iter().map(|(_, backend)| backend).collect();
    let evenkeel = crate::support::Setup::new(&all)
        .upstream("algorithm: round_robin")
        .admin("")
        .start();
    let mut turns = Vec::new();
    for _ in 0..6 {
        let told = world_of(&evenkeel);
        assert_eq!(world_of(&evenkeel), told, "nothing was sent in between");
        let name = evenkeel.get("/").text();
        let (_, backend) = backends.iter().find(|(one, _)| *one == name).expect("ours");
        assert_eq!(told, backend.address().to_string());
        turns.push(name);
    }
    assert_eq!(turns[..3], turns[3..], "one after the other");
    let got: usize = backends.iter().map(|(_, backend)| backend.count()).sum();
    assert_eq!(got, 6, "nothing but the requests arrived");
}
