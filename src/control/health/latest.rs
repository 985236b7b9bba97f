//! What each backend's last check came to, for whoever wants to see it.
//!
//! The live state keeps what follows from the checks, counts and states. What a
//! person asks first, when was it looked at and what did it say, is kept here,
//! off the request path.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// When it ended, in milliseconds since 1970.
    pub unix_millis: u64,
    /// Why it failed, in words; `Ok` where it passed.
    pub result: Result<(), String>,
}

/// By upstream and address.
type Results = HashMap<String, HashMap<SocketAddr, Checked>>;

/// The last check of every backend that is checked.
#[derive(Debug, Default)]
pub struct Latest(Mutex<Results>);

impl Latest {
    /// The last checks of an upstream's backends, by their addresses.
    #[must_use]
    pub fn of(&self, upstream: &str) -> HashMap<SocketAddr, Checked> {
        self.results().get(upstream).cloned().unwrap_or_default()
    }

    pub(super) fn note(&self, upstream: &str, address: SocketAddr, checked: Checked) {
        let mut results = self.results();
        if let Some(known) = results.get_mut(upstream) {
            known.insert(address, checked);
        } else {
            results.insert(upstream.to_owned(), HashMap::from([(address, checked)]));
        }
    }

    /// Forgets everything but these.
    pub(super) fn keep(&self, targets: &HashMap<&str, HashSet<SocketAddr>>) {
        self.results().retain(|upstream, results| {
            let targets = targets.get(upstream.as_str());
            results.retain(|address, _| targets.is_some_and(|known| known.contains(address)));
            !results.is_empty()
        });
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_result_of_each_target_is_kept_for_as_long_as_it_is_one() {
        let latest = Latest::default();
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let checked = |unix_millis, result: Result<(), &str>| Checked {
            unix_millis,
            result: result.map_err(str::to_owned),
        };
        latest.note("web", address(1), checked(1, Ok(())));
        latest.note("web", address(2), checked(2, Ok(())));
        latest.note("api", address(1), checked(3, Ok(())));
        latest.note("web", address(1), checked(4, Err("status 500")));
        assert_eq!(latest.of("web")[&address(1)], checked(4, Err("status 500")));
        assert_eq!(latest.of("none").len(), 0);
        let targets = HashMap::from([("web", HashSet::from([address(1)]))]);
        latest.keep(&targets);
        assert_eq!(latest.of("web").len(), 1);
        assert_eq!(latest.results().len(), 1, "and the other upstream is gone");
    }
}
