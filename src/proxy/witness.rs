//! Picks, kept with their reasons while somebody looks.

use super::context::Picked;
use crate::clock;
use crate::observe::decisions::{Candidate, Decisions, Excluded, Facts, shortened};
use crate::upstream::{Ask, Considered, Explanation, Selection, Unavailable, Upstream};

/// Backends that a kept pick lists.
const MOST: usize = 64;

/// The request that a pick is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'r> {
    /// The route's name.
    pub(super) route: &'r str,
    /// Which try it is, from 1.
    pub(super) attempt: u32,
}

/// Picks a backend; where the pick is to be kept, with an explanation of the same moment.
///
/// `goes_on` says that the try before this one is kept: then the next belongs to it.
pub(super) fn pick<'r>(
    decisions: &Decisions,
    upstream: &Upstream,
    ask: &Ask<'_>,
    goes_on: bool,
    case: impl FnOnce() -> Case<'r>,
) -> Result<Picked, Unavailable> {
    if goes_on || decisions.are_due(ask.now) {
        return sampled(decisions, upstream, ask, case());
    }
    upstream.select(ask).map(|selection| Picked {
        selection,
        decision: None,
    })
}

#[cold]
fn sampled(
    decisions: &Decisions,
    upstream: &Upstream,
    ask: &Ask<'_>,
    case: Case<'_>,
) -> Result<Picked, Unavailable> {
    let explanation = upstream.explain(ask, MOST);
    let result = upstream.select(ask);
    let facts = facts(upstream, ask, case, explanation, &result);
    let decision = decisions.keep(clock::unix_millis(), facts);
    result.map(|selection| Picked {
        selection,
        decision,
    })
}

fn facts(
    upstream: &Upstream,
    ask: &Ask<'_>,
    case: Case<'_>,
    explanation: Explanation,
    result: &Result<Selection, Unavailable>,
) -> Facts {
    let chosen = result.as_ref().ok();
    let is_chosen = |one: &Considered| chosen.is_some_and(|it| it.member() == one.member);
    // Between the explanation and the pick, a slot may have become free.
    let (candidates, excluded): (Vec<Considered>, Vec<Considered>) = explanation
        .backends
        .into_iter()
        .partition(|one| one.exclusion.is_none() || is_chosen(one));
    Facts {
        route: case.route.to_owned(),
        upstream: upstream.name().to_owned(),
        method: shortened(ask.facts.method.as_str()),
        path: shortened(ask.facts.path),
        attempt: case.attempt,
        algorithm: explanation.algorithm.name(),
        panic: explanation.panic.is_on,
        backend: chosen.map(|selection| selection.endpoint().name().to_owned()),
        reason: match result {
            Ok(selection) => selection.reason().label(),
            Err(unavailable) => unavailable.label(),
        },
        measure: explanation.measure.label(),
        candidates: candidates.iter().map(candidate).collect(),
        excluded: excluded.iter().filter_map(excluded_by).collect(),
        left_out: explanation.left_out,
    }
}

fn candidate(one: &Considered) -> Candidate {
    Candidate {
        id: one.name.as_ref().to_owned(),
        weight: one.weight,
        in_flight: one.in_flight,
        latency: one.latency,
        score: one.score,
    }
}

fn excluded_by(one: &Considered) -> Option<Excluded> {
    Some(Excluded {
        id: one.name.as_ref().to_owned(),
        state: one.state.label(),
        reason: one.exclusion?.label(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use http::{HeaderMap, Method};

    use super::*;
    use crate::clock::Moment;
    use crate::upstream::sticky::Signer;
    use crate::upstream::{BuildContext, Journal, Mode, Resolved, Tried};

    const NOW: Moment = Moment::from_micros(1_000_000_000);

    fn upstream() -> Upstream {
        let text = "listeners: [{ name: web, address: '127.0.0.1:1' }]\n\
                    routes: [{ name: all, upstream: main }]\n\
                    upstreams: { main: { algorithm: round_robin, backends: \
                    [{ address: '192.0.2.1:1' }, { address: '192.0.2.2:1' }] } }\n";
        let config = crate::config::load(text, "test", &|_| None).expect("valid");
        let settings = &config.upstreams[0];
        let resolved: Vec<Resolved> = settings
            .backends
            .iter()
            .map(|backend| Resolved {
                address: backend.address.parse::<SocketAddr>().expect("an address"),
                name: backend.address.clone(),
                backend: backend.clone(),
            })
            .collect();
        let context = BuildContext {
            algorithms: &[],
            signer: &Arc::new(Signer::new(None, [7; 32])),
            journal: &Journal::default(),
            now: NOW,
            seed: 0,
        };
        Upstream::build(settings, &resolved, &context, None)
    }

    /// Does something with an ask for a backend at `now`.
    fn with_ask<T>(now: Moment, then: impl FnOnce(&Ask<'_>) -> T) -> T {
        let (headers, tried) = (HeaderMap::new(), Tried::new());
        let facts = crate::request::Facts {
            listener: 0,
            method: &Method::GET,
            host: "example.com",
            path: "/a",
            query: Some("secret=1"),
            headers: &headers,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        then(&Ask {
            facts: &facts,
            algorithm: None,
            tried: &tried,
            sticky: None,
            now,
            unix_now: 0,
            random: 1,
            queued: false,
        })
    }

    fn case() -> Case<'static> {
        Case {
            route: "all",
            attempt: 1,
        }
    }

    #[test]
    fn while_nobody_looks_a_pick_allocates_nothing() {
        let (decisions, upstream) = (Decisions::default(), upstream());
        let measure = |now: Moment| {
            with_ask(now, |ask| {
                allocation_counter::measure(|| {
                    for _ in 0..100 {
                        let picked = pick(&decisions, &upstream, ask, false, case);
                        drop(picked.expect("both are up"));
                    }
                })
                .count_total
            })
        };
        assert_eq!(measure(NOW), 0);
        drop(decisions.look(1, NOW));
        assert!(measure(NOW) > 0, "one of them is kept");
        assert_eq!(measure(NOW), 0, "the others are not");
        let later = NOW.after(crate::observe::decisions::ARMED_FOR);
        assert_eq!(measure(later), 0);
        assert_eq!(decisions.look(9, later).len(), 1);
    }

    #[test]
    fn a_kept_pick_says_who_and_why() {
        let (decisions, upstream) = (Decisions::default(), upstream());
        upstream.set_mode(0, NOW, Mode::Maintenance);
        drop(decisions.look(1, NOW));
        let picked = with_ask(NOW, |ask| pick(&decisions, &upstream, ask, false, case));
        let picked = picked.expect("one is up");
        assert_eq!(picked.selection.member(), 1);
        assert_eq!(picked.decision.map(|one| one.id), Some(1));
        let last = decisions.look(1, NOW);
        let facts = &last[0].facts;
        assert_eq!(
            (facts.route.as_str(), facts.upstream.as_str()),
            ("all", "main")
        );
        assert_eq!((facts.method.as_str(), facts.path.as_str()), ("GET", "/a"));
        assert_eq!(facts.backend.as_deref(), Some("192.0.2.2:1"));
        assert_eq!((facts.reason, facts.measure), ("algorithm", "turns"));
        assert_eq!(facts.candidates.len(), 1);
        let excluded = &facts.excluded[0];
        assert_eq!(
            (excluded.id.as_str(), excluded.reason),
            ("192.0.2.1:1", "maintenance")
        );
    }

    #[test]
    fn the_next_try_of_a_kept_one_is_kept() {
        let (decisions, upstream) = (Decisions::default(), upstream());
        let next = with_ask(NOW, |ask| pick(&decisions, &upstream, ask, true, case));
        assert!(next.expect("both are up").decision.is_some());
    }

    #[test]
    fn that_there_was_none_is_kept_too() {
        let (decisions, upstream) = (Decisions::default(), upstream());
        for member in [0, 1] {
            upstream.set_mode(member, NOW, Mode::Maintenance);
        }
        drop(decisions.look(1, NOW));
        let picked = with_ask(NOW, |ask| pick(&decisions, &upstream, ask, false, case));
        assert!(picked.is_err());
        let facts = &decisions.look(1, NOW)[0].facts;
        assert_eq!((&facts.backend, facts.reason), (&None, "no_backend"));
        assert_eq!(facts.excluded.len(), 2);
    }
}
