//! What an operator does with the page, by mouse and by keyboard.

use serde_json::json;

use super::driver::key;
use super::page::{Page, row, shown};
use crate::support::deadline::wait_until;
use crate::support::faults::signed;
use crate::support::{Backend, Evenkeel, OpenLoop, Setup};

/// Three backends in turn, and the page.
struct Pool {
    backends: [Backend; 3],
    evenkeel: Evenkeel,
    page: Page,
}

impl Pool {
    fn new() -> Self {
        let backends = ["a", "b", "c"].map(|name| Backend::start(move |_| signed(name)));
        let evenkeel = Setup::new(&[&backends[0], &backends[1], &backends[2]])
            .upstream("algorithm: round_robin")
            .admin("")
            .start();
        let page = Page::live(evenkeel.admin());
        Self {
            backends,
            evenkeel,
            page,
        }
    }

    fn b(&self) -> String {
        self.backends[1].address().to_string()
    }

    /// What the operator wants of `b`, as the API has it.
    fn operator(&self) -> serde_json::Value {
        shown(self.evenkeel.admin(), self.b())["operator"].clone()
    }
}

#[test]
fn a_backend_is_drained_by_clicking_and_comes_back() {
    let pool = Pool::new();
    let (page, b) = (&pool.page, pool.b());
    let load = OpenLoop::start(pool.evenkeel.web(), 100, 3);
    load.more(30);
    page.choose(&b, "Drain…");
    let dialog = page.dialog();
    for part in [
        format!("Drain {b}?"),
        "gets no new clients".to_owned(),
        "in flight".to_owned(),
        "2 others".to_owned(),
    ] {
        assert!(dialog.contains(&part), "{part:?} in {dialog:?}");
    }
    assert_eq!(
        pool.operator()["state"],
        "active",
        "nothing happens before the answer"
    );
    page.answer("Drain");
    page.wait_for_no_dialog();
    assert_eq!(pool.operator()["state"], "draining");
    let drained = pool.backends[1].count();
    load.more(60);
    assert_eq!(pool.backends[1].count(), drained, "it gets nothing new");
    page.wait_for_state(&b, "draining");
    page.wait_for_text("#said", "drains");
    page.choose(&b, "Activate…");
    page.answer("Activate");
    page.wait_for_state(&b, "up");
    assert_eq!(pool.operator()["state"], "active");
    load.more(60);
    assert!(
        pool.backends[1].count() > drained,
        "it gets its share again"
    );
    assert_eq!(load.stop().failed().len(), 0);
}

#[test]
fn a_question_that_is_cancelled_changes_nothing() {
    let pool = Pool::new();
    for (item, leave) in [
        ("Drain…", "Cancel"),
        ("Maintenance…", "Cancel"),
        ("Change weight…", "Escape"),
    ] {
        pool.page.choose(pool.b(), item);
        assert!(pool.page.dialog().contains(&pool.b()));
        match leave {
            "Escape" => pool.page.browser.press(&[key::ESCAPE]),
            button => pool.page.answer(button),
        }
        pool.page.wait_for_no_dialog();
    }
    let operator = pool.operator();
    assert_eq!(
        operator,
        json!({ "state": "active", "deadline": null, "weight": null })
    );
}

#[test]
fn a_refusal_is_shown_with_its_code_and_its_hint() {
    let pool = Pool::new();
    pool.page.choose(pool.b(), "Drain…");
    pool.page.browser.fill("//dialog[@open]//input", "soon");
    pool.page.answer("Drain");
    for part in ["invalid_request", "`deadline`", "Hint:"] {
        pool.page.wait_for_text("dialog[open] .error", part);
    }
    assert_eq!(pool.operator()["state"], "active");
    pool.page.browser.fill("//dialog[@open]//input", "5m");
    pool.page.answer("Drain");
    pool.page.wait_for_no_dialog();
    let operator = pool.operator();
    assert_eq!(operator["state"], "draining");
    assert!(operator["deadline"].as_f64() > Some(200.0), "{operator}");
}

#[test]
fn a_weight_is_changed_and_given_back() {
    let pool = Pool::new();
    let (page, b) = (&pool.page, pool.b());
    page.choose(&b, "Change weight…");
    page.browser
        .fill("//dialog[@open]//input[@type='number']", "2");
    page.wait_for_text("dialog[open]", "50");
    page.answer("Change weight");
    page.wait_for_no_dialog();
    assert_eq!(pool.operator()["weight"], 2);
    page.wait_for_text(&format!("{} .c-share", row(&b)), "weight 2");
    page.choose(&b, "Change weight…");
    page.browser
        .click("//dialog[@open]//input[@type='checkbox']");
    page.answer("Change weight");
    page.wait_for_no_dialog();
    assert_eq!(pool.operator()["weight"], json!(null));
}

#[test]
fn the_algorithm_is_changed_and_given_back() {
    let pool = Pool::new();
    let page = &pool.page;
    let algorithm = "article .algorithm";
    page.wait_for_text(algorithm, "round robin");
    for (option, name) in [
        ("least connections", "least connections"),
        ("As configured (round robin)", "round robin"),
    ] {
        page.browser
            .click("//article//button[contains(., 'Algorithm')]");
        page.browser.click(&format!(
            "//dialog[@open]//option[normalize-space()='{option}']"
        ));
        page.wait_for_text("dialog[open] .says", name);
        page.answer("Change algorithm");
        page.wait_for_no_dialog();
        page.wait_for_text(algorithm, name);
    }
}

/// The accessible name of what has the focus.
const FOCUSED: &str = "const node = document.activeElement;
    return node.ariaLabel ?? node.innerText ?? node.tagName";

/// Whether it can be seen where the focus is.
const OUTLINED: &str = "const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2";

#[test]
fn everything_can_be_done_by_keyboard() {
    let pool = Pool::new();
    let (page, b) = (&pool.page, pool.b());
    let focused = || {
        page.run(FOCUSED, &[])
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let walk_to = |name: &str| {
        for _ in 0..40 {
            page.browser.press(&[key::TAB]);
            assert_eq!(
                page.run(OUTLINED, &[]),
                true,
                "the focus is not seen on {}",
                focused()
            );
            if focused() == name {
                return;
            }
        }
        panic!("no Tab leads to {name}");
    };
    let opener = format!("Actions for {b}");
    walk_to(&opener);
    page.browser.press(&[key::ENTER]);
    assert_eq!(focused(), "Drain…", "the menu has the focus");
    page.browser.press(&[key::DOWN]);
    assert_eq!(focused(), "Maintenance…");
    page.browser.press(&[key::END]);
    assert_eq!(focused(), "Change weight…");
    page.browser.press(&[key::DOWN]);
    assert_eq!(focused(), "Drain…", "the menu goes round");
    page.browser.press(&[key::ESCAPE]);
    wait_until("Escape leads back", || focused() == opener);

    page.browser.press(&[key::SPACE, key::HOME, key::ENTER]);
    wait_until("the dialog is open", || page.dialog().contains("Drain"));
    walk_to("Drain");
    page.browser.press(&[key::ENTER]);
    page.wait_for_no_dialog();
    assert_eq!(pool.operator()["state"], "draining");
    page.wait_for_state(&b, "draining");
    wait_until("the dialog leads back", || focused() == opener);
}

#[test]
fn events_are_narrowed_to_a_kind_and_tell_more_when_asked() {
    let pool = Pool::new();
    let (page, b) = (&pool.page, pool.b());
    page.choose(&b, "Maintenance…");
    page.answer("Put in maintenance");
    page.wait_for_text("#events", &b);
    page.browser.click("//fieldset//span[.='Backends']");
    let kinds = "return [...new Set([...document.querySelectorAll('#events li')].map((one) => one.dataset.kind))]";
    assert_eq!(page.run(kinds, &[]), json!(["backend"]));
    page.browser.click(&format!(
        "(//ol[@id='events']//summary[contains(., '{b}')])[1]"
    ));
    page.wait_for_text("#events dl", "operator");
    page.browser.click("//fieldset//span[.='Observed']");
    assert_eq!(page.text("#events"), "Nothing has happened.");
}
