//! What each signal does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::control::lifecycle::{Lifecycle, Phase};
use crate::control::reload::Reloads;

/// What an interrupt (Ctrl-C) does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interrupt {
    /// Ends the process at once.
    #[default]
    Stop,
    /// Drains first, as SIGTERM does.
    Drain,
}

/// Waits for the signal that ends the process.
pub(super) struct Signals {
    interrupt: Interrupt,
    upgrade_socket: PathBuf,
    lifecycle: Arc<Lifecycle>,
    reloads: Reloads,
}

impl Signals {
    pub(super) const fn new(
        interrupt: Interrupt,
        upgrade_socket: PathBuf,
        lifecycle: Arc<Lifecycle>,
        reloads: Reloads,
    ) -> Self {
        Self {
            interrupt,
            upgrade_socket,
            lifecycle,
            reloads,
        }
    }

    /// Whether a new process waits for the sockets. Without one, handing them over would only stop
    /// the service.
    fn successor_waits(&self) -> bool {
        // Connecting would be taken for the hand-over itself, and the file outlives its process.
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let name = self.upgrade_socket.file_name();
        let paths = sockets
            .lines()
            .filter_map(|line| line.split(' ').next_back());
        name.is_some() && paths.map(Path::new).any(|path| path.file_name() == name)
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let mut hangup = listen(SignalKind::hangup());
        let mut interrupt = listen(SignalKind::interrupt());
        let mut quit = listen(SignalKind::quit());
        let mut terminate = listen(SignalKind::terminate());
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    tracing::info!("SIGTERM: draining");
                    self.lifecycle.enter(Phase::Draining);
                    return ShutdownSignal::GracefulTerminate;
                }
                _ = quit.recv() => {
                    if self.successor_waits() {
                        tracing::info!("SIGQUIT: handing the sockets over, then draining");
                        self.lifecycle.enter(Phase::HandedOver);
                        return ShutdownSignal::GracefulUpgrade;
                    }
                    let socket = self.upgrade_socket.display();
                    tracing::error!(%socket, "SIGQUIT ignored: no process waits for the sockets; start one with --upgrade first");
                }
                _ = interrupt.recv() => match self.interrupt {
                    Interrupt::Stop => {
                        tracing::info!("SIGINT: stopping at once");
                        return ShutdownSignal::FastShutdown;
                    }
                    Interrupt::Drain => {
                        self.lifecycle.enter(Phase::Draining);
                        return ShutdownSignal::GracefulTerminate;
                    }
                },
                _ = hangup.recv() => {
                    tracing::info!("SIGHUP: reading the configuration again");
                    self.reloads.hang_up();
                }
            }
        }
    }
}

/// Listens for a signal of a kind that always can be listened for.
pub(super) fn listen(kind: SignalKind) -> Signal {
    signal(kind).expect("these signals may be handled")
}
