//! The one place that builds and publishes snapshots.
//!
//! Backends come from several sources: the configuration, heartbeats, the
//! operator. Were each to publish by itself, one would undo what another just
//! did. So every source hands its change to this task, which keeps what each of
//! them said, builds the whole from it and publishes that. The snapshot a
//! process starts with takes the same way.
//!
//! A new configuration is one more change: what was said about the backends of
//! upstreams that stay is kept, see `Set::reconfigure`.
//!
//! Commands that have piled up are taken together and cost one snapshot. A
//! renewal costs none: it moves a deadline in the endpoint, and the upstream
//! itself notices when that passes. The task then only tidies up, woken by a
//! timer that is set for the next deadline.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use command::{
    Change, Commands, Heartbeat, Inherited, Lease, Place, Record, Records, Refusal, Reported, Tag,
    Told, Weighing,
};
pub use origin::{Loads, Origin, Transports};

use crate::clock::{self, Moment};
use crate::config::Config;
use crate::observe::metrics::Metrics;
use crate::snapshot::{Group, Parts, Published, Snapshot};
use crate::upstream::sticky::Signer;
use crate::upstream::{Journal, Member, Mode, Resolved};
use command::{Answer, Command, QUEUE, position};
use departed::Departed;
pub use found::{Found, Sighting, Taken};
use inherit::inherit;
use news::{About, News};
use origin::Load;
use reply::Reply;
use set::{Effect, Set};
use steer::steered;

mod command;
mod departed;
mod found;
mod inherit;
mod load;
mod news;
mod origin;
mod reply;
mod set;
mod steer;

/// Commands taken at a time.
const BATCH: usize = 256;

/// What every snapshot of the process is built with.
pub struct Lasting {
    /// Where the series live.
    pub metrics: Arc<Metrics>,
    /// Where the upstreams' events go.
    pub journal: Journal,
    /// Signs sticky cookies where the configuration has no secret.
    pub random: [u8; 32],
    /// Decides where each upstream's turns begin.
    pub seed: u64,
}

/// Keeps what the backends should be, and publishes it.
pub struct Reconciler<T> {
    origin: Origin<T>,
    lasting: Lasting,
    signer: Arc<Signer>,
    /// One for each upstream, in the configuration's order.
    sets: Vec<Set>,
    /// The published members' positions by name, for each upstream.
    positions: Vec<HashMap<String, usize>>,
    published: Arc<Published<T>>,
    queue: mpsc::Receiver<Command>,
    loads: (mpsc::Sender<Load<T>>, mpsc::Receiver<Load<T>>),
    departed: Departed,
    /// No registration is to be looked at before; `None` where there is none.
    look: Option<Moment>,
}

impl<T> Reconciler<T> {
    /// Publishes the first snapshot. What is inherited and refused here is told in the log.
    #[must_use]
    pub fn new(
        mut origin: Origin<T>,
        lasting: Lasting,
        inherited: &Inherited,
        now: Moment,
    ) -> (Self, Commands) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let mut sets = origin.sets(HashMap::new());
        let news = inherit(inherited, &origin.config, &mut sets, now);
        let signer = signer(&origin.config, &lasting);
        let first = build(&origin, &lasting, &signer, &sets, None, now);
        let positions = positions(&first);
        let reconciler = Self {
            published: Arc::new(Published::new(first)),
            origin,
            lasting,
            signer,
            look: sets.iter().filter_map(Set::next_look).min(),
            sets,
            positions,
            queue,
            loads: mpsc::channel(origin::QUEUE),
            departed: Departed::default(),
        };
        reconciler.tell(&reconciler.published.load(), &news, now);
        (reconciler, Commands::new(sender))
    }

    /// Where the snapshots are published.
    #[must_use]
    pub const fn published(&self) -> &Arc<Published<T>> {
        &self.published
    }

    /// Does what it is told, until nobody is left who could.
    pub async fn run(&mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let look = self.look.into_iter().chain(self.departed.look()).min();
            let due = async {
                match look {
                    Some(look) => tokio::time::sleep(look.since(clock::now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                taken = self.queue.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                Some(load) = self.loads.1.recv() => self.succeed(load, clock::now()),
                () = due => {}
            }
            self.settle(&mut batch, clock::now());
        }
    }

    /// Carries the commands out, publishes what follows, and answers.
    fn settle(&mut self, batch: &mut Vec<Command>, now: Moment) {
        let mut effect = self.sweep(now);
        let (mut news, mut replies) = (Vec::new(), Vec::with_capacity(batch.len()));
        for command in batch.drain(..) {
            let (reply, follows) = self.obey(command, now, &mut news);
            replies.push(reply);
            if follows == Effect::Rebuild {
                effect = follows;
            }
        }
        match effect {
            Effect::Rebuild => self.publish(&news, now),
            Effect::None => self.tell(&self.published.load(), &news, now),
        }
        replies.into_iter().for_each(Reply::send);
        self.see_off(now);
    }

    fn obey(&mut self, command: Command, now: Moment, news: &mut Vec<News>) -> (Reply, Effect) {
        match command {
            Command::Report(heartbeat, answer) => {
                let result = self.change(&heartbeat.place, About::Deadline, news, |set| {
                    let (reported, effect) = set.report(&heartbeat, now)?;
                    let look = set.deadlines(&heartbeat.place.backend);
                    Ok((reported, effect, look.map(|(_, look)| look)))
                });
                let Ok((reported, effect, look)) = result else {
                    return (
                        Reply::Reported(answer, result.map(|done| done.0)),
                        Effect::None,
                    );
                };
                self.look = self.look.into_iter().chain(look).min();
                (Reply::Reported(answer, Ok(reported)), effect)
            }
            Command::Leave(place, answer) => {
                let result = self.change(&place, About::Mode, news, |set| set.leave(&place));
                done(answer, result)
            }
            Command::Amend(place, change, answer) => {
                let about = About::Mode;
                let result = self.change(&place, about, news, |set| set.amend(&place, change));
                done(answer, result)
            }
            Command::Forget(place, answer) => {
                let result = self.change(&place, About::Mode, news, |set| {
                    Ok(set.forget(&place.backend))
                });
                done(answer, result)
            }
            Command::Steer(upstream, algorithm, answer) => {
                let found = position(&self.origin.config, &upstream);
                let effect = found.map(|upstream| self.sets[upstream].steer(algorithm));
                done(answer, effect)
            }
            Command::Recall(upstream, answer) => {
                let found = position(&self.origin.config, &upstream);
                let told = found.map(|upstream| self.sets[upstream].told());
                (Reply::Recalled(answer, told), Effect::None)
            }
            Command::Find(sighting, answer) => {
                let result = self.find(sighting);
                let effect = result.as_ref().map_or(Effect::None, |(_, effect)| *effect);
                (Reply::Taken(answer, result.map(|(taken, _)| taken)), effect)
            }
            Command::Hold(answer) => {
                for (upstream, set) in self.sets.iter_mut().enumerate() {
                    let held = set.hold(now).into_iter();
                    news.extend(held.map(|backend| News {
                        upstream,
                        backend,
                        about: About::Deadline,
                    }));
                }
                done(answer, Ok(Effect::None))
            }
            Command::Provided(tags, command) => match self.is_as(&tags, &command) {
                Ok(()) => self.obey(*command, now, news),
                Err(refusal) => (Reply::refused(*command, refusal), Effect::None),
            },
        }
    }

    /// Whether the upstream that a command is about has one of these tags.
    fn is_as(&self, tags: &[Tag], command: &Command) -> Result<(), Refusal> {
        let Some(upstream) = command.upstream() else {
            return Ok(());
        };
        let found = position(&self.origin.config, upstream)?;
        if tags.contains(&self.sets[found].tag()) {
            return Ok(());
        }
        Err(Refusal::Changed(upstream.to_owned()))
    }

    fn find(&mut self, sighting: Sighting) -> Result<(Taken, Effect), Refusal> {
        let upstream = position(&self.origin.config, &sighting.upstream)?;
        Ok(self.sets[upstream].find(&sighting.source, sighting.found))
    }

    fn change<R>(
        &mut self,
        place: &Place,
        about: About,
        news: &mut Vec<News>,
        change: impl FnOnce(&mut Set) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let upstream = position(&self.origin.config, &place.upstream)?;
        let result = change(&mut self.sets[upstream])?;
        news.push(News {
            upstream,
            backend: place.backend.clone(),
            about,
        });
        Ok(result)
    }

    /// Removes registrations that expired a while ago, once one is due to be looked at.
    fn sweep(&mut self, now: Moment) -> Effect {
        if self.look.is_none_or(|look| now < look) {
            return Effect::None;
        }
        let current = self.published.load();
        let mut effect = Effect::None;
        self.look = None;
        for (index, set) in self.sets.iter_mut().enumerate() {
            let positions = &self.positions[index];
            let members = current.groups()[index].upstream.members();
            let (follows, look) = set.sweep(now, |id| {
                let member = positions.get(id).map(|&position| &members[position]);
                member.is_none_or(|member| member.endpoint.in_flight() == 0)
            });
            if follows == Effect::Rebuild {
                effect = follows;
            }
            self.look = self.look.into_iter().chain(look).min();
        }
        effect
    }

    /// Builds the next snapshot from everything that is known, and publishes it.
    fn publish(&mut self, news: &[News], now: Moment) {
        let previous = self.published.load();
        let (origin, lasting, before) = (&self.origin, &self.lasting, Some(&*previous));
        let next = build(origin, lasting, &self.signer, &self.sets, before, now);
        self.positions = positions(&next);
        self.tell(&next, news, now);
        for (set, group) in self.sets.iter().zip(next.groups()) {
            remind(set, group, previous.group_named(group.upstream.name()), now);
        }
        let until = now.after(self.origin.config.server.drain_timeout);
        self.departed.note(&previous, &next, now, until);
        self.published.publish(next);
    }

    /// Tells the live state of the backends what is new about them.
    fn tell(&self, snapshot: &Snapshot<T>, news: &[News], now: Moment) {
        for item in news {
            let Some(&member) = self.positions[item.upstream].get(&item.backend) else {
                continue;
            };
            let upstream = &snapshot.groups()[item.upstream].upstream;
            let set = &self.sets[item.upstream];
            match (item.about, set.deadlines(&item.backend)) {
                (About::Deadline, Some((deadline, _))) => {
                    upstream.renew(member, now, deadline.since(now));
                }
                (About::Deadline, None) => {}
                (About::Mode, _) => upstream.set_mode(member, now, set.mode(&item.backend)),
            }
        }
    }
}

fn done(answer: Answer<()>, result: Result<Effect, Refusal>) -> (Reply, Effect) {
    let effect = result.as_ref().copied().unwrap_or(Effect::None);
    (Reply::Done(answer, result.map(drop)), effect)
}

/// Tells members with a live state of their own making what was asked of their names before.
fn remind<T>(set: &Set, group: &Group<T>, before: Option<&Group<T>>, now: Moment) {
    let kept = |member: &Member| {
        let mut before = before
            .into_iter()
            .flat_map(|group| group.upstream.members());
        before.any(|one| Arc::ptr_eq(&one.endpoint, &member.endpoint))
    };
    for (position, member) in group.upstream.members().iter().enumerate() {
        let mode = set.mode(member.endpoint.name());
        if mode != Mode::Active && !kept(member) {
            group.upstream.set_mode(position, now, mode);
        }
    }
}

fn build<T>(
    origin: &Origin<T>,
    lasting: &Lasting,
    signer: &Arc<Signer>,
    sets: &[Set],
    previous: Option<&Snapshot<T>>,
    now: Moment,
) -> Snapshot<T> {
    let resolved: Vec<Vec<Resolved>> = sets.iter().map(Set::resolved).collect();
    let parts = Parts {
        resolved: &resolved,
        signer,
        metrics: &lasting.metrics,
        transport: &*origin.transports,
        journal: &lasting.journal,
        now,
        seed: lasting.seed,
    };
    Snapshot::build(steered(&origin.config, sets), &parts, previous)
}

/// Signs cookies with the configured secret, or else with what this process has for that.
fn signer(config: &Config, lasting: &Lasting) -> Arc<Signer> {
    Arc::new(Signer::new(config.server.secret.as_ref(), lasting.random))
}

fn positions<T>(snapshot: &Snapshot<T>) -> Vec<HashMap<String, usize>> {
    let names = |group: &Group<T>| {
        let members = group.upstream.members().iter().enumerate();
        members
            .map(|(position, member)| (member.endpoint.name().to_owned(), position))
            .collect()
    };
    snapshot.groups().iter().map(names).collect()
}

#[cfg(test)]
pub(super) mod tests;
