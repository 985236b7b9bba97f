//! The dashboard as a person sees it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::driver::Browser;
use crate::support::Client;
use crate::support::deadline::wait_until;

/// An open dashboard.
pub(crate) struct Page {
    pub(crate) browser: Browser,
    admin: SocketAddr,
}

impl Page {
    /// Opens the page at this address; nothing is waited for.
    pub(crate) fn open(admin: SocketAddr) -> Self {
        let page = Self {
            browser: Browser::start(),
            admin,
        };
        page.reload();
        page
    }

    /// Opens the page and waits until it shows something.
    #[track_caller]
    pub(crate) fn live(admin: SocketAddr) -> Self {
        let page = Self::open(admin);
        page.wait_for_feed("live");
        page
    }

    pub(crate) fn reload(&self) {
        self.browser.open(&format!("http://{}/", self.admin));
    }

    /// Waits until the page calls what it shows so: `live`, `stale`, `locked`.
    #[track_caller]
    pub(crate) fn wait_for_feed(&self, feed: &str) {
        wait_until(&format!("the page is {feed}"), || {
            self.run("return document.body.dataset.feed", &[]) == feed
        });
    }

    #[track_caller]
    pub(crate) fn run(&self, body: &str, arguments: &[Value]) -> Value {
        self.browser.run(body, arguments)
    }

    /// The text of what a CSS selector finds first, as it is shown; empty when nothing is.
    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        let body = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = self.run(body, &[json!(css)]);
        text.as_str().expect("a text").to_owned()
    }

    /// Waits until what a CSS selector finds holds the text.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, css: &str, part: &str) {
        wait_until(&format!("{css} says {part:?}"), || {
            self.text(css).contains(part)
        });
    }

    /// The word for a backend's state; empty when it is not shown.
    #[track_caller]
    pub(crate) fn state_of(&self, backend: impl std::fmt::Display) -> String {
        self.text(&format!("{} .badge", row(backend)))
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, backend: impl std::fmt::Display, state: &str) {
        wait_until(&format!("{backend} is shown as {state}"), || {
            self.state_of(&backend) == state
        });
    }

    /// Opens a backend's menu and chooses from it.
    #[track_caller]
    pub(crate) fn choose(&self, backend: impl std::fmt::Display, item: &str) {
        self.browser
            .click(&format!("//tr[@data-backend='{backend}']//button"));
        self.browser.click(&format!(
            "//*[@role='menu']//button[normalize-space()='{item}']"
        ));
    }

    /// Presses a button of the open dialog.
    #[track_caller]
    pub(crate) fn answer(&self, button: &str) {
        self.browser.click(&format!(
            "//dialog[@open]//button[normalize-space()='{button}']"
        ));
    }

    /// The text of the open dialog; empty when there is none.
    #[track_caller]
    pub(crate) fn dialog(&self) -> String {
        self.text("dialog[open]")
    }

    /// Waits until no dialog is open.
    #[track_caller]
    pub(crate) fn wait_for_no_dialog(&self) {
        wait_until("the dialog is closed", || self.dialog().is_empty());
    }

    /// Another width of the screen, in CSS pixels.
    pub(crate) fn resize(&self, width: u32) {
        let screen =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.browser
            .chromium("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// What the reader prefers: `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.browser.chromium(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
    }
}

/// The CSS selector of a backend's row.
pub(crate) fn row(backend: impl std::fmt::Display) -> String {
    format!("tr[data-backend='{backend}']")
}

/// What the API says about a backend of the upstream `main`.
#[track_caller]
pub(crate) fn shown(admin: SocketAddr, backend: impl std::fmt::Display) -> Value {
    let host = admin.to_string();
    let path = "/api/v1/upstreams/main";
    let answer = Client::connect(admin).request("GET", path, &[("Host", &host)], b"");
    let upstream: Value = serde_json::from_str(&answer.text()).expect("the API speaks JSON");
    let backend = backend.to_string();
    let mut backends = upstream["backends"].as_array().into_iter().flatten();
    let found = backends.find(|one| one["id"] == backend);
    found
        .unwrap_or_else(|| panic!("{backend} is not in {upstream}"))
        .clone()
}
