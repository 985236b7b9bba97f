//! From an algorithm's name to its balancer.

use std::sync::Arc;

use super::Balancer;
use super::least_connections::LeastConnections;
use super::round_robin::RoundRobin;
use crate::config::Algorithm;
use crate::upstream::member::Member;

/// The balancer for these members. `seed` is where its turns begin: balancers in several
/// processes that begin with different ones do not all start with the same backend.
pub(crate) fn balancer(algorithm: Algorithm, members: &[Member], seed: u64) -> Arc<dyn Balancer> {
    match algorithm {
        Algorithm::LeastConnections => Arc::new(LeastConnections::new(seed)),
        _ => Arc::new(RoundRobin::new(seed)),
    }
}
