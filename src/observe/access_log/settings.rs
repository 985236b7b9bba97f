//! What of the access log can change while it is written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::config::{AccessLog, LogFormat};

/// Which requests are logged, and how.
#[derive(Debug)]
pub(super) struct Settings {
    /// The bits of an `f64` between 0 and 1.
    sample: AtomicU64,
    /// JSON, or else text.
    json: AtomicBool,
}

impl Settings {
    pub(super) fn of(config: &AccessLog) -> Self {
        Self {
            sample: AtomicU64::new(config.sample.ratio().to_bits()),
            json: AtomicBool::new(config.format == LogFormat::Json),
        }
    }

    pub(super) fn set(&self, config: &AccessLog) {
        let sample = config.sample.ratio().to_bits();
        self.sample.store(sample, Ordering::Relaxed);
        let json = config.format == LogFormat::Json;
        self.json.store(json, Ordering::Relaxed);
    }

    /// Share of the requests that are logged.
    pub(super) fn sample(&self) -> f64 {
        f64::from_bits(self.sample.load(Ordering::Relaxed))
    }

    pub(super) fn format(&self) -> LogFormat {
        if self.json.load(Ordering::Relaxed) {
            LogFormat::Json
        } else {
            LogFormat::Text
        }
    }
}
