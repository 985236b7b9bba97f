//! How many connections are open, and how many may be.
//!
//! Counted per process, per listener and, where configured, per client address.
//! A [`Permit`] counts for as long as it lives, so every way a connection can
//! end gives its place back. Only the per-address count takes a lock, once when
//! a connection opens and once when it closes, never for a request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Stands for no limit per address; nothing is counted then.
const UNLIMITED: u32 = u32::MAX;

/// A count with an upper bound.
#[derive(Debug)]
pub(super) struct Cap {
    limit: AtomicUsize,
    open: AtomicUsize,
}

impl Cap {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            open: AtomicUsize::new(0),
        }
    }

    /// Sets another bound; what is open beyond it stays open.
    pub(super) fn limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>) -> Option<CapPermit> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let permit = CapPermit(Arc::clone(self));
        (before < self.limit.load(Ordering::Relaxed)).then_some(permit)
    }
}

#[derive(Debug)]
struct CapPermit(Arc<Cap>);

impl Drop for CapPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections per client address; holds only addresses with one open. What was opened while
/// there was no limit is not in it.
#[derive(Debug)]
struct PerAddress {
    limit: AtomicU32,
    open: Mutex<HashMap<IpAddr, u32>>,
}

impl PerAddress {
    fn enter(self: &Arc<Self>, address: IpAddr, limit: u32) -> Option<AddressPermit> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(AddressPermit {
            counts: Arc::clone(self),
            address,
        })
    }
}

#[derive(Debug)]
struct AddressPermit {
    counts: Arc<PerAddress>,
    address: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self
            .counts
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// The limits of one listener, and the process's.
#[derive(Debug)]
pub(super) struct Caps {
    total: Arc<Cap>,
    listener: Arc<Cap>,
    per_address: Arc<PerAddress>,
}

/// One counted connection.
#[derive(Debug)]
pub(super) struct Permit {
    _total: CapPermit,
    _listener: CapPermit,
    _address: Option<AddressPermit>,
}

impl Caps {
    pub(super) fn new(total: Arc<Cap>, listener: usize, per_address: Option<u32>) -> Self {
        Self {
            total,
            listener: Arc::new(Cap::new(listener)),
            per_address: Arc::new(PerAddress {
                limit: AtomicU32::new(per_address.unwrap_or(UNLIMITED)),
                open: Mutex::default(),
            }),
        }
    }

    /// Sets other limits for connections that come from now on.
    pub(super) fn limit(&self, listener: usize, per_address: Option<u32>) {
        self.listener.limit(listener);
        let per_address = per_address.unwrap_or(UNLIMITED);
        self.per_address.limit.store(per_address, Ordering::Relaxed);
    }

    /// Counts a connection from `address`; `None` when a limit is reached.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Permit> {
        Some(Permit {
            _total: self.total.enter()?,
            _listener: self.listener.enter()?,
            _address: match self.per_address.limit.load(Ordering::Relaxed) {
                UNLIMITED => None,
                limit => Some(self.per_address.enter(address, limit)?),
            },
        })
    }

    /// Connections open on this listener.
    pub(super) fn open(&self) -> usize {
        self.listener.open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_refused_connection_is_not_counted() {
        let caps = Caps::new(Arc::new(Cap::new(10)), 1, None);
        let first = caps.admit(A);
        assert!(first.is_some());
        assert!(caps.admit(A).is_none());
        assert_eq!(caps.open(), 1);
        drop(first);
        assert_eq!(caps.open(), 0);
        assert!(caps.admit(A).is_some());
    }

    #[test]
    fn the_process_limit_spans_listeners() {
        let total = Arc::new(Cap::new(1));
        let one = Caps::new(Arc::clone(&total), 5, None);
        let two = Caps::new(Arc::clone(&total), 5, None);
        let held = one.admit(A);
        assert!(two.admit(A).is_none());
        drop(held);
        assert!(two.admit(A).is_some());
    }

    #[test]
    fn limits_can_change_while_connections_are_open() {
        let total = Arc::new(Cap::new(10));
        let caps = Caps::new(Arc::clone(&total), 1, None);
        let first = caps.admit(A);
        caps.limit(2, Some(1));
        let second = caps.admit(A);
        assert!(
            first.is_some() && second.is_some(),
            "the first was not counted"
        );
        assert!(caps.admit(B).is_none(), "two are open");
        caps.limit(3, Some(1));
        assert!(caps.admit(A).is_none() && caps.admit(B).is_some());
        caps.limit(3, None);
        assert!(caps.admit(A).is_some());
        total.limit(1);
        assert!(caps.admit(B).is_none());
    }

    #[test]
    fn addresses_are_counted_apart_and_forgotten() {
        let caps = Caps::new(Arc::new(Cap::new(10)), 10, Some(1));
        let held = caps.admit(A);
        assert!(caps.admit(A).is_none());
        assert!(caps.admit(B).is_some());
        drop(held);
        assert!(
            caps.per_address
                .open
                .lock()
                .expect("not poisoned")
                .is_empty()
        );
        assert_eq!(caps.open(), 0);
    }
}
