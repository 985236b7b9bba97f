//! What each algorithm makes of the same traffic, in virtual time.
//!
//! Selection, feedback and the overseer's tick are the product's own; clients
//! and backends are simulated (see `world`). `cargo bench --bench simulate` runs
//! every algorithm and `adaptive` through every scenario, prints response times
//! and how the load was spread, and fails when `adaptive` is more than 10 %
//! behind the best fixed algorithm on the 99th percentile anywhere, or not ahead
//! of every single one on the sum over the scenarios.
//!
//! Options, after `--`: `--json` prints for a program; `--outliers` lets the
//! judgement of outliers take part, as it does by default in the product, and
//! not only the choice of a backend; `--seed N` draws other traffic, `--seeds N`
//! averages over so many draws. As a test it runs once through shortened
//! scenarios and asks only whether every contestant answers, so that it cannot rot.

use std::io::{self, Write};
use std::process::ExitCode;

use evenkeel::config::{Algorithm, Choice};

use report::{Row, Table};
use scenario::Scenario;

// In a folder of its own, where cargo takes no file for a benchmark.
#[path = "simulate/report.rs"]
mod report;
#[path = "simulate/scenario.rs"]
mod scenario;
#[path = "simulate/world.rs"]
mod world;

/// What a test leaves of a scenario's time.
const SHORT: f64 = 0.1;

/// What the command line asks for.
struct Options {
    json: bool,
    outliers: bool,
    short: bool,
    seed: u64,
    seeds: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = Options::parse(&arguments) else {
        return ExitCode::from(2);
    };
    let tables: Vec<Table> = scenario::all()
        .into_iter()
        .map(|scenario| run(scenario, &options))
        .collect();
    let (text, is_good) = if options.short {
        let answered = tables.iter().all(Table::is_answered);
        let verdict = if answered { "ok" } else { "FAILED" };
        let text = format!("shortened scenarios, figures left out: {verdict}\n");
        (text, answered)
    } else if options.json {
        (
            report::json(&tables),
            report::shortcomings(&tables).is_empty(),
        )
    } else {
        (
            report::text(&tables),
            report::shortcomings(&tables).is_empty(),
        )
    };
    if io::stdout().write_all(text.as_bytes()).is_ok() && is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self {
            json: false,
            outliers: false,
            short: true,
            seed: 1,
            seeds: 10,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo says so for `cargo bench`, and nothing for `cargo test`.
                "--bench" => options.short = false,
                "--json" => options.json = true,
                "--outliers" => options.outliers = true,
                "--seed" => options.seed = arguments.next()?.parse().ok()?,
                "--seeds" => options.seeds = arguments.next()?.parse().ok().filter(|&n| n > 0)?,
                _ => {}
            }
        }
        Some(options)
    }
}

fn run(mut scenario: Scenario, options: &Options) -> Table {
    let mut seeds = options.seeds;
    if options.short {
        scenario.shorten(SHORT);
        seeds = 1;
    }
    let fixed = Algorithm::ALL.iter().copied().map(Choice::Fixed);
    let rows = fixed
        .chain([Choice::Adaptive])
        .map(|choice| {
            let seeds = options.seed..options.seed + seeds;
            let outcomes: Vec<_> = seeds
                .map(|seed| world::run(&scenario, choice, options.outliers, seed))
                .collect();
            Row::new(choice, &outcomes)
        })
        .collect();
    Table {
        scenario: scenario.name,
        rows,
    }
}
