//! What the hashing algorithms hash.
//!
//! xxh3 with a fixed seed, so that every process and every start places a key
//! on the same backend.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::COOKIE;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::HashKey;
use crate::request::Facts;

const SEED: u64 = 0x6576_656e_6b65_656c;

/// The request's key. A request without the header or cookie, or with an empty one, is keyed by
/// the client's address, so that such requests do not all meet on one backend.
#[must_use]
pub fn of(key: &HashKey, facts: &Facts<'_>) -> u64 {
    let bytes = match key {
        HashKey::ClientIp => None,
        HashKey::Header(name) => facts.headers.get(name).map(http::HeaderValue::as_bytes),
        HashKey::Cookie(name) => cookie(facts.headers, name),
        HashKey::Path => Some(facts.path.as_bytes()),
    };
    match bytes.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => bytes_key(bytes),
        None => address_key(facts.client),
    }
}

/// The key of some bytes.
pub fn bytes_key(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, SEED)
}

/// The key of a whole address, not of its network: clients behind one router do not share a
/// backend. An IPv4 address counts the same in its IPv6-mapped form.
pub fn address_key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => bytes_key(&v4.octets()),
        IpAddr::V6(v6) => bytes_key(&v6.octets()),
    }
}

/// The value of the first cookie of this name.
fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|header| header.as_bytes().split(|&byte| byte == b';'))
        .find_map(|pair| {
            let pair = pair.trim_ascii();
            let (key, value) = pair.split_at(pair.iter().position(|&byte| byte == b'=')?);
            (key == name.as_bytes()).then(|| &value[1..])
        })
}
