//! From the file as written to the configuration as run.
//!
//! By now every value has its form; what is left is what values mean together:
//! names that refer to each other, things that must be unique, keys that
//! contradict each other. A value that is missing was reported before and is
//! passed over in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use context::Context;
use names::Positions;

use super::path::Path;
use super::raw;
use super::run::{AccessLog, Admin, Config, LogFormat, Metrics, Server};

mod autoscaler;
pub(crate) mod context;
mod discovery;
mod engine;
pub(crate) mod environment;
mod headers;
mod health;
mod identity;
mod keys;
mod listener;
mod names;
mod route;
mod upstream;

/// The configuration as run; `None`, or with problems noted, where it cannot be.
pub(crate) fn config(written: raw::Config, context: &mut Context<'_>) -> Option<Config> {
    let listeners_named: Positions = listener::positions(&written.listeners);
    let upstreams_named: Positions = written.upstreams.keys().cloned().zip(0..).collect();
    let names = route::Names {
        listeners: context
            .is_list(&Path::ROOT.key("listeners"))
            .then_some(&listeners_named),
        upstreams: context
            .is_mapping(&Path::ROOT.key("upstreams"))
            .then_some(&upstreams_named),
    };
    let targets = written.autoscaler.iter().flat_map(|all| &all.targets);
    let scaled = targets.filter_map(|target| Some(target.upstream.as_ref()?.value.as_str()));
    let rooms = discovery::rooms(scaled, &written.upstreams, context);
    let unchecked = unchecked(&written.upstreams, context);
    let server = server(written.server);
    let metrics = written.metrics.map(metrics);
    let admin = written.admin.map(admin);
    note_admin(admin.as_ref(), metrics.as_ref(), context);
    let others = listener::Others {
        metrics: metrics.as_ref(),
        admin: admin.as_ref(),
    };
    let listeners = listener::listeners(written.listeners, others, context);
    let routes = route::routes(written.routes, names, context);
    let upstreams = upstream::upstreams(written.upstreams, context);
    let known = autoscaler::Upstreams {
        names: names.upstreams,
        rooms: &rooms,
        unchecked: &unchecked,
    };
    let autoscaler = written
        .autoscaler
        .map(|written| autoscaler::autoscaler(written, known, context));
    Some(Config {
        server,
        listeners: listeners?,
        routes: routes?,
        upstreams: upstreams?,
        metrics,
        access_log: written.access_log.map(access_log),
        admin,
        autoscaler: match autoscaler {
            Some(autoscaler) => Some(autoscaler?),
            None => None,
        },
    })
}

/// The upstreams that ask their backends nothing.
fn unchecked(
    upstreams: &BTreeMap<String, raw::Upstream>,
    context: &Context<'_>,
) -> BTreeSet<String> {
    let map = Path::ROOT.key("upstreams");
    let is_unchecked = |name: &str| {
        let upstream = map.key(name);
        let health = upstream.key("health");
        let active = health.key("active");
        context.is_mapping(&upstream)
            && (!context.is_given(&health) || context.is_mapping(&health))
            && (!context.is_given(&active) || context.is_null(&active))
    };
    let names = upstreams.keys().filter(|name| is_unchecked(name));
    names.cloned().collect()
}

fn server(written: raw::Server) -> Server {
    let automatic = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = match written.workers {
        raw::Workers::Auto(_) => automatic(),
        raw::Workers::Count(count) => NonZeroUsize::new(count as usize).unwrap_or_else(automatic),
    };
    Server {
        workers,
        drain_timeout: written.drain_timeout.value,
        max_connections: written.max_connections as usize,
        secret: written.secret.map(|secret| secret.value),
    }
}

fn metrics(written: raw::Metrics) -> Metrics {
    Metrics {
        address: written.address.value,
        token: written.token.map(|token| token.value),
    }
}

fn admin(written: raw::Admin) -> Admin {
    Admin {
        address: written.address.value,
        token: written.token.map(|token| token.value),
    }
}

/// Who can reach the admin API can take every backend out.
fn note_admin(admin: Option<&Admin>, metrics: Option<&Metrics>, context: &mut Context<'_>) {
    let Some(admin) = admin else { return };
    let path = Path::ROOT.key("admin");
    let (address, token) = (path.key("address"), path.key("token"));
    let has_token = context.is_given(&token) && !context.is_null(&token);
    if !admin.address.ip().is_loopback() && !has_token {
        let message = format!(
            "{} can be reached from other machines; set `admin.token`, or bind a loopback address such as 127.0.0.1:{}",
            admin.address,
            admin.address.port()
        );
        context.add(&address, message);
    }
    let Some(metrics) = metrics else { return };
    if listener::collide(metrics.address, admin.address) {
        if context.is_given(&address) {
            let message = format!("{} collides with metrics.address", admin.address);
            context.add(&address, message);
        } else {
            let path = Path::ROOT.key("metrics");
            let message = format!(
                "{} {}",
                metrics.address,
                listener::COLLIDES_WITH_DEFAULT_ADMIN
            );
            context.add(&path.key("address"), message);
        }
    }
}

fn access_log(written: raw::AccessLog) -> AccessLog {
    AccessLog {
        format: match written.format {
            raw::LogFormat::Json => LogFormat::Json,
            raw::LogFormat::Text => LogFormat::Text,
        },
        path: written.path.value,
        sample: written.sample.value,
    }
}
