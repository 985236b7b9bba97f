//! Looking at a source, whatever its type.

use std::time::Duration;

use tokio::time::timeout;

use super::dns::Dns;
use super::docker::Docker;
use super::file::File;
use crate::config::SourceKind;
use crate::control::reconcile::Found;

/// No look takes longer.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at one source again and again.
pub(super) enum Finder {
    Dns(Dns),
    File(File),
    Docker(Box<Docker>),
}

impl Finder {
    pub(super) fn new(kind: &SourceKind) -> Self {
        match kind {
            SourceKind::Dns(source) => Self::Dns(Dns::new(source.clone())),
            SourceKind::File(source) => Self::File(File::new(source.clone())),
            SourceKind::Docker(source) => Self::Docker(Box::new(Docker::new(source.clone()))),
        }
    }

    /// Everything there is, or why that cannot be said. Cancelled, it may be called again.
    pub(super) async fn look(&mut self) -> Result<Vec<Found>, String> {
        let look = async {
            match self {
                Self::Dns(dns) => dns.look().await,
                Self::File(file) => file.look().await,
                Self::Docker(docker) => docker.look().await,
            }
        };
        let late = |_| Err(format!("no answer within {LIMIT:?}"));
        timeout(LIMIT, look).await.unwrap_or_else(late)
    }

    /// Ready when it is worth looking again.
    pub(super) async fn pause(&mut self) {
        match self {
            Self::Dns(dns) => dns.pause().await,
            Self::File(file) => file.pause().await,
            Self::Docker(docker) => docker.pause().await,
        }
    }
}
