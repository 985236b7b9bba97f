//! What a newcomer starts first: `evenkeel demo`, the whole picture in one process.
//!
//! Three unequal backends, the balancer before them, a page of what to try and a
//! live line per second. The balancer comes in as a closure: the demo knows the
//! command line and the configuration text, not how a server is put together.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use tokio::runtime::{Builder, Runtime};

pub use balancer::{Balancer, start};
use cast::{ROLES, Role};
use event::Event;
pub use live::Totals;
use page::Ports;
use screen::Screen;
pub use style::Style;

pub mod backend;
mod balancer;
mod cast;
mod event;
mod live;
mod page;
mod screen;
mod style;

#[cfg(test)]
mod tests;

/// Enough for the three of them: they mostly wait.
const BACKEND_THREADS: usize = 2;

/// Where the demo listens.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DemoOptions {
    /// Port of the balancer on the loopback interface; 0 takes a free one.
    #[arg(long, default_value_t = 5000)]
    pub port: u16,
    /// Port of the metrics on the loopback interface; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    pub metrics_port: u16,
    /// Port of the admin API on the loopback interface; 0 takes a free one.
    #[arg(long, default_value_t = 9901)]
    pub admin_port: u16,
    /// Print the demo's configuration, with backends on 5001 to 5003, and end.
    #[arg(long)]
    pub print_config: bool,
}

/// Runs the demo in the foreground: `evenkeel demo`.
///
/// `start` makes a balancer of a configuration's text. Messages go to `out` and
/// `err`. Exit code 2 when something could not start.
pub fn execute(
    options: DemoOptions,
    start: impl FnOnce(&str) -> Result<Balancer, String>,
    mut out: impl Write + Send + 'static,
    style: Style,
    err: &mut impl Write,
) -> ExitCode {
    let done = if options.print_config {
        print_config(options, &mut out).map_err(|error| error.to_string())
    } else {
        run(options, start, out, style)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(err, "evenkeel demo: {problem}");
            ExitCode::from(2)
        }
    }
}

fn print_config(options: DemoOptions, out: &mut impl Write) -> io::Result<()> {
    let ports = Ports {
        traffic: loopback(options.port),
        metrics: loopback(options.metrics_port),
        admin: loopback(options.admin_port),
    };
    let backends: Vec<_> = ROLES.into_iter().zip((5001..).map(loopback)).collect();
    out.write_all(page::printed(ports, &backends).as_bytes())?;
    out.flush()
}

fn run(
    options: DemoOptions,
    start: impl FnOnce(&str) -> Result<Balancer, String>,
    out: impl Write + Send + 'static,
    style: Style,
) -> Result<(), String> {
    let ports = free_ports(options)?;
    let (events, seen) = channel();
    let (runtime, backends) =
        start_backends(&events).map_err(|error| format!("cannot start the backends: {error}"))?;
    let Balancer { totals, run } = start(&page::configuration(ports, &backends))?;
    let screen = Screen {
        out,
        style,
        ports,
        backends,
        totals,
    };
    let live = thread::Builder::new()
        .name("live line".to_owned())
        .spawn(move || screen.show(&seen))
        .map_err(|error| format!("cannot start the live line: {error}"))?;
    let ended = run();
    // A screen that ended already, because its output is gone, needs no telling.
    let _ = events.send(Event::End);
    runtime.shutdown_background();
    live.join().map_err(|_| "the live line failed".to_owned())?;
    ended
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The addresses, or which of them are taken and how to choose others.
fn free_ports(options: DemoOptions) -> Result<Ports, String> {
    // Each is held until all are known, so that free ones differ.
    let traffic = hold(options.port, "--port");
    let metrics = hold(options.metrics_port, "--metrics-port");
    let admin = hold(options.admin_port, "--admin-port");
    match (traffic, metrics, admin) {
        (Ok((_web, traffic)), Ok((_scrapes, metrics)), Ok((_calls, admin))) => Ok(Ports {
            traffic,
            metrics,
            admin,
        }),
        (traffic, metrics, admin) => {
            let problems: Vec<String> = [traffic.err(), metrics.err(), admin.err()]
                .into_iter()
                .flatten()
                .collect();
            Err(problems.join("\nevenkeel demo: "))
        }
    }
}

fn hold(port: u16, flag: &str) -> Result<(TcpListener, SocketAddr), String> {
    let address = loopback(port);
    TcpListener::bind(address)
        .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
        .map_err(|error| {
            format!("cannot listen on {address}: {error}; choose another port with {flag} PORT")
        })
}

/// Starts the three backends on free ports, on a runtime that goes on until it is dropped.
fn start_backends(events: &Sender<Event>) -> io::Result<(Runtime, Vec<(Role, SocketAddr)>)> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(BACKEND_THREADS)
        .thread_name("demo backend")
        .enable_all()
        .build()?;
    let mut backends = Vec::with_capacity(ROLES.len());
    for role in ROLES {
        let backend = role.bind(loopback(0))?;
        backends.push((role, backend.local_addr()));
        runtime.spawn(cast::keep(role, backend, events.clone()));
    }
    Ok((runtime, backends))
}
