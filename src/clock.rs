//! The one place that reads the machine's clock.
//!
//! Everything that decides takes a [`Moment`] as a parameter, so tests run in
//! virtual time. A `Moment` is a plain number and fits an atomic, which lets a
//! backend's live state hold instants without a lock.

use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

/// Microseconds of monotonic time since the first call to [`now`] in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start of the process's time.
    pub const ZERO: Self = Self(0);

    /// The moment `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved back by `by`; saturates at the start.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// This moment moved forward by `by`; saturates at the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// The present moment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge the ban points to")]
pub fn now() -> Moment {
    static START: OnceCell<Instant> = OnceCell::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    Moment(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

/// Seconds of wall-clock time since 1970, for what outlives the process: cookies and logs.
#[must_use]
pub fn unix_seconds() -> u64 {
    unix_millis() / 1000
}

/// Milliseconds of wall-clock time since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge the ban points to")]
pub fn unix_millis() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}
