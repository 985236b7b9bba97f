//! `routes`: rules that say where requests go.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::written::Written;
use crate::config::format::{
    Authority, DurationText, HeaderNameText, HeaderValueText, HostText, MediaType, MethodText,
    Name, PercentText, RegexText, Target, UrlPath,
};

/// One rule that says where requests go. It has exactly one of `upstream`, `split`, `respond` and
/// `redirect`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"], "oneOf" = [
    {"required": ["upstream"]}, {"required": ["split"]}, {"required": ["respond"]}, {"required": ["redirect"]}
]))]
pub(crate) struct Route {
    /// Unique name, a metrics label.
    #[schemars(required)]
    pub(crate) name: Option<Written<Name>>,
    /// The conditions; all must hold. Without any, every request matches.
    #[serde(rename = "match")]
    pub(crate) matches: Match,
    /// Forwards to this upstream.
    #[schemars(required)]
    pub(crate) upstream: Option<Written<Name>>,
    /// Forwards to several upstreams in proportion to their weights.
    #[schemars(required, length(min = 1, max = 100))]
    pub(crate) split: Option<Vec<Split>>,
    /// Answers without a backend.
    #[schemars(required)]
    pub(crate) respond: Option<Respond>,
    /// Redirects the client.
    #[schemars(required)]
    pub(crate) redirect: Option<Redirect>,
    /// How the path changes on its way to the backend.
    pub(crate) rewrite: Option<Rewrite>,
    /// Changes to the headers of the request.
    pub(crate) request_headers: HeaderEdits,
    /// Changes to the headers of the response.
    pub(crate) response_headers: HeaderEdits,
    /// Limit for the whole request, retries included; 504 beyond. Upgraded connections are
    /// excepted.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "24h"))]
    pub(crate) timeout: Written<DurationText>,
    /// When and how a failed attempt is repeated, always on another backend.
    pub(crate) retry: Retry,
    /// Whether `?algo=NAME` picks the algorithm for one request.
    pub(crate) algorithm_override: bool,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            name: None,
            matches: Match::default(),
            upstream: None,
            split: None,
            respond: None,
            redirect: None,
            rewrite: None,
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            timeout: Written::of("30s"),
            retry: Retry::default(),
            algorithm_override: false,
        }
    }
}

/// The conditions of a route.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Match {
    /// Names of listeners, any of which may have accepted the request; empty is every one.
    #[schemars(length(max = 64))]
    pub(crate) listener: Vec<Written<Name>>,
    /// Hosts, any of which may match: exact, or `*.` and a suffix. Upper and lower case are the
    /// same, the port does not count.
    #[schemars(length(max = 1000))]
    pub(crate) host: Vec<Written<HostText>>,
    /// The path condition.
    pub(crate) path: Option<PathMatch>,
    /// Methods, any of which may match.
    #[schemars(length(max = 64))]
    pub(crate) methods: Vec<Written<MethodText>>,
    /// Headers, all of which must match: a value, `{regex: R}` or `{present: BOOL}`.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"type": "string", "format": "header-name"}))]
    pub(crate) headers: BTreeMap<String, ValueMatch>,
    /// Query parameters, all of which must match: a value, `{regex: R}` or `{present: BOOL}`.
    #[schemars(extend("maxProperties" = 64))]
    pub(crate) query: BTreeMap<String, ValueMatch>,
    /// Cookies, all of which must match: a value, `{regex: R}` or `{present: BOOL}`.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"type": "string", "format": "token"}))]
    pub(crate) cookies: BTreeMap<String, ValueMatch>,
    /// Media type of the request body, parameters ignored.
    pub(crate) content_type: Option<Written<MediaType>>,
}

/// A path condition: exactly one of `exact`, `prefix` and `regex`. It is compared with the
/// normalised path.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["exact"]}, {"required": ["prefix"]}, {"required": ["regex"]}]))]
pub(crate) struct PathMatch {
    /// The path is exactly this.
    #[schemars(required)]
    pub(crate) exact: Option<Written<UrlPath>>,
    /// The path is this or goes on after a `/`: `/api` matches `/api` and `/api/x`, not `/apis`.
    #[schemars(required)]
    pub(crate) prefix: Option<Written<UrlPath>>,
    /// The expression matches somewhere in the path.
    #[schemars(required)]
    pub(crate) regex: Option<Written<RegexText>>,
}

/// A condition on a header, query parameter or cookie.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum ValueMatch {
    Exact(String),
    Test(ValueTest),
}

/// A condition that is not equality: exactly one of `regex` and `present`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["regex"]}, {"required": ["present"]}]))]
pub(crate) struct ValueTest {
    /// The expression matches somewhere in the value.
    #[schemars(required)]
    pub(crate) regex: Option<Written<RegexText>>,
    /// It is there (`true`) or absent (`false`).
    #[schemars(required)]
    pub(crate) present: Option<bool>,
}

/// One share of a weighted split.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["upstream"]))]
pub(crate) struct Split {
    /// Name of the upstream.
    #[schemars(required)]
    pub(crate) upstream: Option<Written<Name>>,
    /// Share in proportion to the other weights; 0 gets nothing.
    #[schemars(range(min = 0, max = 65_535))]
    pub(crate) weight: u32,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            upstream: None,
            weight: 1,
        }
    }
}

/// An answer without a backend.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["status"]))]
pub(crate) struct Respond {
    /// Status of the answer.
    #[schemars(required, range(min = 200, max = 599))]
    pub(crate) status: Option<u16>,
    /// Body of the answer, `text/plain; charset=utf-8` unless `response_headers` say otherwise.
    #[schemars(length(max = 65_536))]
    pub(crate) body: String,
}

/// A redirect; what is left out stays as in the request.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redirect {
    /// Status of the answer.
    pub(crate) status: RedirectStatus,
    /// `http` or `https`.
    pub(crate) scheme: Option<Scheme>,
    /// Host, with a port where one is needed.
    pub(crate) host: Option<Written<Authority>>,
    /// Path and, after a `?`, query.
    pub(crate) path: Option<Written<Target>>,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            status: RedirectStatus(308),
            scheme: None,
            host: None,
            path: None,
        }
    }
}

/// Status of a redirect.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct RedirectStatus(
    #[schemars(extend("enum" = [301, 302, 303, 307, 308]))] pub(crate) u16,
);

/// Scheme of a redirect.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A change of the path: `prefix`, `path`, or `regex` with `replacement`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["prefix"]}, {"required": ["path"]}, {"required": ["regex"]}]))]
pub(crate) struct Rewrite {
    /// Replaces what the route's path prefix matched; needs `match.path.prefix`.
    #[schemars(required)]
    pub(crate) prefix: Option<Written<UrlPath>>,
    /// Becomes the whole path; the query stays.
    #[schemars(required)]
    pub(crate) path: Option<Written<UrlPath>>,
    /// Every match of the expression is replaced by `replacement`.
    #[schemars(required)]
    pub(crate) regex: Option<Written<RegexText>>,
    /// Replaces each match of `regex`; `$1` and `$${name}` stand for groups.
    #[schemars(required, length(max = 4096))]
    pub(crate) replacement: Option<String>,
}

/// Header changes, applied in the order remove, set, add. Headers that frame a message or belong
/// to one connection cannot be changed.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HeaderEdits {
    /// Replaces any value there is.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"type": "string", "format": "header-name"}))]
    pub(crate) set: BTreeMap<String, Written<HeaderValueText>>,
    /// Adds a value beside those there are.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"type": "string", "format": "header-name"}))]
    pub(crate) add: BTreeMap<String, Written<HeaderValueText>>,
    /// Takes the header away.
    #[schemars(length(max = 64))]
    pub(crate) remove: Vec<Written<HeaderNameText>>,
}

/// When and how a failed attempt is repeated.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retry {
    /// Attempts after the first; 0 turns retries off.
    #[schemars(range(min = 0, max = 10))]
    pub(crate) attempts: u8,
    /// What is repeated: `connect` (the connection could not be established), `reset` (it broke
    /// before the first byte of an answer), `timeout` (no answer in time), or a status: 429 or
    /// 500 to 599.
    #[schemars(length(max = 104))]
    pub(crate) on: Vec<RetryCondition>,
    /// Wait before the second and later retries, doubled each time, with jitter. The first retry
    /// goes to another backend at once.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1m"))]
    pub(crate) backoff: Written<DurationText>,
    /// Retries in flight and in backoff, as a share of the requests in flight.
    pub(crate) budget: Written<PercentText>,
    /// Whether POST and PATCH may be repeated too. A failed connect is always repeated.
    pub(crate) non_idempotent: bool,
}

impl Default for Retry {
    fn default() -> Self {
        use RetryCondition::{Status, Word};
        Self {
            attempts: 2,
            on: vec![
                Word(RetryWord::Connect),
                Word(RetryWord::Reset),
                Word(RetryWord::Timeout),
                Status(502),
                Status(503),
                Status(504),
            ],
            backoff: Written::of("25ms"),
            budget: Written::of("20%"),
            non_idempotent: false,
        }
    }
}

/// A failure that is repeated.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum RetryCondition {
    Word(RetryWord),
    Status(#[schemars(schema_with = "retry_status")] u16),
}

fn retry_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "integer", "const": 429 },
        { "type": "integer", "minimum": 500, "maximum": 599 },
    ]})
}

/// A failure without a status.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum RetryWord {
    Connect,
    Reset,
    Timeout,
}
