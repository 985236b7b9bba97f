//! Where an upstream's backends come from beside its configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::engine::Endpoint;

/// What brings an upstream backends that are not configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// The most backends that may register by heartbeat; `None` takes none.
    pub registry: Option<usize>,
    /// Where others are found, the most important first; their ids are unique.
    pub sources: Vec<Source>,
}

impl Discovery {
    /// Whether there is any.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.registry.is_some() || !self.sources.is_empty()
    }

    /// The most backends that it can bring.
    #[must_use]
    pub fn max_backends(&self) -> usize {
        let found: usize = self.sources.iter().map(|source| source.max_backends).sum();
        found + self.registry.unwrap_or(0)
    }
}

/// A source that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is called in the log, the metrics and the API: its type and what it looks at.
    pub id: String,
    /// Backends kept; more are left out.
    pub max_backends: usize,
    /// What it looks at.
    pub kind: SourceKind,
}

/// What a source looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The addresses of a name.
    Dns(DnsSource),
    /// A list in a file.
    File(FileSource),
    /// Containers.
    Docker(DockerSource),
}

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSource {
    /// In lower case.
    pub name: String,
    /// The port of every address; `None` looks SRV records up, which have ports.
    pub port: Option<u16>,
    /// The name server; `None` is the system's.
    pub resolver: Option<SocketAddr>,
    /// The longest time between two looks.
    pub interval: Duration,
}

/// A list in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// YAML or JSON.
    pub path: PathBuf,
    /// The longest time between two looks.
    pub interval: Duration,
}

/// Containers of a Docker Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerSource {
    /// Where its API is.
    pub endpoint: Endpoint,
    /// Labels that a container must have, `KEY=VALUE` or `KEY`.
    pub labels: Vec<String>,
    /// The network by whose address containers are reached; `None` is the first.
    pub network: Option<String>,
    /// The port in the containers; `None` is the one they say.
    pub port: Option<u16>,
}
