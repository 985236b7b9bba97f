//! The series of the sources that backends are found by.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::family::Family;
use super::page::Page;

/// The series of one source of one upstream. They are exposed for as long as somebody holds the
/// handle, from the first report on.
#[derive(Debug)]
pub struct SourceMetrics {
    upstream: String,
    source: String,
    reading: Mutex<Reading>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// Whether it could be asked; `None` before the first report.
    up: Option<bool>,
    backends: usize,
    /// When it was last asked with success.
    unix_seconds: Option<u64>,
}

impl SourceMetrics {
    pub(super) fn new(upstream: &str, source: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
            source: source.to_owned(),
            reading: Mutex::default(),
        }
    }

    /// It was asked at this Unix time, and has so many backends.
    pub fn found(&self, backends: usize, unix_seconds: u64) {
        *self.reading() = Reading {
            up: Some(true),
            backends,
            unix_seconds: Some(unix_seconds),
        };
    }

    /// It could not be asked; what it had stays.
    pub fn failed(&self) {
        self.reading().up = Some(false);
    }

    pub(super) fn collect(&self, page: &mut Page) {
        let reading = *self.reading();
        let labels = &[self.upstream.as_str(), self.source.as_str()];
        let Some(up) = reading.up else { return };
        page.number(Family::DiscoveryUp, labels, f64::from(u8::from(up)));
        page.number(Family::DiscoveryBackends, labels, reading.backends as f64);
        if let Some(at) = reading.unix_seconds {
            page.number(Family::DiscoverySuccess, labels, at as f64);
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
