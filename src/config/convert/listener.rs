//! Listeners: unique names, addresses that do not collide.

use std::net::SocketAddr;

use super::context::Context;
use super::names::{Positions, note_repeated};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::{Listener, Metrics};

/// Where each listener is in the list.
pub(super) fn positions(written: &[raw::Listener]) -> Positions {
    let names = written.iter().map(|listener| listener.name.as_ref());
    names
        .enumerate()
        .filter_map(|(index, name)| Some((name?.value.clone(), index)))
        .collect()
}

/// The listeners as run.
pub(super) fn listeners(
    written: Vec<raw::Listener>,
    metrics: Option<&Metrics>,
    context: &mut Context<'_>,
) -> Option<Vec<Listener>> {
    let list = Path::ROOT.key("listeners");
    let names = written
        .iter()
        .map(|listener| listener.name.as_ref().map(|name| name.value.clone()));
    note_repeated(names, &list, ("name", "the name"), context);
    note_colliding(&written, metrics, context);
    written.into_iter().map(listener).collect()
}

fn note_colliding(written: &[raw::Listener], metrics: Option<&Metrics>, context: &mut Context<'_>) {
    let list = Path::ROOT.key("listeners");
    let addresses: Vec<Option<SocketAddr>> = written
        .iter()
        .map(|listener| listener.address.as_ref().map(|address| address.value))
        .collect();
    for (index, address) in addresses.iter().enumerate() {
        let Some(address) = address else { continue };
        let earlier = addresses[..index]
            .iter()
            .position(|other| other.is_some_and(|other| collide(other, *address)));
        if let Some(earlier) = earlier {
            let message = format!("{address} collides with that of {}", list.index(earlier));
            context.add(&list.index(index).key("address"), message);
        }
        if metrics.is_some_and(|metrics| collide(metrics.address, *address)) {
            let message = format!("{address} collides with metrics.address");
            context.add(&list.index(index).key("address"), message);
        }
    }
}

/// Whether both cannot be bound: the same port on the same address, or on one and all of a family.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let overlaps = one.ip() == other.ip()
        || (one.is_ipv4() == other.is_ipv4()
            && (one.ip().is_unspecified() || other.ip().is_unspecified()));
    one.port() == other.port() && overlaps
}

fn listener(written: raw::Listener) -> Option<Listener> {
    Some(Listener {
        name: written.name?.value,
        address: written.address?.value,
        keepalive: written.keepalive.value,
        header_timeout: written.header_timeout.value,
        body_timeout: written.body_timeout.value,
        max_header_bytes: usize::try_from(written.max_header_bytes.value).ok()?,
        max_body: written.max_body.value,
        max_connections: written.max_connections as usize,
        max_connections_per_ip: match written.max_connections_per_ip {
            raw::IpLimit::Unlimited(_) => None,
            raw::IpLimit::Count(count) => Some(count),
        },
        trusted_proxies: written
            .trusted_proxies
            .into_iter()
            .map(|network| network.value)
            .collect(),
        h2c: written.h2c,
    })
}
