//! The page goes along with what happens.

use std::time::Duration;

use serde_json::json;

use super::page::{Page, row};
use crate::support::deadline::{PATIENCE, Stopwatch, wait_until, within};
use crate::support::{Backend, Demo, Evenkeel, OpenLoop, Setup};

/// What the page promises, from the kill of a backend to its word on the screen.
const NOTICED: Duration = Duration::from_secs(2);

fn trio() -> ([Demo; 3], Evenkeel) {
    let demos = ["a", "b", "c"].map(Demo::start);
    let setup = demos.iter().fold(Setup::new(&[]), |setup, demo| {
        setup.backend(demo.address(), "")
    });
    let health = "health: { active: { path: /health, interval: 200ms, rise: 2 }, initial: up }";
    let evenkeel = setup.upstream(health).admin("").start();
    (demos, evenkeel)
}

#[test]
fn a_killed_backend_shows_within_two_seconds_and_again_when_it_is_back() {
    let ([mut a, b, _c], evenkeel) = trio();
    let page = Page::live(evenkeel.admin());
    page.wait_for_text("#verdict", "Healthy");
    page.wait_for_text("article header", "3 of 3 backends serve");
    let load = OpenLoop::start(evenkeel.web(), 100, 3);
    load.more(20);
    let killed = Stopwatch::start();
    a.kill();
    within(PATIENCE, || {
        (page.state_of(a.address()) == "down").then_some(())
    })
    .expect("the page says that it is down");
    let noticed = killed.elapsed();
    assert!(noticed < NOTICED, "it took {noticed:?}");
    page.wait_for_text("#verdict", "Degraded");
    page.wait_for_text("article header", "2 of 3 backends serve");
    page.wait_for_text(&format!("{} .reason", row(a.address())), "ago");
    page.wait_for_text("#events li", &a.address().to_string());
    assert_eq!(page.state_of(b.address()), "up");
    // What a screen reader says, once, is the sentence on the screen.
    page.wait_for_text("#announce", "Degraded");
    a.restart();
    page.wait_for_state(a.address(), "up");
    page.wait_for_text("#verdict", "Healthy");
    load.stop();
}

#[test]
fn the_traffic_is_shown_by_backend() {
    let ([a, _b, _c], evenkeel) = trio();
    let page = Page::live(evenkeel.admin());
    let load = OpenLoop::start(evenkeel.web(), 100, 3);
    page.wait_for_text("#tiles .tile:first-child dd", "/s");
    page.wait_for_text(&format!("{} .c-rate", row(a.address())), "/s");
    page.wait_for_text(&format!("{} .c-quantiles", row(a.address())), "ms");
    page.wait_for_text(&format!("{} .c-share", row(a.address())), "33");
    page.wait_for_text(&format!("{} .c-check", row(a.address())), "passed");
    let drawn = "return document.querySelector(arguments[0]).getAttribute('d').length";
    let line = format!("{} .spark-line", row(a.address()));
    wait_until("the line is drawn", || {
        page.run(drawn, &[json!(line)]).as_u64() > Some(5)
    });
    load.stop();
}

#[test]
fn a_refused_configuration_is_an_alarm_until_a_good_one_comes() {
    let backend = Backend::named("a");
    let setup = Setup::new(&[&backend]).admin("");
    let evenkeel = setup.start();
    let page = Page::live(evenkeel.admin());
    page.wait_for_text("#facts", "none since the start");
    let good = setup.yaml();
    let bad = good.replace("upstream: main", "upstream: mian");
    assert!(!evenkeel.try_reload(&bad), "there is no `mian`");
    page.wait_for_text("#banners", "The last reload was refused");
    page.wait_for_text("#banners li", "mian");
    page.wait_for_text("#events", "Reload refused");
    page.wait_for_text("#facts", "refused");
    assert_eq!(page.state_of(backend.address()), "up");
    let address = format!("address: \"{}\"", backend.address());
    let better = good.replace(&address, &format!("{address}, weight: 3"));
    evenkeel.reload(&better.replace("workers: 2", "workers: 1"));
    page.wait_for_text(&format!("{} .c-share", row(backend.address())), "weight 3");
    page.wait_for_text("#events li:first-child", "Reloaded");
    page.wait_for_text("#banners", "only after an upgrade");
    page.wait_for_text("#banners li", "workers");
    assert!(!page.text("#banners").contains("refused"));
    evenkeel.reload(&better);
    wait_until("all alarms are over", || page.text("#banners").is_empty());
}

#[test]
fn what_it_shows_is_called_stale_while_nobody_answers_and_goes_on_after_a_restart() {
    let (demos, mut evenkeel) = trio();
    let page = Page::live(evenkeel.admin());
    let stop = || {
        page.choose(demos[1].address(), "Maintenance…");
        page.answer("Put in maintenance");
        page.wait_for_state(demos[1].address(), "maintenance");
        page.wait_for_text("#events li:first-child", "aintenance");
    };
    stop();
    evenkeel.kill();
    page.wait_for_feed("stale");
    page.wait_for_text("#banners", "No answer for");
    let grey = "return Number(getComputedStyle(document.querySelector('#upstreams')).opacity) < 1";
    let faded = within(PATIENCE, || (page.run(grey, &[]) == true).then_some(()));
    faded.expect("what is old is greyed out");
    assert_eq!(
        page.state_of(demos[0].address()),
        "up",
        "it stays on the screen"
    );
    evenkeel.restart();
    page.wait_for_feed("live");
    page.wait_for_text("#events", "Another process answers");
    assert_eq!(page.text("#banners"), "");
    // Events of the new process come too, although their numbers begin anew.
    page.wait_for_state(demos[1].address(), "up");
    stop();
}

#[test]
fn nobody_is_asked_while_nobody_looks() {
    let (_demos, evenkeel) = trio();
    let page = Page::live(evenkeel.admin());
    // As a browser does when another tab is chosen.
    let toggle = "window.isAway = arguments[0];
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.isAway });
        document.dispatchEvent(new Event('visibilitychange'));
        performance.clearResourceTimings();";
    let calls = "return performance.getEntriesByType('resource').length";
    page.run(toggle, &[json!(true)]);
    let looks = || page.run(calls, &[]).as_u64().expect("a number");
    // One that was under way may still end.
    let more = within(Duration::from_millis(2_500), || (looks() > 3).then_some(()));
    assert!(more.is_none(), "{} calls while hidden", looks());
    page.run(toggle, &[json!(false)]);
    within(PATIENCE, || (looks() > 2).then_some(())).expect("it goes on when it is seen");
}
