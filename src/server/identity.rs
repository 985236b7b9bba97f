//! Certificates and keys for TLS to backends, read before anything starts or changes.
//!
//! Pingora panics on a certificate it cannot parse, so each is parsed here first.

use std::hash::Hasher as _;
use std::path::Path;
use std::sync::Arc;

use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use xxhash_rust::xxh3::Xxh3;

use super::error::StartError;
use crate::config::{ClientCert, Upstream};
use crate::proxy::Identity;

/// Reads what the connections of `upstream` use.
pub(super) fn load(upstream: &Upstream) -> Result<Identity, StartError> {
    let Some(tls) = &upstream.tls else {
        return Ok(Identity::default());
    };
    let blame = |(path, reason): (String, String)| StartError::Identity {
        upstream: upstream.name.clone(),
        path,
        reason,
    };
    let mut hash = Xxh3::new();
    let ca = tls.ca.as_deref().map(|path| authorities(path, &mut hash));
    let ca = ca.transpose().map_err(blame)?;
    let client = tls
        .client_cert
        .as_ref()
        .map(|files| client(files, &mut hash));
    let (client, expires) = client.transpose().map_err(blame)?.unzip();
    let fingerprint = if ca.is_some() || client.is_some() {
        hash.finish()
    } else {
        0
    };
    Ok(Identity {
        ca,
        client,
        fingerprint,
        expires,
    })
}

type Unusable = (String, String);

fn authorities(path: &Path, hash: &mut Xxh3) -> Result<Arc<[WrappedX509]>, Unusable> {
    let wrap = |certificate: Vec<u8>| WrappedX509::new(certificate, parse_x509);
    let certificates = certificates(path)?;
    for (certificate, _) in &certificates {
        hash.write(certificate);
    }
    let certificates = certificates.into_iter();
    Ok(certificates.map(|(der, _)| wrap(der)).collect())
}

/// The chain with its key, and when the first of its certificates ends.
fn client(files: &ClientCert, hash: &mut Xxh3) -> Result<(Arc<CertKey>, i64), Unusable> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| (files.key.display().to_string(), error.to_string()))?;
    let mut expires = i64::MAX;
    let mut whole = Vec::with_capacity(chain.len());
    for (certificate, ends) in chain {
        hash.write(&certificate);
        expires = expires.min(ends);
        whole.push(certificate);
    }
    hash.write(key.secret_der());
    let client = CertKey::new(whole, key.secret_der().to_vec());
    Ok((Arc::new(client), expires))
}

/// The certificates in a PEM file, at least one and all of them readable, each with its end in Unix
/// seconds.
fn certificates(path: &Path) -> Result<Vec<(Vec<u8>, i64)>, Unusable> {
    let blame = |reason: String| (path.display().to_string(), reason);
    let found = CertificateDer::pem_file_iter(path).map_err(|error| blame(error.to_string()))?;
    let mut certificates = Vec::new();
    for certificate in found {
        let der = certificate.map_err(|error| blame(error.to_string()))?;
        let (_, certificate) =
            x509_parser::parse_x509_certificate(&der).map_err(|error| blame(error.to_string()))?;
        let ends = certificate.validity().not_after.timestamp();
        certificates.push((der.to_vec(), ends));
    }
    if certificates.is_empty() {
        return Err(blame("holds no certificate".to_owned()));
    }
    Ok(certificates)
}
