//! Where a route that forwards sends a request.

use super::Snapshot;
use crate::config::{Algorithm, Route, Split};
use crate::reject::Reject;
use crate::request::{self, Facts};
use crate::route::split;

/// The upstream that gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its position in the configuration.
    pub upstream: usize,
    /// Why this one of a split.
    pub by: By,
    /// The algorithm that the request asks for.
    pub algorithm: Option<Algorithm>,
}

/// What decides among the upstreams of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// There is only one.
    Route,
    /// The client's sticky cookie.
    Cookie,
    /// The client's address: one of the upstreams is sticky.
    Client,
    /// A draw by weight.
    Draw,
}

impl<T> Snapshot<T> {
    /// The upstream of `splits` that gets a request on `route`: where a sticky cookie points, else
    /// by the weights. The time (seconds since 1970) and the randomness are asked for only when
    /// they are needed.
    pub fn destination(
        &self,
        route: &Route,
        splits: &[Split],
        facts: &Facts<'_>,
        unix_now: impl FnOnce() -> u64,
        random: impl FnOnce() -> u64,
    ) -> Result<Destination, Reject> {
        let (upstream, by) = self.share(splits, facts, unix_now, random);
        let algorithm = if route.algorithm_override {
            algorithm_asked_for(facts.query)?
        } else {
            None
        };
        Ok(Destination {
            upstream,
            by,
            algorithm,
        })
    }

    fn share(
        &self,
        splits: &[Split],
        facts: &Facts<'_>,
        unix_now: impl FnOnce() -> u64,
        random: impl FnOnce() -> u64,
    ) -> (usize, By) {
        if let [only] = splits {
            return (only.upstream, By::Route);
        }
        let upstream = |index: usize| &self.groups[index].upstream;
        let mut sticky = splits
            .iter()
            .filter(|split| split.weight > 0 && upstream(split.upstream).sticky_name().is_some())
            .peekable();
        let (chosen, by) = if sticky.peek().is_some() {
            let unix_now = unix_now();
            let holds = |split: &&Split| {
                let upstream = upstream(split.upstream);
                let cookie = upstream.sticky_name();
                cookie
                    .and_then(|name| request::cookie(facts.headers, name))
                    .is_some_and(|value| upstream.sticky_holder(value, unix_now))
            };
            if let Some(split) = sticky.find(holds) {
                return (split.upstream, By::Cookie);
            }
            let key = split::client_key(facts.client);
            let identity = |index: usize| split::identity(upstream(index).name());
            (split::stable(splits, key, identity), By::Client)
        } else {
            (split::random(splits, random()), By::Draw)
        };
        let chosen = chosen.expect("the configuration refuses a split without a positive weight");
        (chosen, by)
    }
}

/// The algorithm that `?algo=` names.
fn algorithm_asked_for(query: Option<&str>) -> Result<Option<Algorithm>, Reject> {
    let Some((_, value)) = request::query(query).find(|(name, _)| name.is("algo")) else {
        return Ok(None);
    };
    Algorithm::from_name(&value.decoded())
        .map(Some)
        .ok_or(Reject::UnknownAlgorithm)
}
