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
pub(crate) fn bytes_key(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, SEED)
}

/// The key of a whole address, not of its network: clients behind one router do not share a
/// backend. An IPv4 address counts the same in its IPv6-mapped form.
fn address_key(address: IpAddr) -> u64 {
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

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Method};

    use super::*;

    fn key(key: &HashKey, headers: &[(&'static str, &'static str)], client: &str) -> u64 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let facts = Facts {
            listener: 0,
            method: &Method::GET,
            host: "",
            path: "/a",
            query: None,
            headers: &map,
            client: client.parse().unwrap(),
        };
        of(key, &facts)
    }

    #[test]
    fn the_whole_address_counts() {
        let of = |client| key(&HashKey::ClientIp, &[], client);
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8::2"));
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
    }

    #[test]
    fn headers_cookies_and_paths_are_keys() {
        let header = HashKey::Header(HeaderName::from_static("x-user"));
        let cookie = HashKey::Cookie("user".into());
        let ann = bytes_key(b"ann");
        assert_eq!(key(&header, &[("x-user", "ann")], "10.0.0.1"), ann);
        for sent in ["user=ann", "a=b; user=ann", "xuser=bob;user=ann; user=bob"] {
            assert_eq!(key(&cookie, &[("cookie", sent)], "10.0.0.1"), ann);
        }
        let split = [("cookie", "a=b"), ("cookie", "user=ann")];
        assert_eq!(key(&cookie, &split, "10.0.0.1"), ann);
        assert_eq!(key(&HashKey::Path, &[], "10.0.0.1"), bytes_key(b"/a"));
    }

    #[test]
    fn without_the_key_the_client_counts() {
        let header = HashKey::Header(HeaderName::from_static("x-user"));
        let cookie = HashKey::Cookie("user".into());
        for client in ["10.0.0.1", "10.0.0.2"] {
            let fallback = key(&HashKey::ClientIp, &[], client);
            assert_eq!(key(&header, &[], client), fallback);
            assert_eq!(key(&header, &[("x-user", "")], client), fallback);
            for sent in ["user", "user=", "username=ann", ""] {
                assert_eq!(key(&cookie, &[("cookie", sent)], client), fallback);
            }
        }
    }
}
