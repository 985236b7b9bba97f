//! `evenkeel check FILE`: every error of a configuration, or what it amounts to.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{self, Config, Errors, FileKind};

/// Bytes of the largest certificate or key file.
const MAX_PEM: u64 = 4 << 20;

/// Checks the configuration in `file` with the variables of `env`.
///
/// A sound one gives one line on `out` and 0. Otherwise every problem stands on
/// a line of `err`, and the result is 1. The certificates and keys that the
/// configuration names are read too.
pub fn check(
    file: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let printed = match load(file, env) {
        Ok(config) => writeln!(out, "{}: {}", file.display(), Summary(&config)).map(|()| 0),
        Err(errors) => writeln!(err, "{errors}").map(|()| 1),
    };
    printed.unwrap_or(1)
}

/// Reads the configuration in `file`, and the certificates and keys it names.
pub fn load(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Errors> {
    let text = config::read_file(file)?;
    config::load_checking_files(&text, &file.display().to_string(), env, &check_pem)
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

/// What a configuration amounts to, in one line.
struct Summary<'c>(&'c Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        let backends: usize = config.upstreams.iter().map(|one| one.backends.len()).sum();
        let parts = [
            (config.listeners.len(), "listener"),
            (config.routes.len(), "route"),
            (config.upstreams.len(), "upstream"),
            (backends, "backend"),
        ];
        for (index, (count, what)) in parts.into_iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{comma}{count} {what}{plural}")?;
        }
        Ok(())
    }
}
