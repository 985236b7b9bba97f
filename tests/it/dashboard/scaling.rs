//! The autoscaler on the page: what it shows of it, and pausing it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::driver::key;
use super::looks::{FAINT, fits};
use super::page::Page;
use crate::support::deadline::wait_until;
use crate::support::ports::Port;
use crate::support::{Backend, Client, Engine, Evenkeel, Prometheus, Said};

const MOST: u8 = 4;
const TOKEN: &str = "open-sesame";
const PANEL: &str = "#scaling";

/// An upstream that is scaled by what a Prometheus says, on an Engine of containers.
struct Scaled {
    engine: Engine,
    _prometheus: Prometheus,
    _backends: Vec<Backend>,
    hundredths: Arc<AtomicU32>,
    evenkeel: Evenkeel,
}

impl Scaled {
    /// It has one backend, which is half full.
    fn start(admin: &str) -> Self {
        let port = Port::reserve().address().port();
        let at = |number| SocketAddr::from((Ipv4Addr::new(127, 78, 0, number), port));
        let backends = (1..=2 * MOST).map(|number| Backend::named_at(at(number), "one"));
        let backends = backends.collect();
        let engine = Engine::on_tcp();
        let labels = [
            ("evenkeel.upstream", "main"),
            ("evenkeel.port", &port.to_string()),
        ];
        engine.with(|all| all.up("app", "web", 1, &labels));
        let hundredths = Arc::new(AtomicU32::new(50));
        let told = Arc::clone(&hundredths);
        // One sample for each backend that there may be.
        let prometheus = Prometheus::start(move |_| {
            let share = f64::from(told.load(Ordering::SeqCst)) / 100.0 / f64::from(MOST);
            Said::vector(&[share.to_string().as_str(); MOST as usize])
        });
        let (endpoint, url) = (engine.endpoint(), prometheus.url());
        let evenkeel = Evenkeel::start(&format!(
            "server: {{ workers: 2 }}\n\
             listeners: [{{ name: web, address: \"@web@\" }}]\n\
             routes: [{{ name: all, upstream: main }}]\n\
             upstreams:\n  main: {{ discovery: {{ type: docker, endpoint: \"{endpoint}\", max_backends: 8 }}, health: {{ active: {{ type: tcp }} }} }}\n\
             metrics: {{ address: \"@metrics@\" }}\n\
             admin: {{ address: \"@admin@\"{admin} }}\n\
             autoscaler:\n  interval: 1s\n  dry_run: false\n  max_actions_per_hour: 600\n  \
               prometheus: {{ url: \"{url}\", timeout: 900ms }}\n  \
               targets:\n  - upstream: main\n    max: {MOST}\n    \
                 signals: [{{ type: query, name: jobs_open, query: jobs, full: 1 }}]\n    \
                 up: {{ period: 1s }}\n    down: {{ window: 1h }}\n    cooldown: 0s\n    provisioning: 2s\n    \
                 driver: {{ type: docker, endpoint: \"{endpoint}\", project: app, service: web }}\n"
        ));
        Self {
            engine,
            _prometheus: prometheus,
            _backends: backends,
            hundredths,
            evenkeel,
        }
    }

    /// From now on so many hundredths of a full backend are needed.
    fn demand(&self, hundredths: u32) {
        self.hundredths.store(hundredths, Ordering::SeqCst);
    }

    fn containers(&self) -> usize {
        self.engine.with(|all| all.all().len())
    }

    /// What the API says about the one target; null before it was looked at.
    fn told(&self) -> Value {
        let admin = self.evenkeel.admin();
        let (host, token) = (admin.to_string(), format!("Bearer {TOKEN}"));
        let headers = [("Host", host.as_str()), ("Authorization", token.as_str())];
        let answer =
            Client::connect(admin).request("GET", "/api/v1/autoscaler?recent=0", &headers, b"");
        let said: Value = serde_json::from_str(&answer.text()).expect("JSON");
        said["targets"].get(0).cloned().unwrap_or_default()
    }
}

fn says(page: &Page, part: &str) {
    page.wait_for_text(PANEL, part);
}

/// How many commands the path has that a CSS selector finds.
fn drawn(page: &Page, css: &str) -> usize {
    let body = "return document.querySelector(arguments[0]).getAttribute('d') ?? ''";
    let path = page.run(body, &[json!(css)]);
    let path = path.as_str().expect("a text");
    path.chars().filter(char::is_ascii_alphabetic).count()
}

#[test]
fn the_autoscaler_says_what_it_does_and_why_and_draws_it() {
    let scaled = Scaled::start("");
    let page = Page::live(scaled.evenkeel.admin());
    says(&page, "Stays at 1 backend: the load is within its band.");
    assert_eq!(page.text("#scaling .badge"), "Steady");
    scaled.demand(300);
    says(&page, "Stays at 4 backends");
    says(&page, "more are needed, and there may be no more");
    says(&page, "4 backends · 4 serve · bounds 1 to 4");
    assert_eq!(page.text("#scaling .badge"), "At max");
    for part in ["jobs open", "asks for 6", "75", "Forecast: "] {
        says(&page, part);
    }
    page.browser.click("//*[@id='scaling']//summary");
    for part in ["1 → 4 backends", "jobs_open 300", "1 served"] {
        page.wait_for_text("#scaling .records", part);
    }

    for line in ["size", "desired", "needed", "forecast"] {
        wait_until(&format!("the line of {line} is drawn"), || {
            drawn(&page, &format!("#scaling path.{line}")) > 4
        });
    }
    assert!(drawn(&page, "#scaling path.band") > 4);
    let legend = page.text("#scaling .legend");
    for part in ["Size", "Desired", "Needed", "Forecast", "1 to 4"] {
        assert!(legend.contains(part), "{part} in {legend}");
    }
    let read = "return document.querySelector('#scaling .plot').ariaValueText";
    let value = || page.run(read, &[]).as_str().expect("a text").to_owned();
    assert!(value().starts_with("now: size 4, desired 4"), "{}", value());
    page.run("document.querySelector('#scaling .plot').focus()", &[]);
    page.browser.press(&[key::HOME]);
    assert!(value().contains("unknown"), "nothing yet: {}", value());
    page.browser.press(&[key::ESCAPE]);
    assert!(value().starts_with("now: "), "{}", value());

    for scheme in ["light", "dark"] {
        page.prefer(scheme);
        assert_eq!(page.run(FAINT, &[])["faint"], json!([]), "{scheme}");
    }
    for width in [360, 320] {
        page.resize(width);
        fits(&page, "the panel", width);
    }
}

#[test]
fn the_autoscaler_is_paused_and_resumed_behind_a_question() {
    let scaled = Scaled::start(&format!(", token: {TOKEN}"));
    let page = Page::open(scaled.evenkeel.admin());
    page.browser
        .fill("//dialog[@open]//input[@type='password']", TOKEN);
    page.answer("Use this token");
    says(&page, "Stays at 1 backend");
    let press = |button: &str| {
        page.browser.click(&format!(
            "//*[@id='scaling']//button[normalize-space()='{button}']"
        ));
    };
    press("Pause…");
    let dialog = page.dialog();
    for part in ["Pause the scaling of main?", "stays at 1 backend"] {
        assert!(dialog.contains(part), "{part:?} in {dialog:?}");
    }
    page.answer("Cancel");
    page.wait_for_no_dialog();
    assert_eq!(scaled.told()["paused"], false, "nothing was answered");
    press("Pause…");
    page.answer("Pause");
    page.wait_for_no_dialog();
    assert_eq!(scaled.told()["paused"], true);
    page.wait_for_text("#scaling .badge", "Paused");
    page.wait_for_text("#events", "autoscaler paused");

    scaled.demand(200);
    says(&page, "Would grow from 1 to 4 backends");
    says(&page, "An operator has paused it");
    let at = scaled.told()["at"].as_f64();
    wait_until("it has looked again", || scaled.told()["at"].as_f64() > at);
    assert_eq!(scaled.containers(), 1);

    press("Resume…");
    page.wait_for_text("dialog[open]", "from 1 to 4 backends");
    page.answer("Resume");
    page.wait_for_no_dialog();
    wait_until("it grows", || scaled.containers() == 4);
    says(&page, "Stays at 4 backends");
    assert_eq!(scaled.told()["paused"], false);
}
