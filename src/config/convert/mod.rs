//! From the file as written to the configuration as run.
//!
//! By now every value has its form; what is left is what values mean together:
//! names that refer to each other, things that must be unique, keys that
//! contradict each other. A value that is missing was reported before and is
//! passed over in silence.

use std::num::NonZeroUsize;

use context::Context;
use names::Positions;

use super::path::Path;
use super::raw;
use super::run::{AccessLog, Config, LogFormat, Metrics, Server};

pub(crate) mod context;
pub(crate) mod environment;
mod headers;
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
    let server = server(written.server);
    let metrics = written.metrics.map(metrics);
    let listeners = listener::listeners(written.listeners, metrics.as_ref(), context);
    let routes = route::routes(written.routes, names, context);
    let upstreams = upstream::upstreams(written.upstreams, context);
    Some(Config {
        server,
        listeners: listeners?,
        routes: routes?,
        upstreams: upstreams?,
        metrics,
        access_log: written.access_log.map(access_log),
        admin: None,
    })
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
