//! Which backends one upstream should have, and what everybody asked of them.
//!
//! Pure bookkeeping: the sources (the configuration, heartbeats, the operator)
//! keep their own records here, and [`Set::resolved`] merges them. Nothing of a
//! backend's live state is here; that stays with its endpoint.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::command::{
    Change, Heartbeat, Lease, Place, Record, Records, Refusal, Reported, Weighing,
};
use super::found::{Discovered, Found, Taken};
use crate::clock::Moment;
use crate::config::{self, Choice};
use crate::upstream::{MAX_MEMBERS, Mode, Resolved};

mod reconfigure;
mod told;

/// How long an expired backend stays in the set, out of the rotation: long enough to be seen, and
/// to come back with what was measured about it.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// How long it stays there when requests to it are still in flight.
pub(super) const LINGER_BUSY: Duration = Duration::from_mins(1);

/// How long a registration holds once nobody can renew it here: longer than the longest drain.
pub(super) const HOLD: Duration = Duration::from_hours(24);

/// Wishes remembered for backends that are not there; more are forgotten.
const MAX_WISHES: usize = 2 * MAX_MEMBERS;

/// The backends of one upstream.
#[derive(Debug)]
pub(super) struct Set {
    upstream: String,
    /// What the configuration chooses by.
    choice: Choice,
    /// What the operator wants instead.
    algorithm: Option<Choice>,
    configured: Vec<Resolved>,
    /// The most backends that may register; `None` takes none.
    registry: Option<usize>,
    /// By id.
    registered: BTreeMap<String, Registration>,
    discovered: Discovered,
    /// What the operator asked for, by id.
    wishes: HashMap<String, Wish>,
}

#[derive(Clone, Debug)]
struct Registration {
    address: String,
    resolved: SocketAddr,
    weight: u32,
    ttl: Duration,
    /// When it is out of the rotation.
    deadline: Moment,
    /// When it is looked at whether it can be removed.
    look: Moment,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    weight: Option<u32>,
    mode: Mode,
}

/// What a command means for the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It must be built anew.
    Rebuild,
    /// It stays.
    None,
}

impl Effect {
    const fn rebuild_if(changed: bool) -> Self {
        if changed { Self::Rebuild } else { Self::None }
    }
}

impl Registration {
    fn lease(&self) -> Lease {
        Lease {
            address: self.address.clone(),
            weight: self.weight,
            ttl: self.ttl,
            deadline: self.deadline,
        }
    }
}

impl Set {
    /// The backends of `config`, as they were resolved.
    pub(super) fn new(config: &config::Upstream, configured: Vec<Resolved>) -> Self {
        Self {
            upstream: config.name.clone(),
            choice: config.algorithm,
            algorithm: None,
            configured,
            registry: config.discovery.registry,
            registered: BTreeMap::new(),
            discovered: Discovered::new(&config.discovery),
            wishes: HashMap::new(),
        }
    }

    /// Every backend, with the weight that is in force. Of two with the same address, a configured
    /// one counts before a registered one, and that before one that was found.
    pub(super) fn resolved(&self) -> Vec<Resolved> {
        let registered = self.registered.iter().map(|(id, one)| Resolved {
            address: one.resolved,
            name: id.clone(),
            backend: config::Backend {
                address: one.address.clone(),
                weight: one.weight,
                backup: false,
                zone: None,
                labels: BTreeMap::new(),
            },
        });
        let mut all: Vec<Resolved> = self.configured.iter().cloned().chain(registered).collect();
        self.discovered.merge_into(&mut all);
        for one in &mut all {
            let wish = self.wishes.get(&one.name);
            if let Some(weight) = wish.and_then(|wish| wish.weight) {
                one.backend.weight = weight;
            }
        }
        all
    }

    /// What the operator wants of a backend.
    pub(super) fn mode(&self, id: &str) -> Mode {
        self.wishes.get(id).map_or(Mode::Active, |wish| wish.mode)
    }

    /// When a registered backend is out of the rotation, and when that is looked at.
    pub(super) fn deadlines(&self, id: &str) -> Option<(Moment, Moment)> {
        self.registered.get(id).map(|one| (one.deadline, one.look))
    }

    /// What was said about each backend.
    pub(super) fn records(&self) -> Records {
        let record = |id: &str, found_by: Option<&str>| {
            let wish = self.wishes.get(id).copied().unwrap_or_default();
            Record {
                lease: self.registered.get(id).map(Registration::lease),
                found_by: found_by.map(str::to_owned),
                weight: wish.weight,
                mode: wish.mode,
            }
        };
        let found = self.discovered.ids().map(|(id, source)| {
            let record = record(&id, Some(source));
            (id, record)
        });
        // Whoever speaks for an id before a source does comes later and stays.
        let others = self.names().map(|id| (id.to_owned(), record(id, None)));
        found.chain(others).collect()
    }

    /// Takes everything that a source sees.
    pub(super) fn find(&mut self, source: &str, found: Vec<Found>) -> (Taken, Effect) {
        let (taken, changed) = self.discovered.take(source, found);
        (taken, Effect::rebuild_if(changed))
    }

    /// Makes the registrations that hold now hold without further heartbeats; whose they are.
    pub(super) fn hold(&mut self, now: Moment) -> Vec<String> {
        let alive = self.registered.iter_mut();
        let alive = alive.filter(|(_, one)| one.deadline > now);
        let held = alive.map(|(id, one)| {
            one.deadline = now.after(HOLD);
            one.look = one.deadline.after(LINGER);
            id.clone()
        });
        held.collect()
    }

    /// Takes a heartbeat.
    pub(super) fn report(
        &mut self,
        heartbeat: &Heartbeat,
        now: Moment,
    ) -> Result<(Reported, Effect), Refusal> {
        let limit = self.admits(&heartbeat.place)?;
        let id = &heartbeat.place.backend;
        let known = self.registered.get(id);
        let resolved = resolved(heartbeat, known)?;
        let evicted = self.evict_holder(resolved, id, now)?;
        let known = self.registered.get(id).cloned();
        if known.is_none() {
            self.make_room(limit, now)?;
        }
        let next = Registration {
            address: heartbeat.address.clone(),
            resolved,
            weight: heartbeat
                .weight
                .unwrap_or_else(|| known.as_ref().map_or(1, |known| known.weight)),
            ttl: heartbeat.ttl,
            deadline: now.after(heartbeat.ttl),
            look: now.after(heartbeat.ttl).after(LINGER),
        };
        let (reported, changed) = known.map_or((Reported::Registered, true), |known| {
            let reported = if known.deadline <= now {
                Reported::Registered
            } else {
                Reported::Renewed
            };
            let same = (known.resolved, &known.address, known.weight)
                == (next.resolved, &next.address, next.weight);
            (reported, !same)
        });
        self.registered.insert(id.clone(), next);
        Ok((reported, Effect::rebuild_if(changed || evicted)))
    }

    /// The most backends, where this one may register at all.
    fn admits(&self, place: &Place) -> Result<usize, Refusal> {
        let registry = self.registry;
        let limit = registry.ok_or_else(|| Refusal::NoRegistry(self.upstream.clone()))?;
        let mut configured = self.configured.iter();
        if configured.any(|one| one.name == place.backend || one.backend.address == place.backend) {
            return Err(Refusal::Configured(place.clone()));
        }
        Ok(limit.min(MAX_MEMBERS.saturating_sub(self.configured.len())))
    }

    /// Removes an expired backend that had the address before; one that is alive keeps it.
    fn evict_holder(
        &mut self,
        address: SocketAddr,
        id: &str,
        now: Moment,
    ) -> Result<bool, Refusal> {
        let taken = |holder: &str| Refusal::AddressTaken {
            address,
            holder: holder.to_owned(),
        };
        if let Some(holder) = self.configured.iter().find(|one| one.address == address) {
            return Err(taken(&holder.name));
        }
        // One that stays where it is has no rival: none could have come in meanwhile.
        if self.registered.get(id).map(|one| one.resolved) == Some(address) {
            return Ok(false);
        }
        let mut others = self.registered.iter();
        let Some((holder, held)) = others.find(|(_, one)| one.resolved == address) else {
            return Ok(false);
        };
        if held.deadline > now {
            return Err(taken(holder));
        }
        let holder = holder.clone();
        self.registered.remove(&holder);
        Ok(true)
    }

    /// Makes room for one more, at the expense of expired ones.
    fn make_room(&mut self, limit: usize, now: Moment) -> Result<(), Refusal> {
        if self.registered.len() < limit {
            return Ok(());
        }
        let is_alive = |one: &Registration| one.deadline > now;
        if self.registered.values().filter(|one| is_alive(one)).count() >= limit {
            return Err(Refusal::Full {
                upstream: self.upstream.clone(),
                limit,
            });
        }
        self.registered.retain(|_, one| is_alive(one));
        Ok(())
    }

    /// A registered backend leaves, and what the operator asked of it is forgotten.
    pub(super) fn leave(&mut self, place: &Place) -> Result<Effect, Refusal> {
        if self.registered.remove(&place.backend).is_some() {
            self.wishes.remove(&place.backend);
            return Ok(Effect::Rebuild);
        }
        if self.names().any(|name| name == place.backend) {
            return Err(Refusal::Configured(place.clone()));
        }
        let place = place.clone();
        Err(match self.discovered.source_of(&place.backend) {
            Some(source) => Refusal::Discovered {
                source_id: source.to_owned(),
                place,
            },
            None => Refusal::UnknownBackend(place),
        })
    }

    /// Remembers what the operator asks of a backend that is there.
    pub(super) fn amend(&mut self, place: &Place, change: Change) -> Result<Effect, Refusal> {
        if !self.has(&place.backend) {
            return Err(Refusal::UnknownBackend(place.clone()));
        }
        Ok(self.remember(&place.backend, change))
    }

    /// The same, also for one that is not there and may come back.
    pub(super) fn remember(&mut self, id: &str, change: Change) -> Effect {
        if self.wishes.len() >= MAX_WISHES {
            let found = self.discovered.ids().map(|(id, _)| id);
            let present: HashSet<String> = self.names().map(str::to_owned).chain(found).collect();
            self.wishes.retain(|id, _| present.contains(id));
        }
        let wish = self.wishes.entry(id.to_owned()).or_default();
        if let Some(mode) = change.mode {
            wish.mode = mode;
        }
        let before = wish.weight;
        if let Some(weight) = change.weight {
            wish.weight = match weight {
                Weighing::Fixed(weight) => Some(weight),
                Weighing::Own => None,
            };
        }
        Effect::rebuild_if(wish.weight != before)
    }

    /// Nothing is asked of this backend any more, whether it is there or not.
    pub(super) fn forget(&mut self, id: &str) -> Effect {
        let wish = self.wishes.remove(id);
        Effect::rebuild_if(wish.is_some_and(|wish| wish.weight.is_some()))
    }

    fn has(&self, id: &str) -> bool {
        self.registered.contains_key(id)
            || self.configured.iter().any(|one| one.name == id)
            || self.discovered.source_of(id).is_some()
    }

    /// The ids of those that are configured or registered.
    fn names(&self) -> impl Iterator<Item = &str> {
        let configured = self.configured.iter().map(|one| one.name.as_str());
        configured.chain(self.registered.keys().map(String::as_str))
    }

    /// Removes backends that expired a while ago, and returns when to look again.
    pub(super) fn sweep(
        &mut self,
        now: Moment,
        is_idle: impl Fn(&str) -> bool,
    ) -> (Effect, Option<Moment>) {
        let before = self.registered.len();
        self.registered.retain(|id, one| {
            if now < one.look {
                return true;
            }
            let last = one.deadline.after(LINGER_BUSY);
            let stays = now < last && !is_idle(id);
            one.look = last;
            if !stays {
                let upstream = &self.upstream;
                tracing::info!(upstream, backend = id, "registration expired: removed");
            }
            stays
        });
        (
            Effect::rebuild_if(self.registered.len() < before),
            self.next_look(),
        )
    }

    /// When the next registration is to be looked at.
    pub(super) fn next_look(&self) -> Option<Moment> {
        self.registered.values().map(|one| one.look).min()
    }
}

/// The address to use: the one in use where it is still right, or cannot be looked up now.
fn resolved(heartbeat: &Heartbeat, known: Option<&Registration>) -> Result<SocketAddr, Refusal> {
    let known = known.filter(|known| known.address == heartbeat.address);
    let candidates = &heartbeat.resolved;
    match known {
        Some(known) if candidates.is_empty() || candidates.contains(&known.resolved) => {
            Ok(known.resolved)
        }
        _ => candidates
            .first()
            .copied()
            .ok_or_else(|| Refusal::Unresolved(heartbeat.address.clone())),
    }
}

#[cfg(test)]
mod tests;
