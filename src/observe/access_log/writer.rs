//! The thread that formats and writes.
//!
//! Under traffic it looks into the queue every [`TICK`] instead of waiting on
//! it, because a sender that wakes a waiting receiver pays for it with a system
//! call in the middle of a request. Only after an empty tick does it wait, so
//! an idle process sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::clock::{self, Moment};
use crate::observe::metrics::Counter;

use super::entry::Entry;
use super::format::{self, Anchor};
use super::settings::Settings;
use super::sink::{Loss, Sink};

/// How long lines gather before they are written.
const TICK: Duration = Duration::from_millis(20);

/// Bytes formatted before they are written.
const BATCH_BYTES: usize = 256 * 1024;

/// Failures are reported at most this often.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// What is sent to the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// A line to write.
    Entry(Box<Entry>),
    /// Look at [`Writer::closing`].
    Wake,
}

/// The writing end.
pub(super) struct Writer {
    pub(super) queue: Receiver<Message>,
    pub(super) settings: Arc<Settings>,
    pub(super) sink: Sink,
    pub(super) dropped: Arc<Counter>,
    /// Set when what is queued is all that will be written.
    pub(super) closing: Arc<AtomicBool>,
    pub(super) reported: Option<Moment>,
}

impl Writer {
    /// Writes until it is closed and the queue is empty, or all senders are gone.
    pub(super) fn run(mut self) {
        let mut lines = Vec::with_capacity(BATCH_BYTES + 16 * 1024);
        while let Ok(first) = self.queue.recv() {
            let mut next = Some(first);
            loop {
                let closing = self.closing.load(Ordering::Acquire);
                let quiet = self.drain(next.take(), &mut lines);
                if closing {
                    return;
                }
                if quiet {
                    break;
                }
                thread::park_timeout(TICK);
            }
        }
    }

    /// Writes what is queued; `true` when that was nothing.
    fn drain(&mut self, first: Option<Message>, lines: &mut Vec<u8>) -> bool {
        let mut anchor = anchor();
        let format = self.settings.format();
        let mut quiet = true;
        let mut next = first.map_or_else(|| self.queue.try_recv(), Ok);
        loop {
            match next {
                Ok(Message::Entry(entry)) => {
                    quiet = false;
                    format::append(format, &entry, &anchor, lines);
                    if lines.len() >= BATCH_BYTES {
                        self.write(lines, anchor.moment);
                        anchor = self::anchor();
                    }
                }
                Ok(Message::Wake) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            next = self.queue.try_recv();
        }
        self.write(lines, anchor.moment);
        quiet
    }

    fn write(&mut self, lines: &mut Vec<u8>, now: Moment) {
        if lines.is_empty() {
            return;
        }
        if let Err(loss) = self.sink.write(lines) {
            self.dropped.add(loss.lines);
            self.report(&loss, now);
        }
        lines.clear();
    }

    pub(super) fn report(&mut self, loss: &Loss, now: Moment) {
        let due = |last: Moment| now.since(last) >= REPORT_EVERY;
        if self.reported.is_none_or(due) {
            self.reported = Some(now);
            let (error, lines) = (&loss.error, loss.lines);
            tracing::error!(%error, lines, "writing the access log failed; lines are lost");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge the ban points to")]
fn anchor() -> Anchor {
    Anchor {
        moment: clock::now(),
        wall: SystemTime::now(),
    }
}
