//! What the page loads, and how it looks on any screen.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::page::Page;
use crate::support::{Backend, Client, Evenkeel, Reply, Setup};

fn pair() -> ([Backend; 2], Evenkeel) {
    let backends = ["a", "b"].map(Backend::named);
    let evenkeel = Setup::new(&[&backends[0], &backends[1]]).admin("").start();
    (backends, evenkeel)
}

/// Every address that the page asked for, as the browser's log of the network has them; what it
/// asks for its own pages is in there too.
fn asked(page: &Page, home: &str) -> Vec<String> {
    let log = page.browser.log("performance");
    let messages = log.iter().filter_map(|entry| {
        let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
        Some(message["message"].clone())
    });
    messages
        .filter(|message| message["method"] == "Network.requestWillBeSent")
        .map(|message| message["params"].clone())
        .filter(|sent| {
            sent["documentURL"]
                .as_str()
                .is_some_and(|url| url.starts_with(home))
        })
        .filter_map(|sent| Some(sent["request"]["url"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn it_loads_without_an_error_and_asks_nobody_else() {
    let (_backends, evenkeel) = pair();
    let page = Page::live(evenkeel.admin());
    page.wait_for_text("#verdict", "Healthy");
    let panel = "return document.querySelector('#scaling').checkVisibility()";
    assert_eq!(page.run(panel, &[]), false, "nothing is scaled");
    let console = page.browser.log("browser");
    assert!(console.is_empty(), "{console:#?}");
    let home = format!("http://{}/", evenkeel.admin());
    let asked = asked(&page, &home);
    assert!(
        asked.contains(&format!("{home}api/v1/status")),
        "{asked:#?}"
    );
    let strange = |url: &&String| !url.starts_with(&home) && !url.starts_with("data:");
    let strangers: Vec<&String> = asked.iter().filter(strange).collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
}

/// Fails if anything is wider than the screen.
#[track_caller]
pub(super) fn fits(page: &Page, what: &str, width: u32) {
    let overhang = "return document.documentElement.scrollWidth - innerWidth";
    let overhang = page.run(overhang, &[]).as_i64().expect("a number");
    assert!(
        overhang <= 0,
        "{what} at {width} px: {overhang} px too wide"
    );
}

#[test]
fn it_fits_a_phone() {
    let (backends, evenkeel) = pair();
    let page = Page::live(evenkeel.admin());
    for width in [360, 320] {
        page.resize(width);
        fits(&page, "the page", width);
        page.choose(backends[0].address(), "Drain…");
        fits(&page, "the dialog", width);
        let inside = "const at = document.querySelector('dialog[open]').getBoundingClientRect();
            return at.left >= 0 && at.right <= innerWidth";
        assert_eq!(
            page.run(inside, &[]),
            json!(true),
            "the dialog at {width} px"
        );
        page.answer("Cancel");
        page.wait_for_no_dialog();
    }
}

/// Texts whose contrast to what is behind them is below that of WCAG's level AA.
pub(super) const FAINT: &str = "
    const parse = (color) => {
        const numbers = color.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
        const unit = color.startsWith('color(') ? 255 : 1;
        return [...numbers.slice(0, 3).map((one) => one * unit), numbers[3] ?? 1];
    };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const behind = (node) => {
        if (!node) return [255, 255, 255, 1];
        const own = parse(getComputedStyle(node).backgroundColor);
        return own[3] === 1 ? own : over(own, behind(node.parentElement));
    };
    const luminance = (color) => color.slice(0, 3)
        .map((one) => one / 255)
        .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
        .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
    const faint = [];
    let seen = 0;
    for (const node of document.body.querySelectorAll('*')) {
        const hasText = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
        if (!hasText || !node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || node.closest('.unseen, .skip, svg')) continue;
        const back = behind(node);
        const [light, dark] = [back, over(parse(getComputedStyle(node).color), back)].map(luminance).sort((a, b) => b - a);
        const ratio = (light + 0.05) / (dark + 0.05);
        seen += 1;
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${node.tagName}.${node.className}: ${node.textContent}`);
    }
    return { faint, seen, page: luminance(behind(document.body)) };";

#[test]
fn its_texts_stand_out_by_day_and_by_night() {
    let (backends, evenkeel) = pair();
    let page = Page::live(evenkeel.admin());
    page.choose(backends[0].address(), "Maintenance…");
    page.answer("Put in maintenance");
    page.wait_for_state(backends[0].address(), "maintenance");
    for (scheme, is_light) in [("light", true), ("dark", false)] {
        page.prefer(scheme);
        let found = page.run(FAINT, &[]);
        assert!(found["seen"].as_u64() > Some(20), "{found}");
        assert_eq!(found["faint"], json!([]), "{scheme}");
        let luminance = found["page"].as_f64().expect("a number");
        assert_eq!(luminance > 0.5, is_light, "{scheme}: {luminance}");
    }
}

/// An admin API that has markup wherever it has a text, before the page of a real one. The page's
/// policy, which would forbid what is tried, is left out.
fn hostile(admin: SocketAddr) -> Backend {
    const MARKUP: &str = "<img src=x onerror='window.hit = true'>";
    let text = json!(MARKUP);
    let backend = json!({
        "id": MARKUP, "address": text, "state": text, "reason": text, "detail": text, "since": 1, "until": 2,
        "weight": 1, "in_flight": 0, "zone": text, "source": text, "operator": { "state": text },
        "last_check": { "at": 1, "ok": false, "detail": text },
    });
    let upstreams = json!({ "upstreams": [{
        "name": MARKUP, "algorithm": text, "algorithm_configured": text, "algorithms": [text], "backends": [backend],
    }] });
    let reload = json!({ "at": 1, "trigger": text, "ok": false, "errors": [text] });
    let config = json!({ "hash": text, "path": text, "last_reload": reload, "needs_upgrade": [{ "what": text, "path": text, "detail": text }] });
    let status = json!({ "version": text, "started": 1, "uptime": 1, "config": config, "traffic": {}, "health": text });
    let recommendation =
        json!({ "source": text, "utilisation": null, "replicas": 2, "note": text });
    let decision = json!({
        "size": 2, "desired": 3, "direction": text, "reason": text, "needed": 1.5, "recommendations": [recommendation],
    });
    let pool = json!({ "size": 1, "ready": 1, "warming": 0, "failing": 0 });
    let autoscaler = json!({ "targets": [{
        "upstream": MARKUP, "min": 1, "max": 4, "dry_run": false, "paused": false, "at": 1, "interval": 1e9,
        "horizon": null, "pool": pool, "decision": decision, "held": text, "forecast": null, "forecast_error": null,
        "forecast_counts": false, "leaving": [text], "recent": [{ "at": 1, "pool": pool, "decision": decision, "held": text }],
    }] });
    let event = |id: u64, kind: &str| {
        let event = json!({
            "id": id, "at": 1, "kind": kind, "upstream": text, "backend": text, "from": text, "to": text,
            "reason": text, "detail": text, "source": text, "what": text, "errors": [text], "trigger": text,
        });
        format!("id: {id}\ndata: {event}\n\n")
    };
    let kinds = [
        "backend",
        "observed",
        "algorithm",
        "reload",
        "source",
        "operator",
        MARKUP,
    ];
    let events: String = (1..).zip(kinds).map(|(id, kind)| event(id, kind)).collect();
    Backend::start(move |request| {
        let path = request.target().to_owned();
        let told = |kind: &str, body: &str| Reply::status(200, &[("Content-Type", kind)], body);
        match path.split('?').next() {
            Some("/api/v1/status") => told("application/json", &status.to_string()),
            Some("/api/v1/upstreams") => told("application/json", &upstreams.to_string()),
            Some("/api/v1/autoscaler") => told("application/json", &autoscaler.to_string()),
            Some("/api/v1/events") => told("text/event-stream", &events).then_close(),
            _ => {
                let file = Client::connect(admin).get(&path);
                told(
                    file.header("content-type").unwrap_or_default(),
                    &file.text(),
                )
            }
        }
    })
}

#[test]
fn markup_in_a_name_is_shown_as_text() {
    let (_backends, evenkeel) = pair();
    let hostile = hostile(evenkeel.admin());
    let page = Page::live(hostile.address());
    page.wait_for_text("#events", "onerror");
    // Everything that has a name to show: a menu, a dialog, an event's details.
    page.browser.click("//article//tbody//button");
    page.browser.click("//*[@role='menu']//button[1]");
    assert!(page.dialog().contains("<img src=x"), "{}", page.dialog());
    page.answer("Cancel");
    page.browser.click("(//ol[@id='events']//summary)[1]");
    page.wait_for_text("#events dl", "<img src=x");
    page.browser.click("//*[@id='scaling']//summary");
    for part in [
        "#health",
        "article h2",
        "article th .id",
        "article .reason",
        "article .tags",
        "#banners",
        "#scaling h3",
        "#scaling .sentence",
        "#scaling .held",
        "#scaling .ask-name",
        "#scaling .ask-note",
        "#scaling .leaving",
        "#scaling .records",
    ] {
        let text = page.text(part);
        assert!(
            text.contains("<img src=x onerror='window.hit = true'>"),
            "{part}: {text}"
        );
    }
    for alarm in ["The last reload was refused", "only after an upgrade"] {
        assert!(page.text("#banners").contains(alarm), "{alarm}");
    }
    let made = "return [document.images.length, window.hit ?? null]";
    assert_eq!(page.run(made, &[]), json!([0, null]));
}
