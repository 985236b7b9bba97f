//! `upstreams`: groups of backends that serve the same content.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::discovery::Sources;
use super::health::Health;
use super::identity::ClientCert;
use super::written::Written;
use crate::config::algorithm::Choice;
use crate::config::format::{
    BackendAddress, DnsName, DurationText, FilePath, HeaderNameText, PercentText, Token,
};

/// A group of backends that serve the same content.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Upstream {
    /// How a backend is chosen. `adaptive` chooses one of the others from what it sees, second by
    /// second.
    #[schemars(with = "AlgorithmName", extend("default" = "adaptive"))]
    pub(crate) algorithm: Option<AlgorithmName>,
    /// What `consistent_hash` and `maglev` hash: `client_ip`, `path`, `{header: NAME}` or
    /// `{cookie: NAME}`. A request without it is hashed by client address.
    pub(crate) hash_key: HashKey,
    /// The backends; at least one, unless `BACKEND_SERVERS` in the environment replaces them or
    /// `discovery` brings some.
    #[schemars(length(max = 10_000))]
    pub(crate) backends: Vec<Backend>,
    /// Where further backends come from, one source or a list of up to 8; `null` is nowhere. Of two
    /// with the same address, a configured one counts before a registered one, and that before one
    /// of a source, the earlier source first.
    pub(crate) discovery: Option<Sources>,
    /// Keeps a client on its backend by a signed cookie; `null` is off.
    pub(crate) sticky: Option<Sticky>,
    /// Requests in flight to one backend.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_in_flight_per_backend: u32,
    /// Where requests wait for a slot.
    pub(crate) queue: Queue,
    /// Limits on the connection to a backend.
    pub(crate) timeouts: Timeouts,
    /// Idle connections.
    pub(crate) pool: Pool,
    /// What is spoken to the backends: `http1`; `http2`, over plaintext by prior knowledge; `auto`,
    /// HTTP/2 where TLS negotiates it and otherwise HTTP/1.1, on plaintext what the client spoke.
    pub(crate) protocol: Protocol,
    /// TLS to the backends.
    pub(crate) tls: Tls,
    /// With a smaller share of the backends available than this, health is ignored; `0%` answers
    /// 503 instead.
    pub(crate) panic_threshold: Written<PercentText>,
    /// How long a backend that comes back or joins takes to get its full share; `0s` gives it at
    /// once.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(crate) slow_start: Written<DurationText>,
    /// How the health of the backends is found out, and what follows.
    pub(crate) health: Health,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            algorithm: None,
            hash_key: HashKey::Word(HashWord::ClientIp),
            backends: Vec::new(),
            discovery: None,
            sticky: None,
            max_in_flight_per_backend: 1024,
            queue: Queue::default(),
            timeouts: Timeouts::default(),
            pool: Pool::default(),
            protocol: Protocol::Http1,
            tls: Tls::default(),
            panic_threshold: Written::of("50%"),
            slow_start: Written::of("0s"),
            health: Health::default(),
        }
    }
}

/// An algorithm's name, or `adaptive`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlgorithmName(pub(crate) Choice);

impl Serialize for AlgorithmName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for AlgorithmName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Choice::from_name(&name)
            .map(Self)
            .ok_or_else(|| de::Error::custom("unknown algorithm"))
    }
}

impl JsonSchema for AlgorithmName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Choice::names().collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// What consistent hashes hash.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum HashKey {
    Word(HashWord),
    Part(HashPart),
}

/// A hash key without a parameter.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum HashWord {
    ClientIp,
    Path,
}

/// A part of the request to hash: exactly one of `header` and `cookie`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["header"]}, {"required": ["cookie"]}]))]
pub(crate) struct HashPart {
    /// The first value of this header.
    #[schemars(required)]
    pub(crate) header: Option<Written<HeaderNameText>>,
    /// The value of this cookie.
    #[schemars(required)]
    pub(crate) cookie: Option<Written<Token>>,
}

/// One backend.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["address"]))]
pub(crate) struct Backend {
    /// `HOST:PORT`; a name is resolved at the start. Unique in the upstream.
    #[schemars(required)]
    pub(crate) address: Option<Written<BackendAddress>>,
    /// Share of the traffic in proportion to the others.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) weight: u32,
    /// Gets requests only when no other backend qualifies.
    pub(crate) backup: bool,
    /// Free text for people and dashboards.
    #[schemars(length(max = 256))]
    pub(crate) zone: Option<String>,
    /// Free labels for people and dashboards.
    #[schemars(extend("maxProperties" = 64))]
    pub(crate) labels: BTreeMap<String, String>,
}

impl Default for Backend {
    fn default() -> Self {
        Self {
            address: None,
            weight: 1,
            backup: false,
            zone: None,
            labels: BTreeMap::new(),
        }
    }
}

/// Cookie stickiness.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sticky {
    /// Name of the cookie.
    pub(crate) cookie: Written<Token>,
    /// How long a client stays with its backend without coming back.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "400d"))]
    pub(crate) ttl: Written<DurationText>,
    /// When the cookie carries `Secure`: `auto` is when the client's connection is TLS.
    pub(crate) secure: SecureCookie,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            cookie: Written::of("EVENKEEL"),
            ttl: Written::of("1h"),
            secure: SecureCookie::Auto,
        }
    }
}

/// When the cookie carries `Secure`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SecureCookie {
    Auto,
    Always,
    Never,
}

/// Where requests wait for a slot.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queue {
    /// Requests that may wait; 0 answers 503 at once.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) size: u32,
    /// How long one may wait.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10m"))]
    pub(crate) timeout: Written<DurationText>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            size: 0,
            timeout: Written::of("1s"),
        }
    }
}

/// Limits on the connection to a backend.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// The TCP connection, and again the TLS handshake.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10m"))]
    pub(crate) connect: Written<DurationText>,
    /// Until the first byte of the answer, and between two pieces of it.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "24h"))]
    pub(crate) read: Written<DurationText>,
    /// One write of the request.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "24h"))]
    pub(crate) write: Written<DurationText>,
    /// How long an idle connection is kept.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(crate) idle: Written<DurationText>,
    /// How long a connection that switched protocols (WebSocket) may be silent.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(crate) tunnel: Written<DurationText>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Written::of("5s"),
            read: Written::of("30s"),
            write: Written::of("30s"),
            idle: Written::of("60s"),
            tunnel: Written::of("1h"),
        }
    }
}

/// Idle connections to a backend.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pool {
    /// Idle connections kept to one backend; one more is closed instead of kept.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) max_idle_per_backend: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_idle_per_backend: 64,
        }
    }
}

/// What is spoken to the backends.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Auto,
}

/// TLS to the backends.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Whether the backends speak TLS.
    pub(crate) enabled: bool,
    /// Name that is sent and verified; `null` is the host of the backend's address.
    pub(crate) sni: Option<Written<DnsName>>,
    /// PEM file with the authorities to trust; `null` is the system's.
    pub(crate) ca: Option<Written<FilePath>>,
    /// Certificate and key to show to the backends.
    pub(crate) client_cert: Option<ClientCert>,
    /// Whether certificate and name are verified.
    pub(crate) verify: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            enabled: false,
            sni: None,
            ca: None,
            client_cert: None,
            verify: true,
        }
    }
}
