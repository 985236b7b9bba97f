//! `evenkeel run`: serve in the foreground.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::check;
use crate::control::reload::Source;
use crate::observe::logging;
use crate::server::{Interrupt, Options, Server};

/// What `evenkeel run` takes.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration and exit.
    #[arg(long)]
    test: bool,
    /// Take the sockets over from the running process, which gets a SIGQUIT next.
    #[arg(long)]
    upgrade: bool,
    /// Where the old and the new process meet; both need the same [default: derived from FILE's path].
    #[arg(long, value_name = "PATH")]
    upgrade_socket: Option<PathBuf>,
}

/// Serves until a signal ends it. Exits with 1 for a bad configuration, with 2 when it cannot start.
pub fn run(
    run: Run,
    env: &dyn Fn(&str) -> Option<String>,
    err: &mut impl Write,
) -> io::Result<ExitCode> {
    let (config, text) = match check::load_with_text(&run.config, env) {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(err, "{problems}")?;
            return Ok(ExitCode::from(1));
        }
    };
    if run.test {
        return Ok(ExitCode::SUCCESS);
    }
    let log = match logging::install() {
        Ok(log) => log,
        Err(error) => {
            writeln!(err, "evenkeel: {error}")?;
            return Ok(ExitCode::from(2));
        }
    };
    let options = Options {
        upgrade: run.upgrade,
        upgrade_socket: run.upgrade_socket,
        interrupt: Interrupt::Stop,
        source: Source {
            path: Some(run.config),
            text,
        },
        log: Some(log),
    };
    match Server::new(config, options) {
        Ok(server) => server.run(),
        Err(error) => {
            writeln!(err, "evenkeel: {error}")?;
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}
