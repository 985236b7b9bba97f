//! What of a configuration a running process can take over.
//!
//! Sockets, threads, tokens and where logs go are set up once. So a listener keeps its
//! address, and its position, for as long as the process lives: requests under
//! way name it by that. Whatever a configuration says beyond what fits is not
//! lost, but told as what a new process is needed for.

use std::time::Duration;

use crate::config::{AccessLog, Config, Listener};

/// Stands in a route's condition for a listener that is not running: no request comes from there.
const NOT_RUNNING: usize = usize::MAX;

/// The configuration nearest to `wanted` that a process can go over to which runs `running`.
pub(super) fn fit(running: &Config, wanted: &Config) -> Config {
    let mut fitted = wanted.clone();
    fitted.server.workers = running.server.workers;
    let listeners = running.listeners.iter();
    fitted.listeners = listeners
        .map(|own| {
            let mut wanted = wanted.listeners.iter();
            let new = wanted.find(|new| new.name == own.name);
            new.map_or_else(|| own.clone(), |new| adopt(own, new))
        })
        .collect();
    let positions: Vec<usize> = wanted
        .listeners
        .iter()
        .map(|wanted| {
            let mut running = running.listeners.iter();
            let found = running.position(|own| own.name == wanted.name);
            found.unwrap_or(NOT_RUNNING)
        })
        .collect();
    for route in &mut fitted.routes {
        for listener in &mut route.matches.listeners {
            *listener = positions.get(*listener).copied().unwrap_or(NOT_RUNNING);
        }
    }
    fitted.metrics.clone_from(&running.metrics);
    fitted.admin.clone_from(&running.admin);
    let log = running.access_log.as_ref().zip(wanted.access_log.as_ref());
    fitted.access_log = log.map_or_else(
        || running.access_log.clone(),
        |(own, new)| {
            Some(AccessLog {
                path: own.path.clone(),
                ..new.clone()
            })
        },
    );
    fitted
}

/// What `new` says about the socket of `own`.
fn adopt(own: &Listener, new: &Listener) -> Listener {
    Listener {
        address: own.address,
        ..new.clone()
    }
}

/// What all HTTP/2 connections of a process share, set when it starts: how long they are kept
/// idle, and the bytes of a request header.
pub(super) fn http2(config: &Config) -> (Duration, usize) {
    let keepalive = config.listeners.iter().map(|listener| listener.keepalive);
    let listeners = config.listeners.iter();
    let header = listeners.map(|listener| listener.max_header_bytes);
    (
        keepalive.max().unwrap_or_default(),
        header.max().unwrap_or_default(),
    )
}
