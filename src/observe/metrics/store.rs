//! Who holds which series, and one scrape over all of them.
//!
//! The store keeps its handles by weak reference: asking again for a key that
//! is still held gives the same handle, so a rebuilt snapshot goes on counting,
//! and when the last holder is gone the series is gone with it, without a
//! removal that somebody could forget.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::autoscaler::AutoscalerMetrics;
use super::cell::Counter;
use super::family::Family;
use super::handles::{BackendMetrics, Durations, ListenerMetrics, RouteTotals, UpstreamMetrics};
use super::live::LiveSource;
use super::page::Page;
use super::process;
use super::requests::RequestCounts;
use super::sources::SourceMetrics;

/// Handles by key; the lock is taken when a snapshot is built and at a scrape.
pub(super) struct Held<K, H>(Mutex<Keys<K, H>>);

struct Keys<K, H> {
    by_key: BTreeMap<K, Weak<H>>,
    /// So many keys make it worth looking for dead ones.
    prune_at: usize,
}

/// Below this many keys dead ones wait for the next scrape.
const PRUNE_AT_LEAST: usize = 64;

impl<K: Ord + Clone, H> Held<K, H> {
    fn new() -> Self {
        Self(Mutex::new(Keys {
            by_key: BTreeMap::new(),
            prune_at: PRUNE_AT_LEAST,
        }))
    }

    /// The handle of `key`, made if nobody holds it.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> H) -> Arc<H> {
        let mut keys = lock(&self.0);
        if let Some(held) = keys.by_key.get(&key).and_then(Weak::upgrade) {
            return held;
        }
        if keys.by_key.len() >= keys.prune_at {
            keys.by_key.retain(|_, handle| handle.strong_count() > 0);
            keys.prune_at = (2 * keys.by_key.len()).max(PRUNE_AT_LEAST);
        }
        let handle = Arc::new(make());
        keys.by_key.insert(key, Arc::downgrade(&handle));
        handle
    }

    /// Exposes `key` no more; whoever holds its handle goes on counting in vain.
    pub(super) fn forget(&self, key: &K) {
        lock(&self.0).by_key.remove(key);
    }

    /// Forgets the keys nobody holds and returns the others.
    pub(super) fn held(&self) -> Vec<(K, Arc<H>)> {
        let mut held = Vec::new();
        lock(&self.0).by_key.retain(|key, handle| {
            let handle = handle.upgrade();
            held.extend(
                handle
                    .iter()
                    .map(|handle| (key.clone(), Arc::clone(handle))),
            );
            handle.is_some()
        });
        held
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the configuration was last loaded.
#[derive(Clone, Copy, Default)]
struct Load {
    /// Whether the last try was valid; `None` before the first.
    valid: Option<bool>,
    /// When the last valid one was.
    unix_seconds: Option<f64>,
}

/// Everything a scrape reads.
pub(super) struct Store {
    pub(super) listeners: Held<String, ListenerMetrics>,
    /// By listener, route and upstream.
    pub(super) requests: Held<(String, String, String), RequestCounts>,
    /// By route and upstream.
    pub(super) durations: Held<(String, String), Durations>,
    pub(super) routes: Held<String, RouteTotals>,
    pub(super) upstreams: Held<String, UpstreamMetrics>,
    /// By upstream and backend.
    pub(super) backends: Held<(String, String), BackendMetrics>,
    /// By upstream and source.
    pub(super) sources: Held<(String, String), SourceMetrics>,
    /// By upstream.
    pub(super) autoscalers: Held<String, AutoscalerMetrics>,
    pub(super) access_log_dropped: Arc<Counter>,
    applied: Counter,
    refused: Counter,
    live: Mutex<Option<LiveSource>>,
    load: Mutex<Load>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            listeners: Held::new(),
            requests: Held::new(),
            durations: Held::new(),
            routes: Held::new(),
            upstreams: Held::new(),
            backends: Held::new(),
            sources: Held::new(),
            autoscalers: Held::new(),
            access_log_dropped: Arc::new(Counter::new()),
            applied: Counter::new(),
            refused: Counter::new(),
            live: Mutex::new(None),
            load: Mutex::new(Load::default()),
        }
    }

    pub(super) fn set_live(&self, source: LiveSource) {
        *lock(&self.live) = Some(source);
    }

    pub(super) fn config_loaded(&self, unix_seconds: f64) {
        *lock(&self.load) = Load {
            valid: Some(true),
            unix_seconds: Some(unix_seconds),
        };
    }

    pub(super) fn config_reloaded(&self, unix_seconds: f64) {
        self.config_loaded(unix_seconds);
        self.applied.inc();
    }

    pub(super) fn config_refused(&self) {
        lock(&self.load).valid = Some(false);
        self.refused.inc();
    }

    pub(super) fn collect(&self) -> Page {
        let mut page = Page::new();
        self.collect_handles(&mut page);
        if let Some(live) = &*lock(&self.live) {
            live(&mut |reading| page.live(reading));
        }
        self.collect_process(&mut page);
        page
    }

    fn collect_handles(&self, page: &mut Page) {
        for (_, listener) in self.listeners.held() {
            listener.collect(page);
        }
        for ((listener, route, upstream), counts) in self.requests.held() {
            counts.read(|method, code, count| {
                let labels = &[&*listener, &*route, &*upstream, method, code];
                page.counter(Family::Requests, labels, count);
            });
        }
        for ((route, upstream), durations) in self.durations.held() {
            durations.collect(&route, &upstream, page);
        }
        for (route, totals) in self.routes.held() {
            totals.collect(&route, page);
        }
        for (_, upstream) in self.upstreams.held() {
            upstream.collect(page);
        }
        for (_, backend) in self.backends.held() {
            backend.collect(page);
        }
        for (_, source) in self.sources.held() {
            source.collect(page);
        }
        for (_, autoscaler) in self.autoscalers.held() {
            autoscaler.collect(page);
        }
    }

    fn collect_process(&self, page: &mut Page) {
        page.number(Family::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        let dropped = self.access_log_dropped.get();
        page.counter(Family::AccessLogDropped, &[], dropped);
        let load = *lock(&self.load);
        if let Some(valid) = load.valid {
            let success = f64::from(u8::from(valid));
            page.number(Family::ConfigReloadSuccess, &[], success);
        }
        if let Some(at) = load.unix_seconds {
            page.number(Family::ConfigReloadTimestamp, &[], at);
        }
        let reloads = [("applied", &self.applied), ("refused", &self.refused)];
        for (result, count) in reloads {
            page.counter(Family::ConfigReloads, &[result], count.get());
        }
        process::collect(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_held_keeps_its_handle() {
        let held = Held::new();
        let first = held.get("a", Counter::new);
        first.inc();
        assert_eq!(held.get("a", Counter::new).get(), 1);
        drop(first);
        assert_eq!(held.get("a", Counter::new).get(), 0);
    }

    #[test]
    fn a_forgotten_key_is_exposed_no_more_and_begins_anew() {
        let held = Held::new();
        let first = held.get("a", Counter::new);
        first.inc();
        held.forget(&"a");
        assert!(held.held().is_empty());
        assert_eq!(held.get("a", Counter::new).get(), 0);
    }

    #[test]
    fn dead_keys_do_not_pile_up_without_a_scrape() {
        let held = Held::new();
        let kept = held.get(0, Counter::new);
        for key in 1..10_000 {
            drop(held.get(key, Counter::new));
        }
        assert!(lock(&held.0).by_key.len() <= PRUNE_AT_LEAST);
        assert!(Arc::ptr_eq(&kept, &held.get(0, Counter::new)));
    }
}
