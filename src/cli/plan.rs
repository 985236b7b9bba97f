//! `evenkeel plan`: what a configuration would change.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::running::Token;
use super::{check, running};
use crate::config;
use crate::control::admin::client::Call;
use crate::control::reload::{Plan, compare};

/// How long a running process may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is compared with what.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The configuration that runs
    #[arg(short, long, value_name = "FILE", required_unless_present = "admin")]
    pub config: Option<PathBuf>,
    /// Ask the process that serves the admin API here instead
    #[arg(long, value_name = "IP:PORT", conflicts_with = "config")]
    pub admin: Option<SocketAddr>,
    #[command(flatten)]
    token: Token,
    /// Exit with 2 where something changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The configuration that is to run
    #[arg(value_name = "NEW_FILE")]
    pub new: PathBuf,
}

/// Prints to `out` what would change. 0, or with `detailed_exitcode` 2 where anything would; 1 when
/// a configuration is wrong or the process does not answer, which `err` is told.
pub fn run(
    options: &Options,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let planned = match (&options.admin, &options.config) {
        (Some(admin), _) => ask(*admin, options),
        (None, Some(running)) => offline(running, options, env),
        (None, None) => Err("say --config or --admin".to_owned()),
    };
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => {
            writeln!(err, "{error}")?;
            return Ok(1);
        }
    };
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &plan)?;
        writeln!(out)?;
    } else {
        write!(out, "{plan}")?;
    }
    let changes = options.detailed_exitcode && !plan.no_change;
    Ok(if changes { 2 } else { 0 })
}

fn offline(
    running: &std::path::Path,
    options: &Options,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, String> {
    let running = check::load(running, env).map_err(|errors| errors.to_string())?;
    let wanted = check::load(&options.new, env).map_err(|errors| errors.to_string())?;
    Ok(compare(&running, &wanted))
}

fn ask(admin: SocketAddr, options: &Options) -> Result<Plan, String> {
    let text = config::read_file(&options.new).map_err(|errors| errors.to_string())?;
    let authority = admin.to_string();
    let call = Call {
        method: "POST",
        path: "/api/v1/config/plan",
        authority: &authority,
        token: options.token.bytes(),
        body: &text,
    };
    let body = running::ask(&call, PATIENCE).map_err(|error| format!("{admin}: {error}"))?;
    serde_json::from_slice(&body).map_err(|error| format!("{admin}: not understood: {error}"))
}

#[cfg(test)]
mod tests;
