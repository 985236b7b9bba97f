//! From a file, or a text, to a configuration whose certificates and keys can be read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{self, Config, Errors, FileKind};

/// Bytes of the largest certificate or key file.
const MAX_PEM: u64 = 4 << 20;

/// Reads the configuration in `text`, which is to be called `name`, with the variables of `env`,
/// and the certificates and keys that it names.
pub fn parse(
    text: &str,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Errors> {
    config::load_checking_files(text, name, env, &check_pem)
}

/// Why `path` is not a file of this kind, if it is not.
fn check_pem(path: &Path, kind: FileKind) -> Result<(), String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_PEM + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_PEM {
        return Err(format!("`{shown}` is larger than {MAX_PEM} bytes"));
    }
    match kind {
        FileKind::Certificates => certificates(&bytes),
        FileKind::PrivateKey => PrivateKeyDer::from_pem_slice(&bytes)
            .map(|_| ())
            .map_err(|error| format!("no private key in PEM: {error}")),
    }
    .map_err(|reason| format!("`{shown}` has {reason}"))
}

fn certificates(bytes: &[u8]) -> Result<(), String> {
    let mut count = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        certificate.map_err(|error| format!("a broken certificate: {error}"))?;
        count += 1;
    }
    if count == 0 {
        return Err("no certificate in PEM".to_owned());
    }
    Ok(())
}
