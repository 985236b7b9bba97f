//! Where the API asks for a token, so does the page.

use serde_json::json;

use super::page::Page;
use crate::support::{Backend, Setup};

const FIELD: &str = "//dialog[@open]//input[@type='password']";

#[test]
fn a_wrong_token_is_refused_and_the_right_one_is_kept_in_the_tab() {
    let backend = Backend::named("a");
    let evenkeel = Setup::new(&[&backend]).admin("token: open-sesame").start();
    let page = Page::open(evenkeel.admin());
    page.wait_for_feed("locked");
    page.wait_for_text("dialog[open]", "admin.token");
    assert!(!page.dialog().contains("wrong"), "none was said yet");
    let shown = page.text("#upstreams");
    assert!(!shown.contains(&backend.address().to_string()), "{shown}");

    page.browser.fill(FIELD, "open-barley");
    page.answer("Use this token");
    page.wait_for_text("dialog[open] .error", "wrong token");
    page.wait_for_text("dialog[open] .error", "unauthorized");

    page.browser.fill(FIELD, "open-sesame");
    page.answer("Use this token");
    page.wait_for_feed("live");
    page.wait_for_state(backend.address(), "up");
    assert_eq!(page.text("#banners"), "");

    let kept =
        "return [Object.values({ ...sessionStorage }), localStorage.length, document.cookie]";
    assert_eq!(page.run(kept, &[]), json!([["open-sesame"], 0, ""]));
    page.reload();
    page.wait_for_feed("live");
    assert_eq!(page.dialog(), "");

    // Changes carry it too.
    page.choose(backend.address(), "Maintenance…");
    page.answer("Put in maintenance");
    page.wait_for_state(backend.address(), "maintenance");
}
