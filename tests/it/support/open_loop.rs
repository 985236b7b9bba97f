//! A load of a constant rate, whatever the answers take.
//!
//! Requests are due at fixed moments; a slow answer delays none but those of its own
//! connection, and how long a request took counts from when it was due.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::{Client, Response};
use super::deadline::{Stopwatch, pause, wait_until};

/// The header by which backends say who they are.
pub(crate) const NAME: &str = "X-Server-Id";

/// One request and what came of it. Moments count from the start of the load.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// When it was due.
    pub(crate) due: Duration,
    /// When it was sent.
    pub(crate) sent: Duration,
    /// When its answer was complete, or its connection broke.
    pub(crate) ended: Duration,
    /// The status of a complete answer, or why there is none.
    pub(crate) outcome: Result<u16, String>,
    /// The backend that answered; empty when none did.
    pub(crate) backend: String,
}

impl Shot {
    pub(crate) fn is_good(&self) -> bool {
        self.outcome == Ok(200)
    }

    /// What its client waited.
    pub(crate) fn latency(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }

    /// How long Evenkeel had it.
    pub(crate) fn taken(&self) -> Duration {
        self.ended.saturating_sub(self.sent)
    }
}

/// Requests in the order of their answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shots(pub(crate) Vec<Shot>);

impl Shots {
    /// Those that were due from one moment until before another.
    pub(crate) fn due(&self, from: Duration, until: Duration) -> Self {
        let inside = |shot: &&Shot| (from..until).contains(&shot.due);
        Self(self.0.iter().filter(inside).cloned().collect())
    }

    /// Those that were sent from one moment until before another.
    pub(crate) fn sent(&self, from: Duration, until: Duration) -> Self {
        let inside = |shot: &&Shot| (from..until).contains(&shot.sent);
        Self(self.0.iter().filter(inside).cloned().collect())
    }

    /// Those that were sent after one moment and had ended before another. One that was sent just
    /// before it may have been on its way for longer.
    pub(crate) fn within(&self, from: Duration, until: Duration) -> Self {
        let inside = |shot: &&Shot| from <= shot.sent && shot.ended < until;
        Self(self.0.iter().filter(inside).cloned().collect())
    }

    /// Those that this backend did not answer.
    pub(crate) fn without(&self, backend: &str) -> Self {
        let others = self.0.iter().filter(|shot| shot.backend != backend);
        Self(others.cloned().collect())
    }

    /// Those without a 200.
    pub(crate) fn failed(&self) -> Vec<&Shot> {
        self.0.iter().filter(|shot| !shot.is_good()).collect()
    }

    /// How many a backend answered.
    pub(crate) fn of(&self, backend: &str) -> usize {
        self.0.iter().filter(|shot| shot.backend == backend).count()
    }

    /// A backend's part of all, between 0 and 1.
    pub(crate) fn share(&self, backend: &str) -> f64 {
        self.of(backend) as f64 / self.0.len().max(1) as f64
    }

    /// The latency that 99 of 100 do not exceed.
    pub(crate) fn p99(&self) -> Duration {
        let mut all: Vec<Duration> = self.0.iter().map(Shot::latency).collect();
        all.sort_unstable();
        let rank = (all.len() * 99).div_ceil(100).max(1);
        all.get(rank - 1).copied().unwrap_or_default()
    }

    /// How many had each outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, usize> {
        self.tally(|shot| match &shot.outcome {
            Ok(status) => status.to_string(),
            Err(error) => error.clone(),
        })
    }

    /// Answers of each backend by the second in which they were due, for a failed test's report.
    pub(crate) fn by_second(&self) -> String {
        let seconds = self.tally(|shot| format!("{:>3} s {}", shot.due.as_secs(), shot.backend));
        let lines: Vec<String> = seconds
            .iter()
            .map(|(second, count)| format!("{second}: {count}"))
            .collect();
        lines.join("\n")
    }

    fn tally(&self, key: impl Fn(&Shot) -> String) -> BTreeMap<String, usize> {
        self.0.iter().fold(BTreeMap::new(), |mut counts, shot| {
            *counts.entry(key(shot)).or_default() += 1;
            counts
        })
    }
}

/// A load under way; ends when dropped.
pub(crate) struct OpenLoop {
    shared: Arc<Shared>,
    connections: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    gap: Duration,
    watch: Stopwatch,
    next: AtomicU32,
    stopped: AtomicBool,
    shots: Mutex<Vec<Shot>>,
}

impl OpenLoop {
    /// GETs of `/` at so many a second, over so many connections.
    pub(crate) fn start(address: SocketAddr, per_second: u32, connections: usize) -> Self {
        let shared = Arc::new(Shared {
            address,
            gap: Duration::from_secs(1) / per_second,
            watch: Stopwatch::start(),
            next: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            shots: Mutex::default(),
        });
        let connections = (0..connections)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.keep_asking())
            })
            .collect();
        Self {
            shared,
            connections,
        }
    }

    /// The present moment on the load's clock.
    pub(crate) fn now(&self) -> Duration {
        self.shared.watch.elapsed()
    }

    /// What is answered so far.
    pub(crate) fn so_far(&self) -> Shots {
        Shots(self.shared.shots.lock().expect("no holder panics").clone())
    }

    /// Waits until the load has gone on for so much longer.
    #[track_caller]
    pub(crate) fn goes_on_for(&self, length: Duration) {
        let end = self.now() + length;
        let last = u32::try_from(end.as_nanos() / self.shared.gap.as_nanos());
        let last = last.expect("tests are short");
        wait_until("the load goes on", || {
            self.shared.next.load(Ordering::SeqCst) > last
        });
    }

    /// Waits for so many further answers.
    #[track_caller]
    pub(crate) fn more(&self, count: usize) {
        let answered = || self.shared.shots.lock().expect("no holder panics").len();
        let goal = answered() + count;
        wait_until("the load is answered", || answered() >= goal);
    }

    /// Ends the load and waits for the answers under way.
    pub(crate) fn stop(mut self) -> Shots {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for connection in self.connections.drain(..) {
            connection
                .join()
                .expect("a connection reports, it does not panic");
        }
        self.so_far()
    }
}

impl Drop for OpenLoop {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if std::thread::panicking() {
            let shots = self.so_far();
            super::show(&format!(
                "--- load: {:?}\n{}",
                shots.outcomes(),
                shots.by_second()
            ));
        }
    }
}

impl Shared {
    fn keep_asking(&self) {
        let mut connection = None;
        loop {
            let due = self.gap * self.next.fetch_add(1, Ordering::SeqCst);
            pause(due.saturating_sub(self.watch.elapsed()));
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let sent = self.watch.elapsed();
            let answer = self.ask(&mut connection);
            let ended = self.watch.elapsed();
            let (outcome, backend) = match answer {
                Ok(answer) => {
                    let name = answer.header(NAME).unwrap_or_default().to_owned();
                    (Ok(answer.status), name)
                }
                Err(error) => (Err(error.to_string()), String::new()),
            };
            let shot = Shot {
                due,
                sent,
                ended,
                outcome,
                backend,
            };
            self.shots.lock().expect("no holder panics").push(shot);
        }
    }

    /// One GET; the connection is kept while the server keeps it.
    fn ask(&self, kept: &mut Option<Client>) -> std::io::Result<Response> {
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::try_connect(self.address)?,
        };
        client.try_send("GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")?;
        let answer = client.try_response()?;
        if answer.header("connection") != Some("close") {
            *kept = Some(client);
        }
        Ok(answer)
    }
}
