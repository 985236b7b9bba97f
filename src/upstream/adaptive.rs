//! Which algorithm suits the moment.

use crate::config::Algorithm;

/// The algorithms it chooses among.
pub(crate) const CHOICES: &[Algorithm] = &[
    Algorithm::RoundRobin,
    Algorithm::WeightedRoundRobin,
    Algorithm::LeastConnections,
    Algorithm::WeightedResponseTime,
];
