//! From an algorithm's name to its balancer.

use std::sync::Arc;

use super::Balancer;
use super::consistent_hash::ConsistentHash;
use super::ip_hash::IpHash;
use super::least_connections::LeastConnections;
use super::maglev::Maglev;
use super::power_of_two::PowerOfTwo;
use super::random::Random;
use super::round_robin::RoundRobin;
use super::weighted_response_time::WeightedResponseTime;
use super::weighted_round_robin::WeightedRoundRobin;
use crate::config::Algorithm;
use crate::upstream::member::Member;

/// The balancer for these members. `seed` is where its turns begin: balancers in several
/// processes that begin with different ones do not all start with the same backend.
pub(crate) fn balancer(algorithm: Algorithm, members: &[Member], seed: u64) -> Arc<dyn Balancer> {
    match algorithm {
        Algorithm::RoundRobin => Arc::new(RoundRobin::new(seed)),
        Algorithm::WeightedRoundRobin => {
            let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
            Arc::new(WeightedRoundRobin::new(&weights, seed))
        }
        Algorithm::LeastConnections => Arc::new(LeastConnections::new(seed)),
        Algorithm::WeightedResponseTime => Arc::new(WeightedResponseTime::new(seed)),
        Algorithm::PowerOfTwo => Arc::new(PowerOfTwo),
        Algorithm::Random => Arc::new(Random),
        Algorithm::IpHash => Arc::new(IpHash),
        Algorithm::ConsistentHash => Arc::new(ConsistentHash::new(members)),
        Algorithm::Maglev => Arc::new(Maglev::new(members)),
    }
}
