//! What one listener's connections are held to, changeable while it listens.
//!
//! A connection reads the settings once, when it is opened, so its requests pay
//! nothing for the fact that they can change. Each is a number of its own: one
//! that is read while they change may get some of the old and some of the new,
//! any of which are sound together.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::config;

/// The settings one connection goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) keepalive: Duration,
    pub(super) header_timeout: Duration,
    pub(super) max_header_bytes: usize,
    pub(super) h2c: bool,
}

impl Settings {
    pub(super) const fn of(listener: &config::Listener) -> Self {
        Self {
            keepalive: listener.keepalive,
            header_timeout: listener.header_timeout,
            max_header_bytes: listener.max_header_bytes,
            h2c: listener.h2c,
        }
    }
}

/// The settings for the next connection. Durations are in microseconds.
#[derive(Debug)]
pub(super) struct Shared {
    keepalive: AtomicU64,
    header_timeout: AtomicU64,
    max_header_bytes: AtomicUsize,
    h2c: AtomicBool,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            keepalive: AtomicU64::new(micros(settings.keepalive)),
            header_timeout: AtomicU64::new(micros(settings.header_timeout)),
            max_header_bytes: AtomicUsize::new(settings.max_header_bytes),
            h2c: AtomicBool::new(settings.h2c),
        }
    }

    pub(super) fn set(&self, settings: Settings) {
        let (keepalive, header) = (settings.keepalive, settings.header_timeout);
        self.keepalive.store(micros(keepalive), Ordering::Relaxed);
        self.header_timeout.store(micros(header), Ordering::Relaxed);
        self.max_header_bytes
            .store(settings.max_header_bytes, Ordering::Relaxed);
        self.h2c.store(settings.h2c, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Settings {
        let duration = |micros: &AtomicU64| Duration::from_micros(micros.load(Ordering::Relaxed));
        Settings {
            keepalive: duration(&self.keepalive),
            header_timeout: duration(&self.header_timeout),
            max_header_bytes: self.max_header_bytes.load(Ordering::Relaxed),
            h2c: self.h2c.load(Ordering::Relaxed),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_the_next_connection_gets() {
        let settings = |seconds: u64, h2c| Settings {
            keepalive: Duration::from_secs(seconds),
            header_timeout: Duration::from_millis(seconds),
            max_header_bytes: 1024,
            h2c,
        };
        let shared = Shared::new(settings(65, true));
        assert_eq!(shared.get(), settings(65, true));
        shared.set(settings(5, false));
        assert_eq!(shared.get(), settings(5, false));
    }
}
