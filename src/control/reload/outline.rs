//! A configuration as a flat list of named things and their keys, to be compared.
//!
//! Every structure is taken apart field by field, so that a key that is added
//! to the configuration cannot be forgotten here: the compiler asks for it.
//! Backends are left to [`plan`](super::plan), because there may be thousands.

use super::value::{Keys, duration, percent, size};
use crate::config::{
    AccessLog, Admin, Config, Listener, LogFormat, LogPath, Metrics, Secret, Server,
};
use autoscaler::autoscaler;
pub(super) use item::Item;
use route::route;
use upstream::upstream;

mod autoscaler;
mod item;
mod route;
mod upstream;

/// Everything but the backends.
pub(super) fn outline(config: &Config) -> Vec<Item> {
    let Config {
        server: process,
        listeners,
        routes,
        upstreams,
        metrics: scraped,
        access_log: log,
        admin: api,
        autoscaler: scaled,
    } = config;
    let mut items = vec![server(process)];
    items.extend(listeners.iter().map(listener));
    items.extend(routes.iter().map(|one| route(one, config)));
    items.extend(upstreams.iter().map(upstream));
    items.extend(scraped.as_ref().map(metrics));
    items.extend(api.as_ref().map(admin));
    items.extend(log.as_ref().map(access_log));
    items.extend(scaled.iter().flat_map(autoscaler));
    items
}

fn server(server: &Server) -> Item {
    let Server {
        workers,
        drain_timeout,
        max_connections,
        secret,
    } = server;
    let mut keys = Keys::default();
    keys.say("workers", workers);
    keys.say("drain_timeout", duration(*drain_timeout));
    keys.say("max_connections", max_connections);
    keys.hide("secret", secret.as_ref().map(Secret::expose));
    Item {
        kind: "server",
        path: "server".to_owned(),
        summary: String::new(),
        keys,
    }
}

fn listener(listener: &Listener) -> Item {
    let Listener {
        name,
        address,
        keepalive,
        header_timeout,
        body_timeout,
        max_header_bytes,
        max_body,
        max_connections,
        max_connections_per_ip,
        trusted_proxies,
        h2c,
    } = listener;
    let mut keys = Keys::default();
    keys.say("address", address);
    keys.say("keepalive", duration(*keepalive));
    keys.say("header_timeout", duration(*header_timeout));
    keys.say("body_timeout", duration(*body_timeout));
    keys.say("max_header_bytes", size(*max_header_bytes as u64));
    let body = max_body.map_or_else(|| "unlimited".to_owned(), size);
    keys.say("max_body", body);
    keys.say("max_connections", max_connections);
    let per_ip = max_connections_per_ip.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    keys.say("max_connections_per_ip", per_ip);
    keys.list("trusted_proxies", trusted_proxies);
    keys.say("h2c", h2c);
    Item {
        kind: "listener",
        path: format!("listeners.{name}"),
        summary: address.to_string(),
        keys,
    }
}

fn metrics(metrics: &Metrics) -> Item {
    let Metrics { address, token } = metrics;
    endpoint("metrics", address, token.as_ref().map(Secret::expose))
}

fn admin(admin: &Admin) -> Item {
    let Admin { address, token } = admin;
    endpoint("admin", address, token.as_ref().map(Secret::expose))
}

fn endpoint(kind: &'static str, address: &std::net::SocketAddr, token: Option<&[u8]>) -> Item {
    let mut keys = Keys::default();
    keys.say("address", address);
    keys.hide("token", token);
    Item {
        kind,
        path: kind.to_owned(),
        summary: address.to_string(),
        keys,
    }
}

fn access_log(log: &AccessLog) -> Item {
    let AccessLog {
        format,
        path,
        sample,
    } = log;
    let format = match format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    let path = match path {
        LogPath::Stdout => "stdout".to_owned(),
        LogPath::Stderr => "stderr".to_owned(),
        LogPath::File(path) => path.display().to_string(),
    };
    let mut keys = Keys::default();
    keys.say("format", format);
    keys.say("path", &path);
    keys.say("sample", percent(*sample));
    Item {
        kind: "access log",
        path: "access_log".to_owned(),
        summary: path,
        keys,
    }
}
