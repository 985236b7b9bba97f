//! Clients that keep asking while a test does something to Evenkeel.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Evenkeel;
use super::deadline::wait_until;

/// What the clients and the test know of each other.
#[derive(Default)]
pub(crate) struct Load {
    stopped: AtomicBool,
    failed: AtomicBool,
    served: AtomicUsize,
}

impl Load {
    /// Runs `client` on so many threads for as long as `during` takes. A client asks while
    /// [`Self::goes_on`] and reports with [`Self::served`]; one that panics fails the test.
    pub(crate) fn run<R>(
        clients: usize,
        client: impl Fn(&Self) + Sync,
        during: impl FnOnce(&Self) -> R,
    ) -> R {
        let load = Self::default();
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let _alarm = OnPanic(&load.failed);
                    client(&load);
                });
            }
            // However `during` ends, the clients do too.
            let _end = OnDrop(&load.stopped);
            during(&load)
        })
    }

    /// Runs so many clients that get `/`, each on a connection of its own; an answer other than 200
    /// fails the test.
    pub(crate) fn of_gets<R>(
        evenkeel: &Evenkeel,
        clients: usize,
        during: impl FnOnce(&Self) -> R,
    ) -> R {
        let client = |load: &Self| {
            let mut client = evenkeel.connect();
            while load.goes_on() {
                let answer = client.get("/");
                assert_eq!(answer.status, 200, "{}", answer.head);
                load.served();
            }
        };
        Self::run(clients, client, during)
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::SeqCst) && !self.failed.load(Ordering::SeqCst)
    }

    pub(crate) fn served(&self) {
        self.served.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until so many more requests are served.
    #[track_caller]
    pub(crate) fn more(&self, count: usize) {
        let goal = self.served.load(Ordering::SeqCst) + count;
        wait_until("the load goes on", || {
            assert!(
                !self.failed.load(Ordering::SeqCst),
                "a client failed; see its panic"
            );
            self.served.load(Ordering::SeqCst) >= goal
        });
    }
}

struct OnDrop<'l>(&'l AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct OnPanic<'l>(&'l AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}
