//! What is shown to the other side of TLS.

use super::context::{Context, FileKind};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::run::ClientCert;

/// The files as run; `None`, with problems noted, where one is missing.
pub(super) fn client_cert(
    written: raw::ClientCert,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<ClientCert> {
    let cert = written.cert.map(|file| file.value);
    let key = written.key.map(|file| file.value);
    if let Some(cert) = &cert {
        context.check_file(&path.key("cert"), cert, FileKind::Certificates);
    }
    if let Some(key) = &key {
        context.check_file(&path.key("key"), key, FileKind::PrivateKey);
    }
    Some(ClientCert {
        cert: cert?,
        key: key?,
    })
}
