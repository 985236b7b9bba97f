//! The command line: argv to a subcommand, and its exit code.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use evenkeel::cli::run::{self, Run};
use evenkeel::demo::backend::{self, BackendOptions};

/// A load balancer that steers traffic well and explains itself.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve in the foreground.
    Run(Run),
    /// Run the demo backend alone.
    Backend(BackendOptions),
}

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let done = match Cli::parse().command {
        Command::Run(options) => run::run(options, &mut err),
        Command::Backend(options) => Ok(backend::execute(options, &mut out, &mut err)),
    };
    // With standard output gone there is nobody left to tell.
    done.unwrap_or(ExitCode::from(2))
}
