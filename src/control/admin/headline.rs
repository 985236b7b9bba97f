//! How the whole is, in one sentence for people: what serves, what does not, and why.
//!
//! The worst comes first, because that is what somebody who was woken up needs:
//! an upstream that nobody serves, then one where too few do, then single
//! backends, then what the operator did. Upstreams in which all is well are
//! only counted, and every list is cut, so that it stays a sentence.

use std::time::Duration;

use crate::state::{Reason, State};

/// Upstreams that are told about; the others are counted.
const UPSTREAMS_TOLD: usize = 3;

/// Backends that are told about in each.
const BACKENDS_TOLD: usize = 2;

/// One upstream.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    /// With a smaller share of available backends than this, from 0 to 1, their health is ignored.
    pub(super) panic_threshold: f64,
    pub(super) backends: Vec<Backend>,
}

/// One backend.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) id: String,
    pub(super) state: State,
    pub(super) reason: Reason,
    /// How long it has been so.
    pub(super) since: Duration,
    pub(super) backup: bool,
}

/// What the state of a backend of an upstream rests on, in words.
pub(super) type Evidence<'e> = &'e dyn Fn(&str, &str) -> Option<String>;

/// How an upstream is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It has no backends at all.
    Empty,
    /// No backend is available.
    Unserved,
    /// Too few are available, so that health is ignored.
    Panic,
    /// Its backups serve in its stead.
    BackupsOnly,
    /// Some backends are out.
    Reduced,
    /// Some are out because the operator wants it so.
    ByOperator,
    /// All serve, some of them less than their share.
    Slowed,
    /// All is well.
    Fine,
}

/// The backends of one tier.
#[derive(Clone, Copy, Debug, Default)]
struct Tier {
    all: usize,
    available: usize,
    /// Those that could be available: as the panic threshold counts them.
    possible: usize,
}

/// The sentence. `evidence` is asked for the few backends that it tells about.
pub(super) fn headline(pools: &[Pool], is_draining: bool, evidence: Evidence<'_>) -> String {
    let mut clauses = Vec::new();
    if is_draining {
        clauses.push("this process drains and ends".to_owned());
    }
    let mut troubled: Vec<(Standing, &Pool)> = pools
        .iter()
        .map(|pool| (standing(pool), pool))
        .filter(|(standing, _)| *standing != Standing::Fine)
        .collect();
    troubled.sort_by_key(|(standing, _)| *standing);
    if troubled.is_empty() {
        clauses.push(all_fine(pools));
    } else {
        let told = troubled.iter().take(UPSTREAMS_TOLD);
        clauses.extend(told.map(|(standing, pool)| trouble(*standing, pool, evidence)));
        let more = troubled.len().saturating_sub(UPSTREAMS_TOLD);
        if more > 0 {
            let (is, are) = ("1 more upstream is impaired", "more upstreams are impaired");
            clauses.push(counted(more, is, are));
        }
        let fine = pools.len() - troubled.len();
        if fine > 0 {
            clauses.push(counted(
                fine,
                "the other upstream is fine",
                "other upstreams are fine",
            ));
        }
    }
    capitalised(&clauses.join("; "))
}

fn all_fine(pools: &[Pool]) -> String {
    let backends: usize = pools.iter().map(|pool| pool.backends.len()).sum();
    match pools {
        [] => "no upstream is configured".to_owned(),
        [pool] => serving(tiers(pool)[0], &pool.name),
        several => format!(
            "all {backends} backends of {} upstreams serve",
            several.len()
        ),
    }
}

fn trouble(standing: Standing, pool: &Pool, evidence: Evidence<'_>) -> String {
    let [primaries, backups] = tiers(pool);
    let (name, all) = (&pool.name, pool.backends.len());
    let how = match standing {
        Standing::Empty => format!("upstream {name} has no backends"),
        Standing::Unserved if all == 1 => format!("the only backend does not serve {name}"),
        Standing::Unserved => format!("none of {all} backends serves {name}"),
        Standing::Panic => {
            let healthy = primaries.available + backups.available;
            let are = if healthy == 1 { "is" } else { "are" };
            format!(
                "only {healthy} of {all} backends of {name} {are} healthy, below its panic threshold, so health is ignored"
            )
        }
        Standing::BackupsOnly => format!(
            "only backups serve {name} ({} of {})",
            backups.available, backups.all
        ),
        Standing::Reduced | Standing::ByOperator | Standing::Slowed | Standing::Fine => {
            serving(primaries, name)
        }
    };
    let mut clauses = vec![how];
    let mut others: Vec<&Backend> = pool
        .backends
        .iter()
        .filter(|backend| backend.state != State::Up)
        .collect();
    // What was done on purpose is no news; of the rest, the latest is.
    others.sort_by_key(|backend| (rank(backend.state), backend.since));
    let told = others.iter().take(BACKENDS_TOLD);
    clauses.extend(told.map(|backend| cause(backend, evidence(name, &backend.id).as_deref())));
    let more = others.len().saturating_sub(BACKENDS_TOLD);
    if more > 0 {
        clauses.push(format!("and {more} more"));
    }
    clauses.join("; ")
}

fn serving(tier: Tier, name: &str) -> String {
    match (tier.available, tier.all) {
        (1, 1) => format!("the only backend serves {name}"),
        (available, all) if available == all => format!("all {all} backends serve {name}"),
        (1, all) => format!("1 of {all} backends serves {name}"),
        (available, all) => format!("{available} of {all} backends serve {name}"),
    }
}

/// In which order backends are told about.
const fn rank(state: State) -> u8 {
    match state {
        State::Ejected | State::Down | State::HalfOpen | State::Expired => 0,
        State::Draining | State::Maintenance => 1,
        State::Suspect | State::Warming | State::Up => 2,
    }
}

fn standing(pool: &Pool) -> Standing {
    let [primaries, backups] = tiers(pool);
    if pool.backends.is_empty() {
        return Standing::Empty;
    }
    if primaries.available + backups.available == 0 {
        return Standing::Unserved;
    }
    let suffices = |tier: &Tier| {
        tier.possible > 0 && tier.available as f64 >= pool.panic_threshold * tier.possible as f64
    };
    if pool.panic_threshold > 0.0 && ![primaries, backups].iter().any(suffices) {
        return Standing::Panic;
    }
    if primaries.available == 0 {
        return Standing::BackupsOnly;
    }
    let worst = pool.backends.iter().filter(|one| one.state != State::Up);
    match worst.map(|backend| rank(backend.state)).min() {
        Some(0) => Standing::Reduced,
        Some(1) => Standing::ByOperator,
        Some(_) => Standing::Slowed,
        None => Standing::Fine,
    }
}

/// The primaries and the backups.
fn tiers(pool: &Pool) -> [Tier; 2] {
    let mut tiers = [Tier::default(); 2];
    for backend in &pool.backends {
        let tier = &mut tiers[usize::from(backend.backup)];
        tier.all += 1;
        tier.available += usize::from(backend.state.is_available());
        let could_be = backend.state.is_counted() && backend.reason != Reason::NotChecked;
        tier.possible += usize::from(could_be);
    }
    tiers
}

/// What is the matter with a backend.
fn cause(backend: &Backend, evidence: Option<&str>) -> String {
    let since = span(backend.since);
    let id = if backend.backup {
        format!("backup {}", backend.id)
    } else {
        backend.id.clone()
    };
    let how = match (backend.state, backend.reason) {
        (State::Ejected, _) => format!("ejected {since} ago"),
        (State::Expired, _) => format!("expired {since} ago"),
        (_, Reason::NotChecked) => return format!("{id} not checked yet"),
        (State::Down, _) => format!("down for {since}"),
        (State::HalfOpen, _) => format!("tried again for {since}"),
        (State::Draining, _) => return format!("{id} draining for {since}, by the operator"),
        (State::Maintenance, _) => {
            return format!("{id} in maintenance for {since}, by the operator");
        }
        (State::Warming, _) => return format!("{id} warming up for {since}"),
        (State::Suspect, _) => format!("gets less for {since}"),
        (State::Up, _) => return format!("{id} up"),
    };
    let why = evidence.unwrap_or(match backend.reason {
        Reason::Healthy => return format!("{id} {how}"),
        Reason::SlowStart => "it came back a moment ago",
        Reason::Latency => "it is slower than its peers",
        Reason::ConsecutiveFailures => "requests to it failed in a row",
        Reason::FailureRatio => "too many requests to it failed",
        Reason::ConnectFailed => "it takes no connections",
        Reason::NotChecked => "no check has passed yet",
        Reason::CheckFailed => "its checks fail",
        Reason::TtlExpired => "its heartbeat is overdue",
        Reason::Operator => "by the operator",
    });
    format!("{id} {how}: {why}")
}

/// A time in the largest unit that it fills.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `one` for 1, otherwise the number and `many`.
fn counted(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => one.to_owned(),
        number => format!("{number} {many}"),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

#[cfg(test)]
mod tests;
