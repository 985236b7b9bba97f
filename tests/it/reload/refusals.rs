//! A wrong file: refused whole, told whole, and without a consequence.

use crate::support::deadline::PATIENCE;
use crate::support::{Backend, Evenkeel, Process, Setup};

fn success(evenkeel: &Evenkeel) -> f64 {
    evenkeel.metric("evenkeel_config_last_reload_success", &[])
}

fn timestamp(evenkeel: &Evenkeel) -> f64 {
    evenkeel.metric("evenkeel_config_last_reload_timestamp_seconds", &[])
}

#[test]
fn a_bad_file_leaves_everything_as_it_is_and_says_all_that_is_wrong() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let evenkeel = Setup::new(&[&a]).start();
    let started = timestamp(&evenkeel);
    assert!(started > 0.0 && success(&evenkeel) > 0.0);
    let bad = Setup::new(&[&b])
        .upstream("algorithm: fastest")
        .upstream("slow_start: soon")
        .route("timeuot: 1s")
        .yaml();
    assert!(!evenkeel.try_reload(&bad));
    assert!(success(&evenkeel) < 1.0);
    assert!((timestamp(&evenkeel) - started).abs() < 1e-9);
    assert_eq!(evenkeel.get("/").text(), "a");
    let file = evenkeel.config_file().to_str().expect("a path in UTF-8");
    let check = Process::evenkeel(&["check", file]);
    assert_eq!(check.exit_within(PATIENCE).code(), Some(1));
    let (said, told) = (check.stderr(), evenkeel.process().stderr());
    assert_eq!(said.lines().count(), 3, "{said}");
    for line in said.lines() {
        assert_eq!(told.matches(line).count(), 1, "{line}\n{told}");
    }
    evenkeel.reload(&Setup::new(&[&b]).yaml());
    assert!(success(&evenkeel) > 0.0 && timestamp(&evenkeel) >= started);
    assert_eq!(evenkeel.get("/").text(), "b");
    assert_eq!(evenkeel.reloads(), (1.0, 1.0));
}

#[test]
fn a_certificate_that_is_missing_refuses_the_reload() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let evenkeel = Setup::new(&[&a]).start();
    let tls = "tls: { enabled: true, ca: \"/nowhere/authorities.pem\" }";
    assert!(!evenkeel.try_reload(&Setup::new(&[&b]).upstream(tls).yaml()));
    let told = evenkeel.process().stderr();
    assert!(told.contains("/nowhere/authorities.pem"), "{told}");
    assert_eq!(evenkeel.get("/").text(), "a");
}

#[test]
fn a_name_that_cannot_be_looked_up_refuses_the_reload() {
    let a = Backend::named("a");
    let evenkeel = Setup::new(&[&a]).start();
    let address = a.address().to_string();
    let yaml = Setup::new(&[&a])
        .yaml()
        .replace(&address, "nobody.invalid:80");
    assert!(!evenkeel.try_reload(&yaml));
    let told = evenkeel.process().stderr();
    assert!(told.contains("nobody.invalid:80"), "{told}");
    assert_eq!(evenkeel.get("/").text(), "a");
}

#[test]
fn a_file_that_is_gone_is_told_and_changes_nothing() {
    let a = Backend::named("a");
    let evenkeel = Setup::new(&[&a]).start();
    std::fs::remove_file(evenkeel.config_file()).expect("it was there");
    crate::support::deadline::wait_until("it is noticed", || evenkeel.reloads().1 > 0.0);
    assert!(evenkeel.process().stderr().contains("cannot be read"));
    assert_eq!(evenkeel.get("/").text(), "a");
}
