//! What the autoscaler works with.

use std::sync::Arc;

use super::board::Board;
use super::lease::Lease;
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::Commands;
use crate::control::timeline::Timeline;
use crate::control::traffic::Traffic;
use crate::observe::metrics::Metrics;
use crate::snapshot::Published;

/// What a keeper works with.
pub struct Surroundings<T> {
    /// What serves.
    pub published: Arc<Published<T>>,
    /// Who drains.
    pub commands: Commands,
    /// How much traffic there is.
    pub traffic: Arc<Traffic>,
    /// Where events go.
    pub timeline: Arc<Timeline>,
    /// Where the series live.
    pub metrics: Arc<Metrics>,
    /// Where everything else goes that is to be known.
    pub board: Arc<Board>,
    /// Who acts.
    pub lease: Arc<dyn Lease>,
    /// Tells when another process has taken over, which then scales.
    pub lifecycle: Arc<Lifecycle>,
}
