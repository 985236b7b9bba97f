//! A browser without a screen, driven as the `WebDriver` standard says.
//!
//! As much of the protocol as the tests need, over the harness's own client: one POST for each
//! command. What only Chromium can do (another screen, its log) goes the same way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::deadline::{eventually, wait_until};
use crate::support::evenkeel::private_folder;
use crate::support::ports::{Port, is_listening};
use crate::support::{Client, Process};

const MISSING: &str = "the dashboard's tests need chromium and chromedriver: run `make test`, or `.ci/install test` once \
     (on Debian: apt-get install chromium chromium-driver)";

/// A browser that starts on a busy machine needs its time for the first page.
const BUSY: Duration = Duration::from_secs(90);

/// The key of an element's id, as the standard has it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that are no letters, as the standard names them.
pub(crate) mod key {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const DOWN: &str = "\u{e015}";
    pub(crate) const END: &str = "\u{e010}";
    pub(crate) const HOME: &str = "\u{e011}";
    pub(crate) const SPACE: &str = " ";
}

/// A browser with one page; it and its profile go with the test.
pub(crate) struct Browser {
    session: String,
    driver: Process,
    port: Port,
    profile: PathBuf,
}

impl Browser {
    /// A fresh one, with an empty profile.
    pub(crate) fn start() -> Self {
        let (chromium, chromedriver) = (find("chromium"), find("chromedriver"));
        let port = Port::reserve();
        let mut command = Command::new(chromedriver);
        command.arg(format!("--port={}", port.address().port()));
        let driver = Process::of(command);
        wait_until("chromedriver listens", || {
            assert!(!driver.has_exited(), "chromedriver ended");
            is_listening(port.address())
        });
        let mut browser = Self {
            session: String::new(),
            driver,
            port,
            profile: private_folder(),
        };
        let session = browser.send("POST", "", &browser.wishes(&chromium));
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("/{id}");
        browser
    }

    fn wishes(&self, chromium: &Path) -> Value {
        let profile = format!("--user-data-dir={}", self.profile.display());
        // With a pipe the browser ends when its driver does, whatever ends that.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-pipe",
            "--window-size=1440,900",
            &profile,
        ];
        json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } })
    }

    /// Goes to an address and waits until the page is loaded.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// The value of a function's body, run in the page.
    #[track_caller]
    pub(crate) fn run(&self, body: &str, arguments: &[Value]) -> Value {
        self.command(
            "execute/sync",
            &json!({ "script": body, "args": arguments }),
        )
    }

    /// Clicks on what an `XPath` finds, as a person would: it must be there, and nothing before it.
    #[track_caller]
    pub(crate) fn click(&self, xpath: &str) {
        let element = self.element(xpath);
        self.command(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into a field.
    #[track_caller]
    pub(crate) fn fill(&self, xpath: &str, text: &str) {
        let element = self.element(xpath);
        self.command(&format!("element/{element}/clear"), &json!({}));
        self.command(
            &format!("element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    /// Presses keys, one after the other, wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, keys: &[&str]) {
        let strokes: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|way| json!({ "type": way, "value": key })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.command("actions", &json!({ "actions": [keyboard] }));
    }

    /// What the page and the browser wrote: `browser` is the console, `performance` the network too.
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.command("se/log", &json!({ "type": kind }));
        entries.as_array().cloned().unwrap_or_default()
    }

    /// A command of Chromium's own.
    #[track_caller]
    pub(crate) fn chromium(&self, command: &str, parameters: &Value) -> Value {
        self.command(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    #[track_caller]
    fn element(&self, xpath: &str) -> String {
        let wanted = json!({ "using": "xpath", "value": xpath });
        eventually(&format!("there is {xpath}"), || {
            let found = self.command("elements", &wanted);
            found[0][ELEMENT].as_str().map(str::to_owned)
        })
    }

    #[track_caller]
    fn command(&self, path: &str, body: &Value) -> Value {
        self.send("POST", &format!("/{path}"), body)
    }

    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let target = format!("/session{}{path}", self.session);
        let host = self.port.address().to_string();
        let headers = [
            ("Host", host.as_str()),
            ("Content-Type", "application/json"),
        ];
        let mut client = Client::connect(self.port.address()).patient(BUSY);
        let answer = client.request(method, &target, &headers, body.to_string().as_bytes());
        let mut said: Value = serde_json::from_str(&answer.text()).expect("the driver speaks JSON");
        let value = said["value"].take();
        assert_eq!(answer.status, 200, "{target} {body}: {}", value["message"]);
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !self.driver.has_exited() {
            let target = format!("/session{}", self.session);
            let asked = Client::try_connect(self.port.address());
            let _ = asked.and_then(|mut client| {
                client.try_send(format!(
                    "DELETE {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                ))?;
                client.try_response()
            });
        }
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// The program of this name; without it, a test fails with what to do.
fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let mut found = found.filter(|program| program.is_file());
    found
        .next()
        .unwrap_or_else(|| panic!("there is no {name}; {MISSING}"))
}
