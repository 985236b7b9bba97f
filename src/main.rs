//! The command line: argv to a subcommand, and its exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use evenkeel::cli::run::Run;
use evenkeel::cli::schema::Form;
use evenkeel::cli::{cases, check, explain, plan, probe, run, schema};
use evenkeel::config::Config;
use evenkeel::demo::backend::{self, BackendOptions};
use evenkeel::demo::{self, DemoOptions, Style};

/// A request makes some eighty allocations inside Pingora; this allocator halves what they cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Explain which route, policies and backends a request would get, and why.
    Explain(explain::Options),
    /// Print what a configuration would change, and what needs a new process.
    Plan(plan::Options),
    /// Run routing unit tests for a configuration.
    Test {
        #[command(flatten)]
        on: On,
        #[command(flatten)]
        options: cases::Options,
    },
    /// Ask an address once: exit 0 when it answers with success, otherwise 1.
    Probe(probe::Options),
    /// Print the JSON Schema of the configuration.
    Schema {
        /// Print the reference in Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
}

/// The configuration a subcommand works on.
#[derive(Args)]
struct On {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let env = |name: &str| std::env::var(name).ok();
    let done = match Cli::parse().command {
        Command::Run(options) => run::run(options, &env, &mut err),
        Command::Check { file } => Ok(check::check(&file, &env, &mut out, &mut err).into()),
        Command::Demo(options) => {
            let style = Style::of(&out);
            Ok(demo::execute(options, demo::start, out, style, &mut err))
        }
        Command::Backend(options) => Ok(backend::execute(options, &mut out, &mut err)),
        Command::Explain(options) => {
            explain::run(&options, &env, &mut out, &mut err).map(ExitCode::from)
        }
        Command::Plan(options) => plan::run(&options, &env, &mut out, &mut err).map(ExitCode::from),
        Command::Test { on, options } => with(&on, &env, &mut err, |config| {
            cases::run(config, &options, &mut out)
        }),
        Command::Probe(options) => probe::run(&options, &mut out, &mut err).map(ExitCode::from),
        Command::Schema { markdown } => {
            let form = if markdown { Form::Markdown } else { Form::Json };
            Ok(schema::schema(form, &mut out).into())
        }
    };
    // With standard output gone there is nobody left to tell.
    done.unwrap_or(ExitCode::from(2))
}

/// Runs `then` on the configuration, or prints what is wrong with it and exits with 1.
fn with(
    on: &On,
    env: &dyn Fn(&str) -> Option<String>,
    err: &mut impl io::Write,
    then: impl FnOnce(&Config) -> io::Result<u8>,
) -> io::Result<ExitCode> {
    match check::load(&on.config, env) {
        Ok(config) => then(&config).map(ExitCode::from),
        Err(problems) => writeln!(err, "{problems}").map(|()| ExitCode::from(1)),
    }
}
