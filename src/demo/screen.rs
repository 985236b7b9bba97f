//! The demo's output: the page once the balancer answers, then a line per second.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::cast::Role;
use super::event::Event;
use super::live::{Interval, Totals};
use super::page::{self, Ports};
use super::style::Style;
use crate::clock::{self, Moment};

/// Between two live lines.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks whether the balancer accepts connections yet.
const PROBE: Duration = Duration::from_millis(20);
/// How long the page waits for the balancer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything the demo prints.
pub(super) struct Screen<W> {
    pub(super) out: W,
    pub(super) style: Style,
    pub(super) ports: Ports,
    pub(super) backends: Vec<(Role, SocketAddr)>,
    pub(super) totals: Box<dyn Fn() -> Totals + Send>,
}

impl<W: Write> Screen<W> {
    /// Prints until the demo ends, or nobody reads any more.
    pub(super) fn show(mut self, events: &Receiver<Event>) {
        if let Err(error) = self.page_and_lines(events) {
            log::debug!("the demo's output is gone: {error}");
        }
    }

    fn page_and_lines(&mut self, events: &Receiver<Event>) -> io::Result<()> {
        if !self.wait_for_balancer(events)? {
            return Ok(());
        }
        let welcome = page::welcome(self.ports, &self.backends, self.style);
        self.out.write_all(welcome.as_bytes())?;
        self.out.flush()?;
        let mut before = ((self.totals)(), clock::now());
        let mut was_idle = false;
        while self.notes_until(before.1.after(TICK), events)? {
            let after = ((self.totals)(), clock::now());
            let interval = Interval::between(&before.0, &after.0, after.1.since(before.1));
            // A page that scrolls away while nothing happens helps nobody.
            if !(was_idle && interval.is_idle()) {
                self.line(&interval.line(self.style, |address| self.name(address)))?;
            }
            was_idle = interval.is_idle();
            before = after;
        }
        Ok(())
    }

    /// Whether the demo goes on.
    fn wait_for_balancer(&mut self, events: &Receiver<Event>) -> io::Result<bool> {
        let late = clock::now().after(PATIENCE);
        while TcpStream::connect(self.ports.traffic).is_err() {
            if clock::now() > late {
                self.line(&format!(
                    "{} does not accept connections yet",
                    self.ports.traffic
                ))?;
                return Ok(true);
            }
            if !self.notes_until(clock::now().after(PROBE), events)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Prints notes until `moment`; whether the demo goes on.
    fn notes_until(&mut self, moment: Moment, events: &Receiver<Event>) -> io::Result<bool> {
        loop {
            match events.recv_timeout(moment.since(clock::now())) {
                Ok(Event::Note(note)) => self.line(&format!("* {note}"))?,
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) => return Ok(true),
            }
        }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// The name of the backend at `address`, or the address itself.
    fn name(&self, address: &str) -> String {
        let known = self
            .backends
            .iter()
            .find(|(_, at)| at.to_string() == address);
        known.map_or(address, |(role, _)| role.name).to_owned()
    }
}
