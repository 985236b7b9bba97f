//! Demo backends in processes of their own, so that they can die as processes do.

use std::net::SocketAddr;

use super::deadline::wait_until;
use super::ports::{Port, is_listening};
use super::process::Process;

/// A demo backend on a port that stays its own while it is dead.
pub(crate) struct Demo {
    name: &'static str,
    port: Port,
    process: Option<Process>,
}

impl Demo {
    /// A backend that listens.
    pub(crate) fn start(name: &'static str) -> Self {
        let mut demo = Self {
            name,
            port: Port::reserve(),
            process: None,
        };
        demo.restart();
        demo
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `kill -9`: nothing is finished, no connection is closed in an orderly way.
    pub(crate) fn kill(&mut self) {
        let process = self.process.take().expect("it lives");
        process.signal("KILL");
        wait_until("it is dead", || process.has_exited());
    }

    /// Lives again, on the same port.
    pub(crate) fn restart(&mut self) {
        let address = self.port.address().to_string();
        let flags = ["--server-id", self.name, "--threads", "1"];
        let arguments = [&["backend", "--listen", &address][..], &flags[..]].concat();
        let process = Process::evenkeel(&arguments);
        wait_until("the demo backend listens", || {
            assert!(!process.has_exited(), "the demo backend ended");
            is_listening(self.port.address())
        });
        self.process = Some(process);
    }
}
