//! From a file, or a text, to a configuration whose certificates and keys can be read, and whose
//! programs can be run.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{self, Config, Errors, FileKind};

/// Bytes of the largest certificate or key file.
const MAX_PEM: u64 = 4 << 20;

/// Reads the configuration in `text`, which is to be called `name`, with the variables of `env`,
/// and looks at the certificates, keys and programs that it names.
pub fn parse(
    text: &str,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Errors> {
    config::load_checking_files(text, name, env, &check_file)
}

/// Why `path` is not a file of this kind, if it is not.
fn check_file(path: &Path, kind: FileKind) -> Result<(), String> {
    match kind {
        FileKind::Certificates => check_pem(path, certificates),
        FileKind::PrivateKey => check_pem(path, private_key),
        FileKind::Program => program(path),
    }
}

/// Whether anybody at all may run it; whether we may, is seen when we do.
fn program(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let metadata = path
        .metadata()
        .map_err(|error| format!("`{shown}` cannot be run: {error}"))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("`{shown}` is not a program"));
    }
    Ok(())
}

/// Why `path` does not hold `content`, if it does not.
fn check_pem(path: &Path, content: fn(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_PEM + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_PEM {
        return Err(format!("`{shown}` is larger than {MAX_PEM} bytes"));
    }
    content(&bytes).map_err(|reason| format!("`{shown}` has {reason}"))
}

fn private_key(bytes: &[u8]) -> Result<(), String> {
    PrivateKeyDer::from_pem_slice(bytes)
        .map(|_| ())
        .map_err(|error| format!("no private key in PEM: {error}"))
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
