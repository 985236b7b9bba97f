//! Where requests wait when every backend is at its in-flight cap.
//!
//! A bounded count and a [`Notify`]. Nobody touches the notifier while nobody
//! waits: a released slot costs one load then.
//!
//! # Why no wake-up is lost
//!
//! [`Ticket::freed`] registers the waiter before it returns, and the caller
//! selects once more after that. A slot freed earlier is seen by that
//! selection; one freed later finds the waiter counted and wakes one. A waiter
//! that is woken and then goes away, because it timed out or found a slot
//! without the wake-up, hands it on: [`Notify`] does that when the future is
//! dropped. What a selection reads (slots, breakers) and the count of waiters are
//! each written by one side and read by the other, all sequentially consistent,
//! so at least one side sees the other.
//!
//! The end of a breaker's pause is no event: a waiter notices it when it is next
//! woken.
//!
//! A retry may not use every backend, so the slot it was woken for may be one
//! it has tried. When it comes back for another wait, it passes the wake-up on,
//! at most once for each release.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::ask::Tried;

/// The waiting room of one upstream.
#[derive(Debug, Default)]
pub struct Queue {
    size: AtomicUsize,
    waiting: AtomicUsize,
    releases: AtomicU64,
    notify: Notify,
}

/// The waiting room is full, or has no places at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full;

impl Queue {
    /// A waiting room with this many places; 0 lets nobody wait.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let queue = Self::default();
        queue.resize(size);
        queue
    }

    /// Changes the number of places. Those who wait beyond it keep theirs.
    pub(crate) fn resize(&self, size: usize) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Takes a place, unless none is free. `tried` is the request's, to tell a retry from a first attempt.
    pub fn enter(self: &Arc<Self>, tried: &Tried) -> Result<Ticket, Full> {
        let size = self.size.load(Ordering::Relaxed);
        self.waiting
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |waiting| {
                (waiting < size).then_some(waiting + 1)
            })
            .map_err(|_| Full)?;
        Ok(Ticket {
            queue: Arc::clone(self),
            passes_on: !tried.is_empty(),
            seen: None,
        })
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// A slot became free, after the count of slots was lowered.
    pub(crate) fn slot_freed(&self) {
        if self.waiting() > 0 {
            self.releases.fetch_add(1, Ordering::Relaxed);
            self.notify.notify_one();
        }
    }

    /// A backend came back, with room for many.
    pub(crate) fn slots_freed(&self) {
        if self.waiting() > 0 {
            self.releases.fetch_add(1, Ordering::Relaxed);
            self.notify.notify_waiters();
        }
    }
}

/// A place in the waiting room; dropping it leaves.
#[derive(Debug)]
pub struct Ticket {
    queue: Arc<Queue>,
    passes_on: bool,
    seen: Option<u64>,
}

impl Ticket {
    /// Registers for the next free slot. Select once more after this call, then await what it returned:
    ///
    /// ```text
    /// let mut ticket = upstream.queue().enter(&tried)?;
    /// loop {
    ///     let freed = ticket.freed();
    ///     match upstream.select(&Ask { queued: true, .. }) {
    ///         Err(Unavailable::Saturated) => freed.await,
    ///         decided => return decided,
    ///     }
    /// }
    /// ```
    ///
    /// The one allocation here is the price of waiting, not of selecting.
    pub fn freed(&mut self) -> Freed<'_> {
        let queue = &*self.queue;
        let mut notified = Box::pin(queue.notify.notified());
        let woken = notified.as_mut().enable();
        let releases = queue.releases.load(Ordering::Relaxed);
        let last = self.seen.replace(releases);
        if self.passes_on && !woken && last.is_some_and(|last| last != releases) {
            queue.notify.notify_one();
        }
        Freed(notified)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Completes when a slot may be free.
#[derive(Debug)]
pub struct Freed<'a>(Pin<Box<Notified<'a>>>);

impl Future for Freed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    fn is_ready(freed: &mut Pin<&mut Freed<'_>>) -> bool {
        freed
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    fn enter(queue: &Arc<Queue>) -> Ticket {
        queue.enter(&Tried::new()).unwrap()
    }

    #[test]
    fn is_bounded() {
        let queue = Arc::new(Queue::new(2));
        let first = enter(&queue);
        let _second = enter(&queue);
        assert_eq!(queue.enter(&Tried::new()).unwrap_err(), Full);
        assert_eq!(queue.waiting(), 2);
        drop(first);
        assert!(queue.enter(&Tried::new()).is_ok());
        assert!(Arc::new(Queue::new(0)).enter(&Tried::new()).is_err());
    }

    #[test]
    fn each_release_wakes_one_in_order() {
        let queue = Arc::new(Queue::new(2));
        let (mut first, mut second) = (enter(&queue), enter(&queue));
        let mut first = pin!(first.freed());
        let mut second = pin!(second.freed());
        assert!(!is_ready(&mut first) && !is_ready(&mut second));
        queue.slot_freed();
        assert!(!is_ready(&mut second) && is_ready(&mut first));
        queue.slot_freed();
        assert!(is_ready(&mut second));
    }

    #[test]
    fn a_wake_up_for_one_who_left_goes_to_the_next() {
        let queue = Arc::new(Queue::new(2));
        let (mut first, mut second) = (enter(&queue), enter(&queue));
        let leaves = first.freed();
        let mut second = pin!(second.freed());
        queue.slot_freed();
        assert!(!is_ready(&mut second));
        drop(leaves);
        assert!(is_ready(&mut second));
    }

    #[test]
    fn a_backend_that_returns_wakes_all() {
        let queue = Arc::new(Queue::new(2));
        let (mut first, mut second) = (enter(&queue), enter(&queue));
        let mut first = pin!(first.freed());
        let mut second = pin!(second.freed());
        queue.slots_freed();
        assert!(is_ready(&mut first) && is_ready(&mut second));
    }

    #[test]
    fn a_release_without_waiters_leaves_nothing_behind() {
        let queue = Arc::new(Queue::new(1));
        queue.slot_freed();
        let mut ticket = enter(&queue);
        assert!(!is_ready(&mut pin!(ticket.freed())));
    }

    #[test]
    fn a_retry_passes_on_a_slot_it_cannot_use_once() {
        let queue = Arc::new(Queue::new(2));
        let mut tried = Tried::new();
        tried.insert(0);
        let mut retry = queue.enter(&tried).unwrap();
        let mut other = enter(&queue);
        let mut waits = Box::pin(retry.freed());
        let mut other = pin!(other.freed());
        queue.slot_freed();
        assert!(is_ready(&mut waits.as_mut()));
        assert!(!is_ready(&mut other));
        drop(waits);
        let mut waits = Box::pin(retry.freed());
        assert!(is_ready(&mut other));
        assert!(!is_ready(&mut waits.as_mut()));
        drop(waits);
        assert!(!is_ready(&mut pin!(retry.freed())), "passed on twice");
    }
}
