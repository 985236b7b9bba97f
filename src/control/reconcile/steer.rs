//! The configuration with what the operator wants upstreams to choose by.
//!
//! A rebuild starts from the configuration, so a wish that is part of what it
//! starts from survives every one of them, and whoever reads the snapshot's
//! configuration sees what is in force.

use std::sync::Arc;

use super::set::Set;
use crate::config::Config;

/// `config` with the algorithms that `sets`, one for each upstream, want.
pub(super) fn steered(config: &Arc<Config>, sets: &[Set]) -> Arc<Config> {
    if sets.iter().all(|set| set.algorithm().is_none()) {
        return Arc::clone(config);
    }
    let mut steered = Config::clone(config);
    for (upstream, set) in steered.upstreams.iter_mut().zip(sets) {
        upstream.algorithm = set.algorithm().unwrap_or(upstream.algorithm);
    }
    Arc::new(steered)
}
