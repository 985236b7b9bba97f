//! Failures of backends: what is repeated elsewhere, what must not be, what the client is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::backend::Request;
use crate::support::deadline::{Stopwatch, wait_until};
use crate::support::ports::Port;
use crate::support::{Backend, Evenkeel, Gate, Load, Reply, Setup};

/// A backend that fails as scripted before one that answers, in turn.
struct Pair {
    failing: Backend,
    sound: Backend,
    evenkeel: Evenkeel,
}

impl Pair {
    fn new(failure: impl Fn(&Request) -> Reply + Send + Sync + 'static, route: &[&str]) -> Self {
        let (failing, sound) = (Backend::start(failure), Backend::named("sound"));
        let setup = Setup::new(&[&failing, &sound])
            .upstream("algorithm: round_robin")
            .upstream("timeouts: { read: 500ms }");
        let evenkeel = route
            .iter()
            .fold(setup, |setup, key| setup.route(key))
            .start();
        Self {
            failing,
            sound,
            evenkeel,
        }
    }

    /// Requests until each backend was asked first at least once; all must be answered well.
    #[track_caller]
    fn loses_nothing(&self) {
        let mut client = self.evenkeel.connect();
        for _ in 0..6 {
            let response = client.get("/");
            assert_eq!((response.status, response.text().as_str()), (200, "sound"));
        }
        assert!(self.failing.count() >= 1, "the failing backend was asked");
        let retries = self
            .evenkeel
            .metric("evenkeel_retries_total", &[("upstream", "main")]);
        assert!(retries >= 1.0, "{retries} retries counted");
    }
}

#[test]
fn a_refused_connection_is_tried_elsewhere() {
    let sound = Backend::named("sound");
    let refusing = Backend::refusing();
    let evenkeel = Setup::new(&[&sound])
        .backend(refusing.address(), "")
        .upstream("algorithm: round_robin")
        .start();
    let mut client = evenkeel.connect();
    for method in ["GET", "POST"] {
        for _ in 0..6 {
            let response = client.request(method, "/", &[], b"");
            assert_eq!(response.status, 200, "{method}: {}", response.head);
        }
    }
    let labels = [("reason", "connect")];
    assert!(evenkeel.metric("evenkeel_retries_total", &labels) >= 1.0);
}

#[test]
fn a_connection_that_ends_before_the_answer_is_tried_elsewhere() {
    Pair::new(|_| Reply::close(), &[]).loses_nothing();
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_tried_elsewhere() {
    Pair::new(|_| Reply::hang(), &[]).loses_nothing();
}

#[test]
fn answers_502_503_and_504_are_tried_elsewhere() {
    for status in [502, 503, 504] {
        Pair::new(move |_| Reply::status(status, &[], "sorry"), &[]).loses_nothing();
    }
}

#[test]
fn a_500_is_an_answer() {
    let pair = Pair::new(|_| Reply::status(500, &[], "sorry"), &[]);
    let mut statuses: Vec<u16> = (0..2).map(|_| pair.evenkeel.get("/").status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 500]);
}

#[test]
fn only_what_the_route_names_is_repeated() {
    let pair = Pair::new(
        |_| Reply::status(503, &[], "sorry"),
        &["retry: { on: [connect] }"],
    );
    let mut statuses: Vec<u16> = (0..2).map(|_| pair.evenkeel.get("/").status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
}

#[test]
fn a_small_body_is_replayed_whole() {
    let pair = Pair::new(|_| Reply::close(), &[]);
    let mut client = pair.evenkeel.connect();
    for _ in 0..2 {
        assert_eq!(
            client.request("PUT", "/", &[], b"the whole body").status,
            200
        );
    }
    assert!(pair.failing.count() >= 1, "the failing backend was asked");
    for request in pair.sound.requests() {
        assert_eq!(request.text(), "the whole body");
    }
}

#[test]
fn a_body_too_large_to_keep_is_not_replayed() {
    let pair = Pair::new(|_| Reply::close(), &[]);
    let body = vec![b'x'; 300_000];
    let mut statuses: Vec<u16> = (0..2)
        .map(|_| {
            pair.evenkeel
                .connect()
                .request("PUT", "/", &[], &body)
                .status
        })
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502], "one fails at once, none hangs");
    assert_eq!(pair.sound.only_request().body.len(), body.len());
}

#[test]
fn a_post_that_may_have_been_taken_is_not_repeated() {
    for method in ["POST", "PATCH"] {
        let pair = Pair::new(|_| Reply::close(), &[]);
        let answers: Vec<(u16, Option<String>)> = (0..2)
            .map(|_| pair.evenkeel.connect().request(method, "/", &[], b"order"))
            .map(|response| (response.status, response.reason().map(str::to_owned)))
            .collect();
        let failed: Vec<_> = answers
            .iter()
            .filter(|(status, _)| *status != 200)
            .collect();
        assert_eq!(
            failed,
            [&(502, Some("backend_reset".to_owned()))],
            "{method}"
        );
        assert_eq!(
            (pair.failing.count(), pair.sound.count()),
            (1, 1),
            "{method}"
        );
    }
}

#[test]
fn a_post_is_repeated_where_the_route_allows_it() {
    let pair = Pair::new(|_| Reply::close(), &["retry: { non_idempotent: true }"]);
    let mut client = pair.evenkeel.connect();
    for _ in 0..2 {
        assert_eq!(client.request("POST", "/", &[], b"order").status, 200);
    }
    assert!(pair.failing.count() >= 1, "the failing backend was asked");
    assert_eq!(pair.sound.count(), 2);
}

#[test]
fn nothing_is_repeated_after_the_first_byte_of_an_answer() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let pair = Pair::new(move |_| Reply::raw(half).then_close(), &[]);
    let mut cut = 0;
    for _ in 0..2 {
        let mut client = pair.evenkeel.connect();
        client.send_request("GET", "/", &[], b"");
        match client.try_response() {
            Ok(response) => assert_eq!(response.text(), "sound"),
            Err(_) => cut += 1,
        }
    }
    assert_eq!((cut, pair.failing.count(), pair.sound.count()), (1, 1, 1));
}

#[test]
fn attempts_are_bounded_and_each_asks_another_backend() {
    let backends =
        ["a", "b", "c", "d"].map(|_| Backend::start(|_| Reply::status(503, &[], "sorry")));
    let evenkeel = backends
        .iter()
        .fold(Setup::new(&[]), |setup, backend| {
            setup.backend(backend.address(), "")
        })
        .route("retry: { attempts: 2, budget: 100% }")
        .start();
    assert_eq!(evenkeel.get("/").status, 503);
    let mut counts: Vec<usize> = backends.iter().map(Backend::count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 1, 1, 1]);
}

#[test]
fn retries_can_be_turned_off() {
    let pair = Pair::new(|_| Reply::close(), &["retry: { attempts: 0 }"]);
    let mut statuses: Vec<u16> = (0..2).map(|_| pair.evenkeel.get("/").status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
}

/// The status and reason one GET gets from a single backend.
fn told(backend: &Backend, route: &str) -> (u16, Option<String>, Duration) {
    let setup = Setup::new(&[backend]).upstream("timeouts: { read: 500ms }");
    let setup = if route.is_empty() {
        setup
    } else {
        setup.route(route)
    };
    let evenkeel = setup.start();
    let watch = Stopwatch::start();
    let response = evenkeel.get("/");
    (
        response.status,
        response.reason().map(str::to_owned),
        watch.elapsed(),
    )
}

#[test]
fn the_client_is_told_what_failed() {
    let reason = |text: &str| Some(text.to_owned());
    let (status, why, _) = told(&Backend::start(|_| Reply::close()), "");
    assert_eq!((status, why), (502, reason("backend_reset")));
    let (status, why, _) = told(
        &Backend::start(|_| Reply::raw("nonsense\r\n\r\n").then_close()),
        "",
    );
    assert_eq!((status, why), (502, reason("bad_response")));
    let (status, why, took) = told(&Backend::start(|_| Reply::hang()), "");
    assert_eq!((status, why), (504, reason("backend_timeout")));
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_refused_connection_everywhere_is_a_502() {
    let ports: [Port; 2] = std::array::from_fn(|_| Backend::refusing());
    let setup = Setup::new(&[])
        .backend(ports[0].address(), "")
        .backend(ports[1].address(), "");
    let response = setup.start().get("/");
    assert_eq!(
        (response.status, response.reason()),
        (502, Some("connect_failed"))
    );
    assert!(!response.text().is_empty(), "never an empty reply");
}

#[test]
fn the_route_timeout_bounds_all_attempts_together() {
    let backends = ["a", "b", "c"].map(|_| Backend::start(|_| Reply::hang()));
    let setup = Setup::new(&[&backends[0], &backends[1], &backends[2]])
        .upstream("timeouts: { read: 400ms }")
        .route("timeout: 600ms");
    let evenkeel = setup.start();
    let watch = Stopwatch::start();
    let response = evenkeel.get("/");
    assert_eq!(
        (response.status, response.reason()),
        (504, Some("request_timeout"))
    );
    assert!(
        watch.elapsed() < Duration::from_secs(6),
        "{:?}",
        watch.elapsed()
    );
}

#[test]
fn a_backend_that_drips_its_answer_is_cut_by_the_route_timeout() {
    let backend = Backend::start(|_| {
        let head = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        (0..200).fold(head, |reply, _| {
            reply.then_pause(Duration::from_millis(50)).then_send("x")
        })
    });
    let evenkeel = Setup::new(&[&backend]).route("timeout: 700ms").start();
    let mut client = evenkeel.connect();
    client.send_request("GET", "/", &[], b"");
    let watch = Stopwatch::start();
    assert!(client.try_response().is_err(), "the answer is cut short");
    assert!(
        watch.elapsed() < Duration::from_secs(6),
        "{:?}",
        watch.elapsed()
    );
}

#[test]
fn killing_one_of_three_under_load_loses_no_get() {
    let backends = ["a", "b", "c"].map(Backend::named);
    let evenkeel = Setup::new(&[&backends[0], &backends[1], &backends[2]]).start();
    Load::of_gets(&evenkeel, 4, |load| {
        load.more(100);
        backends[1].stop();
        load.more(300);
    });
    assert!(
        backends[1].count() > 10,
        "the one that died had its share before"
    );
}

#[test]
fn the_budget_bounds_retries_under_a_common_failure() {
    const REQUESTS: usize = 40;
    // 20 % of 40 in flight, and the few that are always allowed.
    const ALLOWED: usize = 8 + 3;
    let (first, second) = (Gate::new(), Gate::new());
    let arrived = Arc::new(AtomicUsize::new(0));
    let backends = ["a", "b", "c"].map(|_| {
        let (first, second, arrived) = (first.clone(), second.clone(), Arc::clone(&arrived));
        Backend::start(move |_| {
            let turn = arrived.fetch_add(1, Ordering::SeqCst);
            let gate = if turn < REQUESTS { &first } else { &second };
            Reply::status(503, &[], "sorry").after(gate)
        })
    });
    let evenkeel = Setup::new(&[&backends[0], &backends[1], &backends[2]])
        .route("retry: { attempts: 2, budget: 20%, backoff: 1ms }")
        .start();
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..REQUESTS {
            scope.spawn(|| {
                assert_eq!(evenkeel.get("/").status, 503);
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
        wait_until("all first attempts are in flight", || {
            arrived.load(Ordering::SeqCst) == REQUESTS
        });
        first.open();
        wait_until("what may not be repeated is answered", || {
            answered.load(Ordering::SeqCst) >= REQUESTS - ALLOWED
        });
        let retries = arrived.load(Ordering::SeqCst) - REQUESTS;
        assert!(
            (1..=ALLOWED).contains(&retries),
            "{retries} retries at once"
        );
        second.open();
    });
    assert!(evenkeel.metric("evenkeel_retry_budget_exhausted_total", &[]) >= 1.0);
}
