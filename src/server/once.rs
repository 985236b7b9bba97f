//! What a service takes when it starts: Pingora starts it through a shared reference.

use std::sync::{Mutex, PoisonError};

/// Holds something until it is taken.
pub(super) struct TakeOnce<T>(Mutex<Option<T>>);

impl<T> TakeOnce<T> {
    pub(super) const fn new(value: Option<T>) -> Self {
        Self(Mutex::new(value))
    }

    /// What it holds, the first time.
    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
