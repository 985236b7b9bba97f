//! The autoscaler in an outline, each upstream that it scales a thing of its own.

use super::item::Item;
use super::upstream::shown;
use crate::config::{
    Autoscaler, Driver, Endpoint, EngineTls, Forecast, ForecastMode, Prometheus, ScaleTarget,
    Secret, Signal, SignalKind, Steps,
};
use crate::control::reload::value::{Keys, count, duration, option, percent, share};

/// What all targets share, and then each of them.
pub(super) fn autoscaler(autoscaler: &Autoscaler) -> Vec<Item> {
    let Autoscaler {
        interval,
        dry_run,
        max_actions_per_hour,
        prometheus,
        targets,
    } = autoscaler;
    let mut keys = Keys::default();
    keys.say("interval", duration(*interval));
    keys.say("dry_run", dry_run);
    keys.say("max_actions_per_hour", max_actions_per_hour);
    match prometheus {
        Some(prometheus) => asking(prometheus, &mut keys),
        None => keys.say("prometheus", "null"),
    }
    let dry_run = if *dry_run { ", dry run" } else { "" };
    let mut items = vec![Item {
        kind: "autoscaler",
        path: "autoscaler".to_owned(),
        summary: format!("{}{dry_run}", count(targets.len(), "target")),
        keys,
    }];
    items.extend(targets.iter().map(target));
    items
}

fn asking(prometheus: &Prometheus, keys: &mut Keys) {
    let Prometheus {
        url,
        timeout,
        token,
    } = prometheus;
    keys.say("prometheus", url);
    keys.say("prometheus.timeout", duration(*timeout));
    keys.hide("prometheus.token", token.as_ref().map(Secret::expose));
}

fn target(target: &ScaleTarget) -> Item {
    let ScaleTarget {
        upstream,
        min,
        max,
        signals,
        tolerance,
        up,
        down,
        cooldown,
        provisioning,
        drain_timeout,
        forecast,
        driver,
    } = target;
    let mut keys = Keys::default();
    keys.say("min", min);
    keys.say("max", max);
    for one in signals {
        signal(one, &mut keys);
    }
    keys.say("tolerance", percent(*tolerance));
    keys.say("up", steps(*up));
    keys.say("down", steps(*down));
    keys.say("cooldown", duration(*cooldown));
    keys.say("provisioning", duration(*provisioning));
    keys.say("drain_timeout", duration(*drain_timeout));
    keys.say("forecast", option(forecast.as_ref().map(ahead)));
    let by = acting(driver, &mut keys);
    Item {
        kind: "target",
        path: format!("autoscaler.targets.{upstream}"),
        summary: format!("{min} to {max} backends by {by}"),
        keys,
    }
}

fn signal(signal: &Signal, keys: &mut Keys) {
    let Signal {
        name,
        kind,
        up,
        down,
        target,
    } = signal;
    let what = match kind {
        SignalKind::Cpu { query } => match query {
            Some(query) => format!("cpu {query}"),
            None => "cpu".to_owned(),
        },
        SignalKind::Query { query, full } => format!("query {query}, full {full}"),
        SignalKind::Requests { full } => format!("requests, full {full}"),
        SignalKind::InFlight { full } => format!("in_flight, full {full}"),
        SignalKind::Queue { full } => format!("queue, full {full}"),
        SignalKind::P95 { full } => format!("p95, full {}", duration(*full)),
    };
    let band = [("up", up), ("down", down), ("target", target)];
    let band = band.map(|(word, ratio)| format!("{word} {}", share(*ratio)));
    keys.say(
        &format!("signals.{name}"),
        format_args!("{what}, {}", band.join(", ")),
    );
}

fn steps(steps: Steps) -> String {
    let Steps {
        window,
        percent,
        backends,
        period,
    } = steps;
    let (window, period) = (duration(window), duration(period));
    let most = count(backends as usize, "backend");
    format!("{percent}% or {most} per {period}, window {window}")
}

fn ahead(forecast: &Forecast) -> String {
    let Forecast {
        mode,
        max_error,
        season,
    } = forecast;
    let mode = match mode {
        ForecastMode::Observe => "observe",
        ForecastMode::Auto => "auto",
        ForecastMode::Enforce => "enforce",
    };
    let (error, season) = (percent(*max_error), duration(*season));
    format!("{mode}, max_error {error}, season {season}")
}

/// The keys of a driver, and what it is in a word.
fn acting(driver: &Driver, keys: &mut Keys) -> &'static str {
    match driver {
        Driver::Docker {
            endpoint,
            project,
            service,
        } => {
            keys.say("driver", "docker");
            keys.say("driver.endpoint", engine(endpoint));
            keys.say("driver.project", option(project.as_ref()));
            keys.say("driver.service", service);
            "docker"
        }
        Driver::Swarm { endpoint, service } => {
            keys.say("driver", "swarm");
            keys.say("driver.endpoint", engine(endpoint));
            keys.say("driver.service", service);
            "swarm"
        }
        Driver::Webhook {
            url,
            secret,
            timeout,
        } => {
            // Some services put a key into the query.
            let shown = url.split('?').next().unwrap_or_default().to_owned();
            keys.say("driver", "webhook");
            keys.secretly("driver.url", shown, url.as_bytes());
            keys.hide("driver.secret", Some(secret.expose()));
            keys.say("driver.timeout", duration(*timeout));
            "webhook"
        }
        Driver::Exec {
            program,
            arguments,
            timeout,
        } => {
            let given = count(arguments.len(), "argument");
            keys.say("driver", "exec");
            keys.say("driver.program", program.display());
            keys.secretly("driver.arguments", given, arguments.join("\0").as_bytes());
            keys.say("driver.timeout", duration(*timeout));
            "exec"
        }
    }
}

fn engine(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
        Endpoint::Tcp(address) => format!("tcp://{address}"),
        Endpoint::Tls(address, tls) => {
            let EngineTls {
                sni,
                ca,
                client_cert,
            } = tls;
            let ca = option(ca.as_ref().map(|path| path.display()));
            let (sni, own) = (option(sni.as_ref()), shown(client_cert.as_ref()));
            format!("tcp://{address}, sni {sni}, ca {ca}, client_cert {own}")
        }
    }
}
