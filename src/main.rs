//! The command line: argv to a subcommand, and its exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use evenkeel::cli::run::Run;
use evenkeel::cli::schema::Form;
use evenkeel::cli::{check, run, schema};
use evenkeel::demo::backend::{self, BackendOptions};
use evenkeel::demo::{self, DemoOptions, Style};

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
    /// Check a configuration: exit 0, or 1 with every error.
    Check {
        /// The configuration file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Start three unequal backends and the balancer in this process.
    Demo(DemoOptions),
    /// Run the demo backend alone.
    Backend(BackendOptions),
    /// Print the JSON Schema of the configuration.
    Schema {
        /// Print the reference in Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
}

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let env = |name: &str| std::env::var(name).ok();
    let done = match Cli::parse().command {
        Command::Run(options) => run::run(options, &env, &mut err),
        Command::Check { file } => Ok(check::check(&file, &env, &mut out, &mut err).into()),
        Command::Demo(options) => {
            let style = Style::of(&out);
            Ok(demo::execute(options, out, style, &mut err))
        }
        Command::Backend(options) => Ok(backend::execute(options, &mut out, &mut err)),
        Command::Schema { markdown } => {
            let form = if markdown { Form::Markdown } else { Form::Json };
            Ok(schema::schema(form, &mut out).into())
        }
    };
    // With standard output gone there is nobody left to tell.
    done.unwrap_or(ExitCode::from(2))
}
