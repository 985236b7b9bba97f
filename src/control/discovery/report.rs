//! Telling what a look came to: the backends to the reconciler, the rest to people.

use std::sync::Arc;

use crate::clock;
use crate::control::reconcile::{Commands, Found, Taken};
use crate::control::timeline::{Happening, Timeline};
use crate::observe::metrics::SourceMetrics;

/// Characters of a reason that are told; a file can be wrong in a thousand places.
const MAX_REASON: usize = 2_000;

/// Tells about one source of one upstream.
pub(super) struct Reporter {
    pub(super) upstream: String,
    pub(super) source: String,
    pub(super) commands: Commands,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) timeline: Arc<Timeline>,
    pub(super) told: Told,
}

/// What people know of the source.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Why it is down; `None` when it is up.
    down: Option<String>,
    /// Whether they know what it has; what it had at the start is told once.
    has_found: bool,
    left_out: usize,
}

/// What is new to people.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// It is down, for this reason.
    Down(String),
    /// It answers again.
    Up,
}

impl Reporter {
    /// Tells what a look came to.
    pub(super) async fn tell(&mut self, seen: Result<Vec<Found>, String>) {
        let news = match seen {
            Ok(found) => {
                let told = self.commands.found(&self.upstream, &self.source, found);
                // The reconciler has ended with the process.
                let Ok(taken) = told.await else { return };
                self.metrics.found(taken.kept, clock::unix_seconds());
                self.log(taken);
                self.told.up()
            }
            Err(reason) => {
                self.metrics.failed();
                self.told.down(shortened(reason))
            }
        };
        if let Some(news) = news {
            self.publish(news);
        }
    }

    fn log(&mut self, taken: Taken) {
        let (upstream, source) = (&self.upstream, &self.source);
        let Taken {
            kept: backends,
            left_out,
            joined,
            left,
        } = taken;
        if joined + left > 0 || !self.told.has_found {
            tracing::info!(upstream, source, backends, joined, left, "backends found");
        }
        if left_out > 0 && left_out != self.told.left_out {
            let message = "more backends than `max_backends`: the others are left out";
            tracing::warn!(upstream, source, backends, left_out, "{message}");
        }
        self.told.has_found = true;
        self.told.left_out = left_out;
    }

    fn publish(&self, news: News) {
        let (upstream, source) = (&self.upstream, &self.source);
        let (up, detail) = match news {
            News::Down(reason) => {
                let message = "source of backends is down: the last known ones stay";
                tracing::warn!(upstream, source, reason, "{message}");
                (false, reason)
            }
            News::Up => {
                tracing::info!(upstream, source, "source of backends is back");
                (true, "it answers again".to_owned())
            }
        };
        self.timeline.note(Happening::Source {
            upstream: upstream.clone(),
            source: source.clone(),
            up,
            detail,
        });
    }
}

impl Told {
    fn up(&mut self) -> Option<News> {
        self.down.take().map(|_| News::Up)
    }

    /// Told once for each reason.
    fn down(&mut self, reason: String) -> Option<News> {
        if self.down.as_ref() == Some(&reason) {
            return None;
        }
        self.down = Some(reason.clone());
        Some(News::Down(reason))
    }
}

fn shortened(reason: String) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_once() {
        let mut told = Told::default();
        let down = |reason: &str| Some(News::Down(reason.to_owned()));
        assert_eq!(told.up(), None, "it was never down");
        assert_eq!(told.down("a".to_owned()), down("a"));
        assert_eq!(told.down("a".to_owned()), None);
        assert_eq!(told.down("b".to_owned()), down("b"), "another mistake");
        assert_eq!(told.up(), Some(News::Up));
        assert_eq!(told.up(), None);
        assert_eq!(told.down("b".to_owned()), down("b"));
    }

    #[test]
    fn a_reason_is_bounded() {
        assert_eq!(shortened("é".repeat(3_000)).chars().count(), MAX_REASON + 1);
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
