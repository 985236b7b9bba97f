//! `upstreams.*.discovery`: where further backends come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine::EngineTls;
use super::written::Written;
use crate::config::format::{DnsName, DurationText, EngineAddress, FilePath, SocketAddress};

/// One source, or several.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Sources {
    One(Box<Source>),
    Several(#[schemars(length(min = 1, max = 8))] Vec<Source>),
}

impl Sources {
    /// Each of them, in the order of the file.
    pub(crate) fn as_list(&self) -> &[Source] {
        match self {
            Self::One(source) => std::slice::from_ref(source),
            Self::Several(sources) => sources,
        }
    }

    /// The same, by value.
    pub(crate) fn into_list(self) -> Vec<Source> {
        match self {
            Self::One(source) => vec![*source],
            Self::Several(sources) => sources,
        }
    }
}

/// A source of backends.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Discovery", extend("required" = ["type"]))]
pub(crate) struct Source {
    /// `registry`: backends register through the admin API and stay while their heartbeats come;
    /// `dns`: the addresses of a name; `file`: a list in a file; `docker`: containers.
    #[serde(rename = "type")]
    #[schemars(required)]
    pub(crate) kind: Option<SourceKind>,
    /// Backends of this source at a time; of a registry more are refused, of another source more
    /// are left out. 256 by default for a registry.
    #[schemars(with = "u32", range(min = 1, max = 10_000), extend("default" = 1000))]
    pub(crate) max_backends: Option<u32>,
    /// The name to look up; `dns` only.
    pub(crate) name: Option<Written<DnsName>>,
    /// The port of the backends. `dns` needs it unless `srv` is set; of `docker` it is the one in
    /// the container, `null` is the one that the container exposes or its label `evenkeel.port`.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) port: Option<u16>,
    /// Whether SRV records are looked up, which have ports, weights and priorities; `dns` only.
    pub(crate) srv: bool,
    /// The name server that is asked; `null` is the system's; `dns` only.
    pub(crate) resolver: Option<Written<SocketAddress>>,
    /// The longest time between two looks: at a name whose TTL is not shorter, or at a file that
    /// nobody told us has changed; `dns` and `file` only.
    #[schemars(with = "Written<DurationText>", extend("default" = "5s", "x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) interval: Option<Written<DurationText>>,
    /// The file, YAML or JSON; `file` only.
    pub(crate) path: Option<Written<FilePath>>,
    /// Where the Engine's API is; `docker` only.
    #[schemars(with = "Written<EngineAddress>", extend("default" = "unix:///var/run/docker.sock"))]
    pub(crate) endpoint: Option<Written<EngineAddress>>,
    /// TLS to the Engine; `null` is none; `docker` only.
    pub(crate) tls: Option<EngineTls>,
    /// The label that containers must have, `KEY=VALUE` or `KEY`; `null` is
    /// `evenkeel.upstream=NAME` with the upstream's name, unless `compose_service` is set; `docker`
    /// only.
    #[schemars(length(max = 256))]
    pub(crate) label: Option<String>,
    /// The service of a compose file that containers must be of; `docker` only.
    #[schemars(length(max = 256))]
    pub(crate) compose_service: Option<String>,
    /// The compose project that containers must be of; `docker` only.
    #[schemars(length(max = 256))]
    pub(crate) compose_project: Option<String>,
    /// The network by whose address containers are reached, also without the project's name before
    /// it; `null` is the first one in which the container has an address; `docker` only.
    #[schemars(length(max = 256))]
    pub(crate) network: Option<String>,
}

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SourceKind {
    Registry,
    Dns,
    File,
    Docker,
}
