//! One spelling for each host, because routes are chosen by it.
//!
//! Stricter than RFC 3986, whose reg-name admits escapes and punctuation that no
//! name in use has: letters, digits, `-`, `_` and dots are accepted (the
//! underscore for container names), international names in their ASCII form.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// The longest host name DNS can carry, in bytes.
const LONGEST: usize = 253;

/// Why a Host header or authority is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadHost {
    /// There is nothing before the port.
    #[error("the host is empty")]
    Empty,
    /// Longer than 253 bytes, or a label longer than 63.
    #[error("the host is too long")]
    TooLong,
    /// An empty label or a character no host name has.
    #[error("the host is no valid name")]
    Name,
    /// Ends in a number without being an IPv4 address, or brackets without an IPv6 address.
    #[error("the host is no valid IP address")]
    Address,
    /// Not a number up to 65,535.
    #[error("the port is not a number up to 65535")]
    Port,
}

/// The host in `authority` (`host[:port]`) in lower case, without the port and
/// without the dot that ends a fully qualified name.
///
/// An IPv6 address keeps its brackets and comes in the form of RFC 5952.
/// Borrowed when nothing but the end is cut off.
pub fn normalize_host(authority: &str) -> Result<Cow<'_, str>, BadHost> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(BadHost::Address)?;
        check_port(after)?;
        return ipv6(&authority[..address.len() + 2], address);
    }
    let host_ends = authority.find(':').unwrap_or(authority.len());
    let (host, after) = authority.split_at(host_ends);
    check_port(after)?;
    let name = host.strip_suffix('.').unwrap_or(host);
    check_name(name)?;
    Ok(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

/// `after` is what follows the host: nothing, or a colon and a port that may be empty.
fn check_port(after: &str) -> Result<(), BadHost> {
    if after.is_empty() {
        return Ok(());
    }
    let digits = after.strip_prefix(':').ok_or(BadHost::Name)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && (digits.is_empty() || digits.parse::<u16>().is_ok()) {
        Ok(())
    } else {
        Err(BadHost::Port)
    }
}

fn ipv6<'a>(bracketed: &'a str, address: &str) -> Result<Cow<'a, str>, BadHost> {
    let parsed: Ipv6Addr = address.parse().map_err(|_| BadHost::Address)?;
    let canonical = format!("[{parsed}]");
    Ok(if canonical == bracketed {
        Cow::Borrowed(bracketed)
    } else {
        Cow::Owned(canonical)
    })
}

fn check_name(name: &str) -> Result<(), BadHost> {
    if name.is_empty() {
        return Err(BadHost::Empty);
    }
    if name.len() > LONGEST {
        return Err(BadHost::TooLong);
    }
    let mut last_is_number = false;
    for label in name.split('.') {
        check_label(label)?;
        last_is_number = label.bytes().all(|byte| byte.is_ascii_digit());
    }
    if last_is_number && name.parse::<Ipv4Addr>().is_err() {
        return Err(BadHost::Address);
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), BadHost> {
    if label.len() > 63 {
        return Err(BadHost::TooLong);
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_empty() || !label.bytes().all(is_name) {
        return Err(BadHost::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn becomes(authority: &str, host: &str) {
        assert_eq!(
            normalize_host(authority).as_deref(),
            Ok(host),
            "{authority}"
        );
    }

    #[track_caller]
    fn refused(authority: &str, why: BadHost) {
        assert_eq!(normalize_host(authority), Err(why), "{authority}");
    }

    #[test]
    fn names_lose_case_port_and_trailing_dot() {
        becomes("Example.COM", "example.com");
        becomes("example.com:8080", "example.com");
        becomes("example.com.:80", "example.com");
        becomes("example.com:", "example.com");
        becomes("my_service-1", "my_service-1");
        becomes("xn--bcher-kva.example", "xn--bcher-kva.example");
    }

    #[test]
    fn a_plain_name_is_borrowed() {
        for authority in [
            "example.com",
            "example.com.:80",
            "127.0.0.1:5000",
            "[::1]:80",
        ] {
            assert!(matches!(normalize_host(authority), Ok(Cow::Borrowed(_))));
        }
    }

    #[test]
    fn addresses_are_validated() {
        becomes("127.0.0.1:80", "127.0.0.1");
        becomes("[2001:DB8:0:0::1]:443", "[2001:db8::1]");
        refused("127.0.0.256", BadHost::Address);
        refused("127.1", BadHost::Address);
        refused("2130706433", BadHost::Address);
        refused("[::1", BadHost::Address);
        refused("[::1%25eth0]", BadHost::Address);
        refused("[v1.x]", BadHost::Address);
        refused("::1", BadHost::Port);
        refused("fe80::1", BadHost::Port);
    }

    #[test]
    fn everything_else_is_refused() {
        refused("", BadHost::Empty);
        refused(".", BadHost::Empty);
        refused(":80", BadHost::Empty);
        refused("a..b", BadHost::Name);
        refused(".a", BadHost::Name);
        refused("a b", BadHost::Name);
        refused("user@host", BadHost::Name);
        refused("a/b", BadHost::Name);
        refused("a%41", BadHost::Name);
        refused("b\u{fc}cher.example", BadHost::Name);
        refused("a,b", BadHost::Name);
        refused("*.example.com", BadHost::Name);
        refused("[::1]x", BadHost::Name);
        refused("a:65536", BadHost::Port);
        refused("a:+80", BadHost::Port);
        refused("a:80:80", BadHost::Port);
        refused(&"a".repeat(64), BadHost::TooLong);
        refused(&"abcdefg.".repeat(32), BadHost::TooLong);
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own(authority in "[a-zA-Z0-9._:\\[\\]-]{0,20}") {
            if let Ok(host) = normalize_host(&authority) {
                prop_assert_eq!(normalize_host(&host), Ok(Cow::Borrowed(&*host)));
            }
        }
    }
}
