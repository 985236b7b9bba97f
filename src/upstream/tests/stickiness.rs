//! Clients that come back to their backend.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{
    NOW, UNIX_NOW, ask, context, facts, foreseen, nth, primaries, refuse, settings, signer,
};
use crate::config::{self, Algorithm, SecureCookie, Sticky};
use crate::upstream::sticky::Signer;
use crate::upstream::{PickReason, Selection, Tried, Unavailable, Upstream};

const TTL: u64 = 3_600;

fn sticky(name: &str, secure: SecureCookie) -> config::Upstream {
    let mut settings = settings(Algorithm::RoundRobin);
    settings.name = name.into();
    settings.sticky = Some(Sticky {
        cookie: "EVENKEEL".into(),
        ttl: Duration::from_secs(TTL),
        secure,
    });
    settings
}

fn with(settings: &config::Upstream, signer: &Arc<Signer>, count: usize) -> Upstream {
    Upstream::build(
        settings,
        &primaries(&vec![1; count]),
        &context(&[], signer, 0),
        None,
    )
}

fn web() -> Upstream {
    with(&sticky("web", SecureCookie::Auto), &signer(), 3)
}

/// The cookie's value as the client would send it back.
fn value(set_cookie: &str) -> &str {
    let (_, rest) = set_cookie.split_once('=').unwrap();
    rest.split_once(';').unwrap().0
}

fn issue(upstream: &Upstream, selection: &Selection) -> String {
    let set_cookie = upstream
        .sticky_cookie(selection, None, UNIX_NOW, false)
        .unwrap();
    value(&set_cookie).to_owned()
}

fn select(upstream: &Upstream, cookie: &str, tried: &Tried) -> Result<Selection, Unavailable> {
    let facts = facts(1);
    let mut ask = ask(&facts, tried, 1);
    ask.sticky = Some(cookie);
    foreseen(upstream, &ask)
}

#[test]
fn a_client_comes_back() {
    let upstream = web();
    let first = nth(&upstream, 1).unwrap();
    let cookie = issue(&upstream, &first);
    for _ in 0..10 {
        let again = select(&upstream, &cookie, &Tried::new()).unwrap();
        assert_eq!(
            (again.member(), again.reason()),
            (first.member(), PickReason::Sticky)
        );
        assert_eq!(
            upstream.sticky_cookie(&again, Some(&cookie), UNIX_NOW, false),
            None
        );
    }
    assert!(upstream.sticky_holder(&cookie, UNIX_NOW));
}

#[test]
fn a_client_is_moved_when_its_backend_is_down_tried_or_full() {
    let mut settings = sticky("web", SecureCookie::Auto);
    settings.max_in_flight_per_backend = 1;
    let upstream = with(&settings, &signer(), 3);
    let first = nth(&upstream, 1).unwrap();
    let cookie = issue(&upstream, &first);
    let home = first.member();

    let moved = select(&upstream, &cookie, &Tried::new()).unwrap();
    assert_ne!(moved.member(), home);
    assert_eq!(moved.reason(), PickReason::Algorithm);
    let rebound = upstream.sticky_cookie(&moved, Some(&cookie), UNIX_NOW, false);
    assert!(rebound.is_some_and(|cookie| cookie.starts_with("EVENKEEL=v1.")));
    drop((first, moved));

    let mut tried = Tried::new();
    tried.insert(home);
    assert_ne!(select(&upstream, &cookie, &tried).unwrap().member(), home);

    refuse(&upstream, home, NOW);
    let moved = select(&upstream, &cookie, &Tried::new()).unwrap();
    assert_ne!(moved.member(), home);
}

#[test]
fn a_client_is_moved_when_its_backend_is_gone() {
    let before = web();
    let last = loop {
        let selection = nth(&before, 1).unwrap();
        if selection.member() == 2 {
            break selection;
        }
    };
    let cookie = issue(&before, &last);
    let after = with(&sticky("web", SecureCookie::Auto), &signer(), 2);
    assert!(!after.sticky_holder(&cookie, UNIX_NOW));
    let moved = select(&after, &cookie, &Tried::new()).unwrap();
    assert_eq!(moved.reason(), PickReason::Algorithm);
}

#[test]
fn only_a_genuine_cookie_counts() {
    let upstream = web();
    let cookie = issue(&upstream, &nth(&upstream, 1).unwrap());
    let other_upstream = with(&sticky("api", SecureCookie::Auto), &signer(), 3);
    let other_secret = Arc::new(Signer::new(None, [8; 32]));
    let other_secret = with(&sticky("web", SecureCookie::Auto), &other_secret, 3);
    assert!(!other_upstream.sticky_holder(&cookie, UNIX_NOW));
    assert!(!other_secret.sticky_holder(&cookie, UNIX_NOW));
    for index in 0..cookie.len() {
        let mut forged = cookie.clone().into_bytes();
        forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert!(!upstream.sticky_holder(&forged, UNIX_NOW), "{forged}");
    }
    for cut in 0..cookie.len() {
        assert!(!upstream.sticky_holder(&cookie[..cut], UNIX_NOW));
    }
    for junk in ["", ".", "v1...", "v1.a.b.c", "\u{fc}.\u{fc}.\u{fc}.\u{fc}"] {
        assert!(!upstream.sticky_holder(junk, UNIX_NOW));
    }
}

#[test]
fn a_cookie_expires_and_is_renewed_before() {
    let upstream = web();
    let first = nth(&upstream, 1).unwrap();
    let cookie = issue(&upstream, &first);
    let renewed = |after| upstream.sticky_cookie(&first, Some(&cookie), UNIX_NOW + after, false);
    assert_eq!(renewed(TTL / 2), None);
    assert!(renewed(TTL / 2 + 1).is_some());
    assert!(upstream.sticky_holder(&cookie, UNIX_NOW + TTL - 1));
    assert!(!upstream.sticky_holder(&cookie, UNIX_NOW + TTL));
    // From before a shorter ttl was configured, or from a clock that was ahead.
    assert!(
        upstream
            .sticky_cookie(&first, Some(&cookie), UNIX_NOW - 10, false)
            .is_some()
    );
}

#[test]
fn the_cookie_tells_nothing_and_is_well_guarded() {
    let upstream = web();
    let selection = nth(&upstream, 1).unwrap();
    let cookie = upstream
        .sticky_cookie(&selection, None, UNIX_NOW, false)
        .unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"));
    assert!(!cookie.contains("10.0.0") && !cookie.contains("5000"));
    assert_eq!(value(&cookie).split('.').count(), 4);

    let secure = |mode, request| {
        let upstream = with(&sticky("web", mode), &signer(), 1);
        let selection = nth(&upstream, 1).unwrap();
        let cookie = upstream.sticky_cookie(&selection, None, UNIX_NOW, request);
        cookie.unwrap().ends_with("; Secure")
    };
    assert!(secure(SecureCookie::Auto, true) && !secure(SecureCookie::Auto, false));
    assert!(secure(SecureCookie::Always, false) && !secure(SecureCookie::Never, true));
}

#[test]
fn instances_with_one_secret_understand_each_other() {
    let secret = config::Secret::new("shared".into());
    let instance = |random| {
        let signer = Arc::new(Signer::new(Some(&secret), random));
        with(&sticky("web", SecureCookie::Auto), &signer, 3)
    };
    let (here, there) = (instance([1; 32]), instance([2; 32]));
    let cookie = issue(&here, &nth(&here, 1).unwrap());
    assert!(there.sticky_holder(&cookie, UNIX_NOW));
}

#[test]
fn without_stickiness_there_is_no_cookie() {
    let upstream = super::fixture::upstream(Algorithm::Random, &[1]);
    let selection = nth(&upstream, 1).unwrap();
    assert_eq!(upstream.sticky_name(), None);
    assert_eq!(
        upstream.sticky_cookie(&selection, None, UNIX_NOW, true),
        None
    );
    assert!(!upstream.sticky_holder("v1.a.b.c", UNIX_NOW));
}
