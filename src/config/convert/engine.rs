//! Where a Docker Engine is, and the files of its TLS.

use super::context::{Context, FileKind};
use super::identity::client_cert;
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::{Endpoint, EngineTls};

/// Where an Engine listens unless it is told otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// The Engine without its TLS, as the key `endpoint` has it.
pub(super) fn address(written: Option<&Endpoint>) -> Endpoint {
    let usual = || Endpoint::Unix(SOCKET.into());
    written.cloned().unwrap_or_else(usual)
}

/// The Engine of the mapping at `path`, with problems of its keys noted.
pub(super) fn endpoint(
    written: Option<&Endpoint>,
    tls: Option<raw::EngineTls>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Endpoint {
    let Some(tls) = tls else {
        return address(written);
    };
    let tls = encryption(tls, &path.key("tls"), context);
    match address(written) {
        Endpoint::Tcp(address) => Endpoint::Tls(address, tls),
        other => {
            let is_broken = written.is_none() && context.is_given(&path.key("endpoint"));
            if !is_broken {
                let message = "has no effect on a socket; it is for `endpoint: tcp://HOST:PORT`";
                context.add_at_key(path, "tls", message);
            }
            other
        }
    }
}

fn encryption(written: raw::EngineTls, path: &Path<'_>, context: &mut Context<'_>) -> EngineTls {
    if let Some(ca) = &written.ca {
        context.check_file(&path.key("ca"), &ca.value, FileKind::Certificates);
    }
    let own = written.client_cert;
    EngineTls {
        sni: written.sni.map(|name| name.value),
        ca: written.ca.map(|file| file.value),
        client_cert: own.and_then(|own| client_cert(own, &path.key("client_cert"), context)),
    }
}
