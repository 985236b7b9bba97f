//! What the process before this one was told, told to the sets.

use super::command::{Inherited, Place, Refusal, position};
use super::news::{About, News};
use super::set::Set;
use crate::clock::Moment;
use crate::config::Config;

/// Tells the sets what the process before this one was told.
pub(super) fn inherit(
    inherited: &Inherited,
    config: &Config,
    sets: &mut [Set],
    now: Moment,
) -> Vec<News> {
    let mut news = Vec::new();
    let mut note = |place: &Place, about, result: Result<usize, Refusal>| match result {
        Ok(upstream) => news.push(News {
            upstream,
            backend: place.backend.clone(),
            about,
        }),
        Err(refusal) => {
            let Place { upstream, backend } = place;
            tracing::warn!(upstream, backend, "not taken over: {refusal}");
        }
    };
    for heartbeat in &inherited.heartbeats {
        let place = &heartbeat.place;
        let taken = position(config, &place.upstream)
            .and_then(|upstream| sets[upstream].report(heartbeat, now).map(|_| upstream));
        note(place, About::Deadline, taken);
    }
    for (place, change) in &inherited.wishes {
        let known = position(config, &place.upstream).inspect(|&upstream| {
            sets[upstream].remember(&place.backend, *change);
        });
        note(place, About::Mode, known);
    }
    for (upstream, algorithm) in &inherited.algorithms {
        match position(config, upstream) {
            Ok(position) => drop(sets[position].steer(Some(*algorithm))),
            Err(refusal) => tracing::warn!(upstream, "not taken over: {refusal}"),
        }
    }
    news
}
