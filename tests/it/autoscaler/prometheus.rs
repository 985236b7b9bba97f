//! A Prometheus that answers badly or not at all: the size is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::pools::{self, Pool, in_the_end};
use crate::support::engine::call::Call;
use crate::support::prometheus::now;
use crate::support::{Evenkeel, Prometheus, Said};

/// Decisions that are made while it goes wrong; the window is one of them.
const DECISIONS: usize = 6;

type Answer = fn() -> Said;

/// What is answered while the load needs one backend of three, by the name of the query.
const WRONG: &[(&str, Answer)] = &[
    ("silent", || Said::Nothing),
    ("drips", || Said::Drip(Duration::from_millis(100))),
    ("ends", || Said::End),
    ("fails", || Said::error(503, "unavailable", "shutting down")),
    ("busy", || {
        Said::error(429, "unavailable", "too many queries")
    }),
    ("refuses", || {
        Said::error(422, "execution", "too many samples")
    }),
    ("denies", || Said::Json(401, "no".to_owned())),
    ("elsewhere", || Said::Json(302, String::new())),
    ("page", || Said::Json(200, "<html>".to_owned())),
    ("half", || {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":\"success\",";
        Said::Bytes(head.into())
    }),
    ("noise", || Said::Bytes(vec![0x16, 0x03, 0x01, 0x00])),
    ("nan", || Said::vector(&["NaN", "0", "0"])),
    ("infinite", || Said::vector(&["0", "+Inf", "0"])),
    ("negative", || Said::vector(&["0.1", "-0.1", "0"])),
    ("empty", || Said::vector(&[])),
    ("few", || Said::vector(&["0.01"])),
    ("past", || Said::vector_at(now() - 60.0, &["0.01"; 3])),
    ("ahead", || Said::vector_at(now() + 60.0, &["0.01"; 3])),
    ("range", || Said::matrix(&[(now(), "0.01")])),
    ("warns", || {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["a store is away"]}"#;
        Said::Json(200, body.to_owned())
    }),
];

/// Waits for so many decisions about each.
fn let_decide(pools: &[&Pool]) {
    let before: Vec<usize> = pools.iter().map(|pool| pool.engine.lists()).collect();
    in_the_end("it was decided some times", || {
        let mut both = pools.iter().zip(&before);
        both.all(|(pool, before)| pool.engine.lists() >= before + DECISIONS)
    });
}

/// Fails where anything was ended, or is less than it was.
fn are_held(evenkeel: &Evenkeel, pools: &[&Pool], size: u32) {
    let told = pools::told(evenkeel);
    for pool in pools {
        let told = &told[&pool.name];
        let ended = pool.engine.changes().contains(&Call::Stop);
        assert!(
            pool.is(size) && !ended,
            "{}: {} {told}",
            pool.name,
            pool.there()
        );
        assert_eq!(told["decision"]["size"], size, "{}: {told}", pool.name);
        assert_eq!(
            told["decision"]["direction"], "hold",
            "{}: {told}",
            pool.name
        );
    }
}

#[test]
fn a_prometheus_that_answers_wrongly_never_takes_a_backend_away() {
    let listening = pools::everywhere();
    let number = listening.address().port();
    let pools: Vec<Pool> = WRONG
        .iter()
        .map(|(name, _)| Pool::new(name, (1, 3), number))
        .collect();
    let pools: Vec<&Pool> = pools.iter().collect();
    let is_wrong = Arc::new(AtomicBool::new(false));
    let (answers, wrong) = (pools::prometheus(&pools), Arc::clone(&is_wrong));
    let prometheus = Prometheus::start(move |asked| {
        let query = asked.value("query");
        match WRONG.iter().find(|(name, _)| *name == query) {
            Some((_, answer)) if wrong.load(Ordering::SeqCst) => answer(),
            _ => answers(query),
        }
    });
    for pool in &pools {
        pool.need(900);
    }
    let evenkeel = pools::evenkeel(&pools, &prometheus, pools::CHECKED);
    in_the_end("all have three", || pools.iter().all(|pool| pool.is(3)));
    is_wrong.store(true, Ordering::SeqCst);
    for pool in &pools {
        pool.need(3);
    }
    let_decide(&pools);
    are_held(&evenkeel, &pools, 3);
    is_wrong.store(false, Ordering::SeqCst);
    in_the_end("all have one", || pools.iter().all(|pool| pool.is(1)));
}

#[test]
fn a_prometheus_that_is_gone_never_takes_a_backend_away() {
    let listening = pools::everywhere();
    let pool = Pool::new("main", (1, 3), listening.address().port());
    let pools = [&pool];
    let answers = pools::prometheus(&pools);
    let prometheus = Prometheus::start(move |asked| answers(asked.value("query")));
    pool.need(900);
    let evenkeel = pools::evenkeel(&pools, &prometheus, pools::CHECKED);
    in_the_end("there are three", || pool.is(3));
    prometheus.go();
    pool.need(3);
    let_decide(&pools);
    are_held(&evenkeel, &pools, 3);
    prometheus.come();
    in_the_end("there is one", || pool.is(1));
}
