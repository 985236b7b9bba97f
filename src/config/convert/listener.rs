//! Listeners: unique names, addresses that do not collide.

use std::net::SocketAddr;

use super::context::Context;
use super::names::{Positions, note_repeated};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::{Admin, Listener, Metrics};

/// Where each listener is in the list.
pub(super) fn positions(written: &[raw::Listener]) -> Positions {
    let names = written.iter().map(|listener| listener.name.as_ref());
    names
        .enumerate()
        .filter_map(|(index, name)| Some((name?.value.clone(), index)))
        .collect()
}

/// How a message goes on about an address of the admin API that the file does not mention.
pub(super) const COLLIDES_WITH_DEFAULT_ADMIN: &str =
    "collides with the default of admin.address, 127.0.0.1:9901; set another, or `admin: null`";

/// What else is bound.
#[derive(Clone, Copy)]
pub(super) struct Others<'c> {
    pub(super) metrics: Option<&'c Metrics>,
    pub(super) admin: Option<&'c Admin>,
}

/// The listeners as run.
pub(super) fn listeners(
    written: Vec<raw::Listener>,
    others: Others<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Listener>> {
    let list = Path::ROOT.key("listeners");
    let names = written
        .iter()
        .map(|listener| listener.name.as_ref().map(|name| name.value.clone()));
    note_repeated(names, &list, ("name", "the name"), context);
    note_colliding(&written, others, context);
    written.into_iter().map(listener).collect()
}

fn note_colliding(written: &[raw::Listener], others: Others<'_>, context: &mut Context<'_>) {
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
        let collides = |other: SocketAddr| collide(other, *address);
        if others
            .metrics
            .is_some_and(|metrics| collides(metrics.address))
        {
            let message = format!("{address} collides with metrics.address");
            context.add(&list.index(index).key("address"), message);
        }
        if others.admin.is_some_and(|admin| collides(admin.address)) {
            let given = context.is_given(&Path::ROOT.key("admin").key("address"));
            let what = if given {
                "collides with admin.address"
            } else {
                COLLIDES_WITH_DEFAULT_ADMIN
            };
            let message = format!("{address} {what}");
            context.add(&list.index(index).key("address"), message);
        }
    }
}

/// Whether both cannot be bound: the same port on the same address, or on one and all of a family.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
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
