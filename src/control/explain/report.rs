//! What is told about a request: the form that the API answers in, `evenkeel
//! explain --admin` reads, and the text is made of.
//!
//! Words that programs compare are those of the rest of the API. What only a
//! running process knows is null where a configuration was asked.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What would become of a request, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The request.
    pub request: Asked,
    /// The routes in the order in which they are considered; those for another host or path last.
    pub routes: Vec<RouteLine>,
    /// Routes for another host or path that are not listed.
    pub routes_left_out: usize,
    /// The route that serves it.
    pub route: Option<String>,
    /// What becomes of it.
    pub outcome: Ending,
    /// The upstreams that the route forwards to.
    pub upstreams: Vec<UpstreamPart>,
}

/// The request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// As it was given.
    pub url: String,
    /// The listener it arrives at.
    pub listener: Option<String>,
    /// Where it comes from.
    pub client: IpAddr,
    /// Its host in normal form; null if it is refused before that.
    pub host: Option<String>,
    /// Its path in normal form; null if it is refused before that.
    pub path: Option<String>,
}

/// One route's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteLine {
    /// The route's name.
    pub name: String,
    /// What makes it as specific as it is.
    pub specificity: String,
    /// What became of it.
    pub ruling: Ruling,
    /// The same in words.
    pub why: String,
}

/// What became of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It serves the request.
    Serves,
    /// It would, but a more specific route does.
    Outranked,
    /// Host and path match, another condition does not.
    Unmet,
    /// It is for another host or path.
    Elsewhere,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// It is forwarded with this path.
    Forward {
        /// After the rewrite.
        path: String,
    },
    /// The route answers it.
    Respond {
        /// With this status.
        status: u16,
    },
    /// The route redirects it.
    Redirect {
        /// With this status.
        status: u16,
        /// To here.
        location: String,
    },
    /// It is refused.
    Refuse {
        /// With this status.
        status: u16,
        /// The word in `X-Evenkeel-Reason`.
        reason: String,
        /// In words.
        why: String,
    },
}

/// One upstream's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamPart {
    /// Its name.
    pub name: String,
    /// The share of the route's requests that goes there by the split's weights, from 0 to 1.
    pub share: f64,
    /// What sends this request there: `route`, `cookie`, `client` or `draw`; null if nothing does.
    pub chosen_by: Option<String>,
    /// The algorithm in use; of a configuration, the configured one.
    pub algorithm: String,
    /// Who says so: `configured`, `adaptive` or `request`.
    pub algorithm_by: Option<String>,
    /// Why `adaptive` has chosen it.
    pub algorithm_why: Option<String>,
    /// What is hashed.
    pub hashes: Option<String>,
    /// Its hash, as 16 hexadecimal digits.
    pub key: Option<String>,
    /// Stickiness, if it is on.
    pub sticky: Option<StickyPart>,
    /// The active check in words.
    pub checked_by: Option<String>,
    /// Whether health counts.
    pub health: Option<HealthPart>,
    /// Requests that wait for a slot.
    pub waiting: Option<usize>,
    /// What the scores are.
    pub measure: Option<String>,
    /// The backends, primaries first.
    pub backends: Vec<BackendPart>,
    /// Backends that are not listed.
    pub left_out: usize,
    /// Who else may join, in words.
    pub joining: Vec<String>,
    /// The backend that would be picked.
    pub pick: Option<PickPart>,
    /// Why none would: `no_backend` or `saturated`.
    pub unavailable: Option<String>,
}

/// What stickiness makes of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StickyPart {
    /// The cookie's name.
    pub cookie: String,
    /// `none`, `void`, `holds` or `moves`.
    pub binding: Option<String>,
    /// The backend that the cookie names.
    pub backend: Option<String>,
    /// What keeps the client from it.
    pub excluded: Option<String>,
}

/// Whether health counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthPart {
    /// Whether too few backends are available, so that health is ignored.
    pub panic: bool,
    /// The share of a tier that must be available, from 0 to 1.
    pub threshold: f64,
    /// The primaries.
    pub primaries: TierPart,
    /// The backups.
    pub backups: TierPart,
}

/// How many of a tier's backends are available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierPart {
    /// So many are.
    pub available: u32,
    /// Of so many that could be.
    pub of: u32,
}

/// One backend's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendPart {
    /// Its id.
    pub id: String,
    /// Its weight.
    pub weight: u32,
    /// Whether it is a backup.
    pub backup: bool,
    /// As configured.
    pub zone: Option<String>,
    /// What is known of it while the process runs.
    #[serde(flatten)]
    pub live: LivePart,
}

/// What is known of a backend while the process runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LivePart {
    /// How it is.
    pub state: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The share of its weight that it gets while it is available, from 0 to 1.
    pub share: Option<f64>,
    /// Requests in flight.
    pub in_flight: Option<u32>,
    /// Peak EWMA of the time to first byte in seconds.
    pub latency: Option<f64>,
    /// Whether the request may go there.
    pub candidate: Option<bool>,
    /// Why not.
    pub excluded: Option<String>,
    /// What the algorithm compares it by; null where it would not look at it.
    pub score: Option<f64>,
}

/// The backend that would be picked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PickPart {
    /// Its id.
    pub backend: String,
    /// What decides: `algorithm`, `sticky`, `backup`, `panic` or `probe`.
    pub reason: String,
    /// Whether a draw decides, so that the same request may go elsewhere the next time.
    pub by_chance: bool,
}
