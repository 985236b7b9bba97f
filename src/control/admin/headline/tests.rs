use super::*;

fn backend(id: &str, state: State, reason: Reason, seconds: u64) -> Backend {
    Backend {
        id: id.to_owned(),
        state,
        reason,
        since: Duration::from_secs(seconds),
        backup: false,
    }
}

fn up(id: &str) -> Backend {
    backend(id, State::Up, Reason::Healthy, 1_000)
}

fn backup(mut backend: Backend) -> Backend {
    backend.backup = true;
    backend
}

fn pool(name: &str, backends: &[Backend]) -> Pool {
    Pool {
        name: name.to_owned(),
        panic_threshold: 0.5,
        backends: backends.to_vec(),
    }
}

fn headline(pools: &[Pool], is_draining: bool) -> String {
    super::headline(pools, is_draining, &|_, _| None)
}

#[track_caller]
fn says(pools: &[Pool], expected: &str) {
    assert_eq!(headline(pools, false), expected);
}

/// With this evidence about the backend `c` of `web`.
#[track_caller]
fn says_with(evidence: &str, pools: &[Pool], expected: &str) {
    let of_c = |upstream: &str, backend: &str| {
        ((upstream, backend) == ("web", "c")).then(|| evidence.to_owned())
    };
    assert_eq!(super::headline(pools, false, &of_c), expected);
}

fn ejected(id: &str) -> Backend {
    backend(id, State::Ejected, Reason::Latency, 12)
}

fn down(id: &str) -> Backend {
    backend(id, State::Down, Reason::ConnectFailed, 5)
}

#[test]
fn all_is_well() {
    says(&[], "No upstream is configured");
    says(&[pool("web", &[up("a")])], "The only backend serves web");
    let web = pool("web", &[up("a"), up("b"), up("c")]);
    says(std::slice::from_ref(&web), "All 3 backends serve web");
    let api = pool("api", &[up("d"), backup(up("e"))]);
    says(&[web, api], "All 5 backends of 2 upstreams serve");
}

#[test]
fn one_is_out() {
    says_with(
        "p50 4.1x its peers",
        &[pool("web", &[up("a"), up("b"), ejected("c")])],
        "2 of 3 backends serve web; c ejected 12 s ago: p50 4.1x its peers",
    );
    says(
        &[pool("web", &[up("a"), ejected("b")])],
        "1 of 2 backends serves web; b ejected 12 s ago: it is slower than its peers",
    );
    says(
        &[pool("web", &[up("a"), up("b"), down("c")])],
        "2 of 3 backends serve web; c down for 5 s: it takes no connections",
    );
    let overdue = backend("c", State::Expired, Reason::TtlExpired, 3);
    says(
        &[pool("web", &[up("a"), up("b"), overdue])],
        "2 of 3 backends serve web; c expired 3 s ago: its heartbeat is overdue",
    );
    let failing = backend("c", State::Down, Reason::CheckFailed, 600);
    says_with(
        "status 500",
        &[pool("web", &[up("a"), up("b"), failing])],
        "2 of 3 backends serve web; c down for 10 min: status 500",
    );
    let trial = backend("c", State::HalfOpen, Reason::ConsecutiveFailures, 1);
    says(
        &[pool("web", &[up("a"), up("b"), trial])],
        "2 of 3 backends serve web; c tried again for 1 s: requests to it failed in a row",
    );
    let new = backend("c", State::Down, Reason::NotChecked, 1);
    says(
        &[pool("web", &[up("a"), up("b"), new])],
        "2 of 3 backends serve web; c not checked yet",
    );
}

#[test]
fn the_latest_is_told_first_and_the_rest_is_counted() {
    let mut old = ejected("old");
    old.since = Duration::from_hours(72);
    let backends = [
        up("a"),
        up("b"),
        up("c"),
        up("d"),
        old,
        down("e"),
        backend("f", State::Maintenance, Reason::Operator, 1),
    ];
    says(
        &[pool("web", &backends)],
        "4 of 7 backends serve web; e down for 5 s: it takes no connections; \
         old ejected 3 days ago: it is slower than its peers; and 1 more",
    );
}

#[test]
fn the_operator_has_taken_them_out() {
    let drained = backend("b", State::Draining, Reason::Operator, 30);
    says(
        &[pool("web", &[up("a"), drained.clone()])],
        "1 of 2 backends serves web; b draining for 30 s, by the operator",
    );
    let resting = backend("c", State::Maintenance, Reason::Operator, 7_200);
    says(
        &[pool("web", &[up("a"), up("b"), resting.clone()])],
        "2 of 3 backends serve web; c in maintenance for 2 h, by the operator",
    );
    says(
        &[pool("web", &[drained, resting])],
        "None of 2 backends serves web; b draining for 30 s, by the operator; \
         c in maintenance for 2 h, by the operator",
    );
}

#[test]
fn all_serve_but_not_all_their_share() {
    let warming = backend("b", State::Warming, Reason::SlowStart, 4);
    says(
        &[pool("web", &[up("a"), warming])],
        "All 2 backends serve web; b warming up for 4 s",
    );
    let suspect = backend("c", State::Suspect, Reason::Latency, 2);
    says_with(
        "3 x",
        &[pool("web", &[up("a"), suspect])],
        "All 2 backends serve web; c gets less for 2 s: 3 x",
    );
}

#[test]
fn nobody_is_left() {
    says(&[pool("web", &[])], "Upstream web has no backends");
    says(
        &[pool("web", &[down("a")])],
        "The only backend does not serve web; a down for 5 s: it takes no connections",
    );
}

#[test]
fn too_few_are_left() {
    let some = [up("a"), down("b"), down("c")];
    says(
        &[pool("web", &some)],
        "Only 1 of 3 backends of web is healthy, below its panic threshold, so health is \
         ignored; b down for 5 s: it takes no connections; c down for 5 s: it takes no connections",
    );
    let mut never = pool("web", &some);
    never.panic_threshold = 0.0;
    says(
        &[never],
        "1 of 3 backends serves web; b down for 5 s: it takes no connections; \
         c down for 5 s: it takes no connections",
    );
    let excused = backend("b", State::Maintenance, Reason::Operator, 5);
    says(
        &[pool("web", &[up("a"), excused.clone(), excused])],
        "1 of 3 backends serves web; b in maintenance for 5 s, by the operator; \
         b in maintenance for 5 s, by the operator",
    );
}

#[test]
fn backups_stand_in() {
    says(
        &[pool("web", &[down("a"), backup(up("b"))])],
        "Only backups serve web (1 of 1); a down for 5 s: it takes no connections",
    );
    says(
        &[pool("web", &[up("a"), backup(down("b"))])],
        "The only backend serves web; backup b down for 5 s: it takes no connections",
    );
}

#[test]
fn the_worst_upstream_comes_first_and_the_fine_ones_are_counted() {
    let fine = pool("fine", &[up("a")]);
    let reduced = pool("reduced", &[up("a"), down("b")]);
    let unserved = pool("unserved", &[down("a")]);
    let empty = pool("empty", &[]);
    let resting = backend("b", State::Maintenance, Reason::Operator, 1);
    let resting = pool("resting", &[up("a"), resting]);
    says(
        &[fine.clone(), reduced.clone(), unserved.clone()],
        "The only backend does not serve unserved; a down for 5 s: it takes no connections; \
         1 of 2 backends serves reduced; b down for 5 s: it takes no connections; \
         the other upstream is fine",
    );
    let all = [fine.clone(), resting, reduced, unserved, empty, fine];
    let text = headline(&all, false);
    assert!(
        text.starts_with("Upstream empty has no backends; the only backend does not"),
        "{text}"
    );
    let end = "; 1 more upstream is impaired; 2 other upstreams are fine";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn a_process_that_drains_says_so_first() {
    let text = headline(&[pool("web", &[up("a"), up("b")])], true);
    assert_eq!(
        text,
        "This process drains and ends; all 2 backends serve web"
    );
}

#[test]
fn times_are_told_in_the_unit_they_fill() {
    for (seconds, told) in [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "119 min"),
        (7_200, "2 h"),
        (172_800, "2 days"),
    ] {
        assert_eq!(span(Duration::from_secs(seconds)), told);
    }
}
