//! Who of several balancers changes the size.
//!
//! All decide, so that each can tell what it would do and none begins blind; the
//! one that holds the lease acts.

use async_trait::async_trait;

/// Says whether this process acts.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Whether it holds the lease of this upstream at the moment, taking a free one. An action that
    /// begins within the next ten seconds is covered by it.
    async fn holds(&self, upstream: &str) -> bool;
}

/// The lease of a process that is alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

#[async_trait]
impl Lease for Alone {
    async fn holds(&self, _upstream: &str) -> bool {
        true
    }
}
