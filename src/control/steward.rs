//! Looks after the upstreams: gives each overseer its turns, and keeps the
//! record of what happened to the backends.
//!
//! Everything is judged in [`upstream`](crate::upstream), in terms of a moment
//! that is given; this is the clock that gives it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::timeline::{Happening, Timeline};
use crate::clock;
use crate::observe::metrics::Metrics;
use crate::snapshot::{Published, Snapshot};
use crate::state::State;
use crate::upstream::{Event, EventKind, Overseer};

/// How often the overseers get their turn.
const TICK: Duration = Duration::from_millis(50);

/// Gives every upstream's overseer its turns, until the task is dropped.
pub async fn oversee<T>(published: Arc<Published<T>>)
where
    T: Send + Sync,
{
    let mut overseers = HashMap::new();
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        tick(&published.load(), &mut overseers);
    }
}

fn tick<T>(snapshot: &Snapshot<T>, overseers: &mut HashMap<String, Overseer>) {
    let groups = snapshot.groups();
    if overseers.len() > groups.len() {
        overseers.retain(|name, _| groups.iter().any(|group| group.upstream.name() == name));
    }
    for group in groups {
        let name = group.upstream.name();
        if !overseers.contains_key(name) {
            overseers.insert(name.to_owned(), Overseer::default());
        }
        if let Some(overseer) = overseers.get_mut(name) {
            overseer.tick(&group.upstream, clock::now());
        }
    }
}

/// Writes down what happens to the backends, until nobody is left to tell.
pub async fn record(
    mut events: mpsc::Receiver<Event>,
    metrics: Arc<Metrics>,
    timeline: Arc<Timeline>,
) {
    while let Some(event) = events.recv().await {
        count(&event, &metrics);
        log(&event);
        timeline.note(happening(event));
    }
}

fn happening(event: Event) -> Happening {
    let upstream = event.upstream.to_string();
    match event.kind {
        EventKind::State {
            backend,
            from,
            to,
            reason,
            detail,
        } => Happening::Backend {
            upstream,
            backend: backend.to_string(),
            from,
            to,
            reason,
            detail,
        },
        EventKind::Observed {
            backend,
            reason,
            detail,
        } => Happening::Observed {
            upstream,
            backend: backend.to_string(),
            reason,
            detail,
        },
        EventKind::Switched { from, to, detail } => Happening::Algorithm {
            upstream,
            from,
            to,
            detail,
        },
    }
}

fn count(event: &Event, metrics: &Metrics) {
    match &event.kind {
        EventKind::State {
            backend,
            to: State::Ejected,
            reason,
            ..
        } => metrics.backend(&event.upstream, backend).ejected(*reason),
        EventKind::Observed {
            backend, reason, ..
        } => metrics.backend(&event.upstream, backend).observed(*reason),
        EventKind::Switched { to, .. } => metrics.upstream(&event.upstream).switched(*to),
        EventKind::State { .. } => {}
    }
}

fn log(event: &Event) {
    let upstream = &*event.upstream;
    match &event.kind {
        EventKind::State {
            backend,
            from,
            to,
            reason,
            detail,
        } => {
            let (from, state, reason) = (from.label(), to.label(), reason.label());
            let detail = detail.as_deref();
            if to.is_available() || !to.is_counted() {
                tracing::info!(upstream, %backend, from, state, reason, detail, "backend changed state");
            } else {
                tracing::warn!(upstream, %backend, from, state, reason, detail, "backend changed state");
            }
        }
        EventKind::Observed {
            backend,
            reason,
            detail,
        } => {
            let reason = reason.label();
            tracing::warn!(upstream, %backend, reason, detail, "backend would be ejected");
        }
        EventKind::Switched { from, to, detail } => {
            let (from, algorithm) = (from.name(), to.name());
            tracing::info!(upstream, from, algorithm, detail, "algorithm switched");
        }
    }
}
