//! `evenkeel explain --admin`: a running process tells what the file cannot.

use super::patch;
use crate::support::deadline::PATIENCE;
use crate::support::{Backend, Process, Setup};

#[test]
fn a_running_process_is_asked() {
    let backends = ["a", "b"].map(Backend::named);
    let evenkeel = Setup::new(&[&backends[0], &backends[1]])
        .upstream("algorithm: round_robin")
        .admin("")
        .start();
    let [a, b] = [backends[0].address(), backends[1].address()];
    patch(evenkeel.admin(), "main", a, r#"{"state": "maintenance"}"#);
    let address = evenkeel.admin().to_string();
    let asked = Process::evenkeel(&["explain", "--admin", &address, "-H", "X: y&z", "/a?b=c"]);
    let status = asked.exit_within(PATIENCE);
    let text = asked.stdout();
    assert!(status.success(), "{text}\n{}", asked.stderr());
    assert!(text.starts_with("GET /a?b=c\n  listener web\n"), "{text}");
    let out = format!("{a}  weight 1  maintenance (operator)  0 in flight  out: maintenance");
    assert!(text.contains(&out), "{text}");
    assert!(
        text.ends_with(&format!("  picks     {b} (algorithm)\n")),
        "{text}"
    );
}

#[test]
fn its_token_is_in_the_environment_or_an_option() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("token: secret").start();
    let address = evenkeel.admin().to_string();
    let ask = |env: &[(&str, &str)], more: &[&str]| {
        let command = [&["explain", "--admin", &address, "/"], more].concat();
        let asked = Process::evenkeel_with_env(&command, env);
        let code = asked.exit_within(PATIENCE).code();
        (code, asked.stderr())
    };
    assert_eq!(ask(&[("EVENKEEL_ADMIN_TOKEN", "secret")], &[]).0, Some(0));
    assert_eq!(ask(&[], &["--token", "secret"]).0, Some(0));
    let (code, said) = ask(&[("EVENKEEL_ADMIN_TOKEN", "other")], &[]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("error: 401 Unauthorized: "), "{said}");
}

#[test]
fn a_process_that_cannot_be_asked_is_another_exit_code() {
    let port = crate::support::ports::Port::reserve();
    let address = port.address().to_string();
    let asked = Process::evenkeel(&["explain", "--admin", &address, "/"]);
    assert_eq!(asked.exit_within(PATIENCE).code(), Some(2));
    let said = asked.stderr();
    assert!(said.starts_with(&format!("error: {address}: ")), "{said}");
}
