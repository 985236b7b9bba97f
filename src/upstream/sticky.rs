//! Sticky sessions: a signed cookie that names a backend without giving it away.
//!
//! The value is `v1.<endpoint id>.<expiry>.<mac>`. The id is a keyed hash of
//! upstream and address, so a client learns neither addresses nor whether two
//! upstreams share a backend. The MAC covers the upstream's name, the id and the
//! expiry (Unix seconds), so a client can neither choose a backend nor keep one
//! for longer than the `ttl`. Both are HMAC-SHA256, truncated to 64 and 128
//! bits; the comparison takes constant time.
//!
//! Every instance with the same secret understands the others' cookies.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::{Secret, SecureCookie, Sticky};

const ID_BYTES: usize = 8;
const ID_CHARS: usize = 11;
const MAC_BYTES: usize = 16;
const MAC_CHARS: usize = 22;
const VERSION: &str = "v1";

type EndpointId = [u8; ID_BYTES];

/// Signs cookies and checks them.
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// With the configured secret, or, where there is none, with random bytes.
    #[must_use]
    pub fn new(secret: Option<&Secret>, random: [u8; 32]) -> Self {
        let key = secret.map_or(&random[..], Secret::expose);
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The fields are told apart by lengths, so that no two lists of fields give the same input.
    fn mac(&self, fields: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac
    }

    fn endpoint_id(&self, upstream: &str, address: SocketAddr) -> EndpointId {
        let address = address.to_string();
        let fields: [&[u8]; 3] = [b"endpoint", upstream.as_bytes(), address.as_bytes()];
        let whole = self.mac(&fields).finalize().into_bytes();
        let mut id = EndpointId::default();
        id.copy_from_slice(&whole[..ID_BYTES]);
        id
    }

    fn cookie_mac(&self, upstream: &str, payload: &str) -> Hmac<Sha256> {
        self.mac(&[b"cookie", upstream.as_bytes(), payload.as_bytes()])
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// The stickiness of one upstream.
#[derive(Debug)]
pub(crate) struct Stickiness {
    settings: Sticky,
    upstream: String,
    signer: Arc<Signer>,
    ids: Box<[EndpointId]>,
    members: HashMap<EndpointId, usize>,
}

/// What a genuine cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Position of the member it names.
    pub(crate) member: usize,
    /// Seconds until it expires; positive.
    remaining: u64,
}

impl Stickiness {
    /// `addresses` are the members', in order.
    pub(crate) fn new(
        settings: Sticky,
        upstream: &str,
        signer: &Arc<Signer>,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Self {
        let ids: Box<[EndpointId]> = addresses
            .map(|address| signer.endpoint_id(upstream, address))
            .collect();
        let members = ids.iter().copied().zip(0..).collect();
        Self {
            settings,
            upstream: upstream.to_owned(),
            signer: Arc::clone(signer),
            ids,
            members,
        }
    }

    /// The cookie's name.
    pub(crate) fn name(&self) -> &str {
        &self.settings.cookie
    }

    /// The member a cookie names; `None` when it is forged, expired, another upstream's, or the
    /// member is gone.
    pub(crate) fn binding(&self, cookie: &str, unix_now: u64) -> Option<Binding> {
        let (payload, mac) = cookie.rsplit_once('.')?;
        let mac: [u8; MAC_BYTES] = decode(mac, MAC_CHARS)?;
        self.signer
            .cookie_mac(&self.upstream, payload)
            .verify_truncated_left(&mac)
            .ok()?;
        let (id, expiry) = payload
            .strip_prefix(VERSION)?
            .strip_prefix('.')?
            .split_once('.')?;
        let remaining = expiry.parse::<u64>().ok()?.checked_sub(unix_now)?;
        let id: EndpointId = decode(id, ID_CHARS)?;
        let member = *self.members.get(&id)?;
        (remaining > 0).then_some(Binding { member, remaining })
    }

    /// The `Set-Cookie` value that binds a client to a member; `None` when the cookie it
    /// presented does so for at least half the `ttl` to come.
    pub(crate) fn set_cookie(
        &self,
        member: usize,
        presented: Option<&str>,
        unix_now: u64,
        secure_request: bool,
    ) -> Option<String> {
        let ttl = self.settings.ttl.as_secs().max(1);
        let stands = presented
            .and_then(|cookie| self.binding(cookie, unix_now))
            .is_some_and(|binding| {
                binding.member == member && (ttl.div_ceil(2)..=ttl).contains(&binding.remaining)
            });
        if stands {
            return None;
        }
        let value = self.value(member, unix_now.saturating_add(ttl))?;
        let name = &self.settings.cookie;
        let secure = match self.settings.secure {
            SecureCookie::Auto => secure_request,
            SecureCookie::Always => true,
            SecureCookie::Never => false,
        };
        let secure = if secure { "; Secure" } else { "" };
        Some(format!(
            "{name}={value}; Path=/; Max-Age={ttl}; HttpOnly; SameSite=Lax{secure}"
        ))
    }

    fn value(&self, member: usize, expiry: u64) -> Option<String> {
        let id = URL_SAFE_NO_PAD.encode(self.ids.get(member)?);
        let mut value = format!("{VERSION}.{id}.{expiry}");
        let mac = self.signer.cookie_mac(&self.upstream, &value).finalize();
        let mac = URL_SAFE_NO_PAD.encode(&mac.into_bytes()[..MAC_BYTES]);
        write!(value, ".{mac}").ok()?;
        Some(value)
    }
}

/// Exactly `N` bytes from exactly `chars` characters, without allocating.
fn decode<const N: usize>(text: &str, chars: usize) -> Option<[u8; N]> {
    if text.len() != chars {
        return None;
    }
    let mut buffer = [0; 24];
    let len = URL_SAFE_NO_PAD.decode_slice(text, &mut buffer).ok()?;
    buffer[..len].try_into().ok()
}
