//! `evenkeel run`: serve in the foreground.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, Config};
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
    /// Where the old and the new process meet; both need the same [default: derived from the listeners].
    #[arg(long, value_name = "PATH")]
    upgrade_socket: Option<PathBuf>,
}

/// Reads a configuration file with the process's environment; the text says all that is wrong.
pub fn read(file: &std::path::Path) -> Result<Config, String> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}\n"))?;
    let env = |variable: &str| std::env::var(variable).ok();
    config::load(&text, &name, &env).map_err(|errors| errors.to_string())
}

/// Serves until a signal ends it. Exits with 1 for a bad configuration, with 2 when it cannot start.
pub fn run(run: Run, err: &mut impl Write) -> io::Result<ExitCode> {
    let config = match read(&run.config) {
        Ok(config) => config,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(ExitCode::from(1));
        }
    };
    if run.test {
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options {
        upgrade: run.upgrade,
        upgrade_socket: run.upgrade_socket,
        interrupt: Interrupt::Stop,
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
