//! One reload after the other under load: no request fails, nothing grows, a WebSocket stays.
//!
//! `EVENKEEL_RELOADS` says how many; `benches/reload/run` makes it a thousand.

use std::fmt::Write as _;
use std::time::Duration;

use super::{echo, echoes};
use crate::support::deadline::{eventually, pause, wait_until};
use crate::support::{Backend, Evenkeel, Load, Setup, show};

/// Reloads between two looks at the memory. The allocator's arenas and the rings of what happened
/// fill at first, and on a busy machine for longer; what leaks goes on growing.
const WARM: u32 = 250;

/// Looks after which memory that still grows counts as leaking.
const LOOKS: u32 = 6;

fn reloads() -> u32 {
    let asked = std::env::var("EVENKEEL_RELOADS").ok();
    let asked = asked.map(|text| text.parse().expect("EVENKEEL_RELOADS is a number"));
    asked.unwrap_or(2 * WARM).max(WARM + 1)
}

/// The configuration number `turn`: other weights, and another answer of one route.
fn numbered(backends: &[&Backend; 3], turn: u32) -> String {
    let weights = [turn, 7 * turn, 13 * turn].map(|product| product % 50 + 1);
    let mut setup = Setup::new(&[]).upstream("algorithm: weighted_round_robin");
    for (backend, weight) in backends.iter().zip(weights) {
        setup = setup.backend(backend.address(), &format!("weight: {weight}"));
    }
    let mut yaml = setup.yaml();
    let marker = format!(
        "routes:\n  - {{ name: turn, match: {{ path: {{ exact: /turn }} }}, respond: {{ status: 200, body: \"{turn}\" }} }}\n"
    );
    yaml = yaml.replace("routes:\n", &marker);
    // Loud logs would measure the log.
    let _ = writeln!(yaml, "access_log: null");
    yaml
}

/// Reloads over which the least memory counts: what is in use at one moment is chance.
const SPAN: u32 = 30;

fn memory(evenkeel: &Evenkeel) -> f64 {
    evenkeel.metric("process_resident_memory_bytes", &[])
}

#[test]
fn many_reloads_cost_no_request_no_memory_and_no_websocket() {
    let plain = [Backend::named("a"), Backend::named("b")];
    let sockets = echo();
    let backends = [&plain[0], &plain[1], &sockets];
    let evenkeel = Evenkeel::start(&numbered(&backends, 0));
    let mut open = eventually("a WebSocket", || {
        let mut client = evenkeel.connect();
        client.send(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        (client.response().status == 101).then_some(client)
    });
    echoes(&mut open);
    let client = |load: &Load| {
        let mut kept = evenkeel.connect();
        while load.goes_on() {
            assert_eq!(kept.get("/").status, 200);
            assert_eq!(evenkeel.get("/").status, 200, "on a connection of its own");
            load.served();
            pause(Duration::from_millis(2));
        }
    };
    let last = reloads();
    let (mut warm, mut end, mut done) = (f64::INFINITY, f64::INFINITY, 0);
    Load::run(2, client, |load| {
        for turn in 1..=LOOKS.max(last / WARM) * WARM {
            evenkeel.rewrite(&numbered(&backends, turn));
            // The signal is faster than the watch, which finds nothing new then.
            evenkeel.process().signal("HUP");
            let body = turn.to_string();
            wait_until("the new route is in force", || {
                evenkeel.get("/turn").text() == body
            });
            done = turn;
            if (turn - 1) % WARM >= WARM - SPAN {
                end = end.min(memory(&evenkeel));
            }
            if turn.is_multiple_of(WARM) {
                if turn >= last && end < warm * 1.05 {
                    break;
                }
                warm = std::mem::replace(&mut end, f64::INFINITY);
            }
        }
        load.more(10);
    });
    show(&format!(
        "{done} reloads: {warm} bytes, {end} after {WARM} more"
    ));
    assert!(end < warm * 1.05, "memory goes on growing: {done} reloads");
    echoes(&mut open);
    let (applied, refused) = evenkeel.reloads();
    assert!(
        applied >= f64::from(done) && refused < 1.0,
        "{applied} applied, {refused} refused"
    );
    let failed = |label: (&str, &str)| evenkeel.metric("evenkeel_requests_total", &[label]);
    assert!(failed(("code", "502")) + failed(("code", "503")) + failed(("code", "504")) < 1.0);
}
