//! The demo's three backends, and how they are stopped and come back.
//!
//! A stop is meant to look like a crash: the port refuses connections and open
//! connections are cut, so that what the balancer does about it can be watched.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::backend::{Backend, BackendOptions, Delay};
use super::event::Event;
use crate::config::Percent;

/// How long a stopping backend still serves, so that the answer to the stop leaves.
const LAST_ANSWER: Duration = Duration::from_millis(25);
/// Pause before a port somebody else took meanwhile is tried again.
const RETRY_BIND: Duration = Duration::from_secs(1);

/// One part in the demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role {
    pub(super) name: &'static str,
    /// For people: how it behaves.
    pub(super) story: &'static str,
    /// The same as flags of `evenkeel backend`.
    pub(super) flags: &'static str,
    delay_ms: (u64, u64),
    error_hundredths: u8,
}

/// The three backends of the demo.
pub(super) const ROLES: [Role; 3] = [
    Role {
        name: "fast",
        story: "answers in about 2 ms",
        flags: "--delay 1ms-2ms",
        delay_ms: (1, 2),
        error_hundredths: 0,
    },
    Role {
        name: "normal",
        story: "answers in about 10 ms",
        flags: "--delay 8ms-12ms",
        delay_ms: (8, 12),
        error_hundredths: 0,
    },
    Role {
        name: "slow",
        story: "answers in 30 to 80 ms, 5 in 100 with 500 (a GET is retried elsewhere)",
        flags: "--delay 30ms-80ms --error-rate 5%",
        delay_ms: (30, 80),
        error_hundredths: 5,
    },
];

impl Role {
    fn options(self, listen: SocketAddr) -> BackendOptions {
        let (shortest, longest) = self.delay_ms;
        let delay = Delay::between(
            Duration::from_millis(shortest),
            Duration::from_millis(longest),
        );
        BackendOptions {
            server_id: Some(self.name.to_owned()),
            simulated_delay: delay.expect("the table holds delays within bounds"),
            error_rate: Percent::from_hundredths(f64::from(self.error_hundredths))
                .expect("the table holds shares within bounds"),
            ..BackendOptions::at(listen)
        }
    }

    /// A backend with this role at `listen`.
    pub(super) fn bind(self, listen: SocketAddr) -> io::Result<Backend> {
        Backend::bind(self.options(listen))
    }
}

/// Keeps a backend on its port for ever, but for the stops it is asked for; `events` is told of them.
pub(super) async fn keep(role: Role, mut backend: Backend, events: Sender<Event>) {
    let address = backend.local_addr();
    // Nobody listens once the screen is gone; that is no reason to stop serving.
    let note = |text: String| drop(events.send(Event::Note(text)));
    loop {
        let (stop_for, mut stops) = mpsc::channel(1);
        backend.allow_stop(stop_for);
        let Some(pause) = serve_until_stopped(backend, &mut stops).await else {
            note(format!("{} cannot serve", role.name));
            return;
        };
        note(format!(
            "{} is down for {} s: its port refuses connections",
            role.name,
            pause.as_secs()
        ));
        sleep(pause).await;
        backend = rebind(role, address, &note).await;
        note(format!("{} is back", role.name));
    }
}

async fn serve_until_stopped(
    backend: Backend,
    stops: &mut mpsc::Receiver<Duration>,
) -> Option<Duration> {
    let mut serving = pin!(backend.run(std::future::pending()));
    tokio::select! {
        ended = &mut serving => {
            log::error!("a demo backend ended: {ended:?}");
            None
        }
        pause = stops.recv() => {
            sleep(LAST_ANSWER).await;
            pause
        }
    }
}

async fn rebind(role: Role, address: SocketAddr, note: &impl Fn(String)) -> Backend {
    loop {
        match role.bind(address) {
            Ok(backend) => return backend,
            Err(error) => note(format!("{} cannot come back yet: {error}", role.name)),
        }
        sleep(RETRY_BIND).await;
    }
}
