//! The access log: one line per request, written by a thread of its own.
//!
//! A request leaves its line in a bounded queue and goes on. When the writer
//! cannot keep up, because a disk or a pipe is stuck, the queue fills and
//! further lines are dropped and counted: a log must never hold up traffic.
//! A line is stamped with the time at which the request's header had arrived,
//! reckoned from the monotonic clock by the writer, so the request path reads
//! no clock for it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use http::StatusCode;

use crate::config;

use super::metrics::Counter;
use super::outcome::{Description, Handles, Outcome};
use entry::Entry;
use settings::Settings;
use sink::Sink;
use writer::{Message, Writer};

mod entry;
mod format;
mod settings;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

/// Lines that may wait to be written.
pub const QUEUE_LINES: usize = 8192;

/// How long [`AccessLog::close`] waits for a destination that is stuck.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The access log of one instance.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    settings: Arc<Settings>,
    dropped: Arc<Counter>,
    closing: Arc<AtomicBool>,
    /// The writer and what tells its end, until closed.
    writer: Mutex<Option<(Thread, Receiver<()>)>>,
}

impl AccessLog {
    /// Opens the destination and starts the writer. Lines lost are added to
    /// `dropped`.
    pub fn open(config: &config::AccessLog, dropped: Arc<Counter>) -> io::Result<Self> {
        let (queue, entries) = mpsc::sync_channel(QUEUE_LINES);
        let (log, writer) = Self::new(config, dropped, queue, entries)?;
        let (end, ended) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("access-log".to_owned());
        let thread = thread.spawn(move || {
            writer.run();
            drop(end);
        })?;
        *log.writer.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((thread.thread().clone(), ended));
        Ok(log)
    }

    fn new(
        config: &config::AccessLog,
        dropped: Arc<Counter>,
        queue: SyncSender<Message>,
        entries: Receiver<Message>,
    ) -> io::Result<(Self, Writer)> {
        let closing = Arc::new(AtomicBool::new(false));
        let settings = Arc::new(Settings::of(config));
        let writer = Writer {
            queue: entries,
            settings: Arc::clone(&settings),
            sink: Sink::open(&config.path)?,
            dropped: Arc::clone(&dropped),
            closing: Arc::clone(&closing),
            reported: None,
        };
        let log = Self {
            queue,
            settings,
            dropped,
            closing,
            writer: Mutex::new(None),
        };
        Ok((log, writer))
    }

    /// Whether a request with this status is logged. `draw` is uniform in
    /// [0, 1) and asked for only when the sample is partial; errors of ours and
    /// backends' (5xx) are always logged.
    pub fn wants(&self, status: StatusCode, draw: impl FnOnce() -> f64) -> bool {
        let sample = self.settings.sample();
        sample >= 1.0 || status.is_server_error() || (sample > 0.0 && draw() < sample)
    }

    /// Takes over format and sample of another configuration; the destination stays.
    pub fn adapt(&self, config: &config::AccessLog) {
        self.settings.set(config);
    }

    /// Queues the line of one request; drops and counts it when the queue is full.
    pub fn log(&self, outcome: &Outcome<'_>, handles: &Handles<'_>, description: &Description<'_>) {
        let entry = Entry::new(outcome, handles, description);
        let message = Message::Entry(Box::new(entry));
        if self.closing.load(Ordering::Relaxed) || self.queue.try_send(message).is_err() {
            self.dropped.inc();
        }
    }

    /// Writes every line queued before this call and ends the writer. Lines
    /// that come later are dropped and counted. Gives up after two seconds on a
    /// destination that takes no more. Calling it again does nothing.
    pub fn close(&self) {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((thread, ended)) = writer else {
            return;
        };
        self.closing.store(true, Ordering::Release);
        // A writer that waits needs waking; one whose queue is full does not wait.
        let _ = self.queue.try_send(Message::Wake);
        thread.unpark();
        if ended.recv_timeout(CLOSE_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the access log's destination is stuck; the last lines are lost");
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}
