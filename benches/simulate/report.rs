//! The figures, for people and for programs.

use std::fmt::Write;

use evenkeel::config::Choice;
use serde_json::{Value, json};

use super::world::Outcome;

/// How far `adaptive` may be behind the best fixed algorithm on the 99th percentile.
const TOLERANCE: f64 = 1.1;

/// What one contestant made of a scenario, averaged over several draws of traffic.
pub(crate) struct Row {
    choice: Choice,
    p50: f64,
    p99: f64,
    max: f64,
    answered: f64,
    lost: f64,
    switches: f64,
    /// Share of the answers that each backend gave.
    shares: Vec<f64>,
}

/// All contestants in one scenario; `adaptive` is one of them.
pub(crate) struct Table {
    pub(crate) scenario: &'static str,
    pub(crate) rows: Vec<Row>,
}

impl Row {
    pub(crate) fn new(choice: Choice, outcomes: &[Outcome]) -> Self {
        let mean = |of: &dyn Fn(&Outcome) -> f64| {
            outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
        };
        let backends = outcomes.first().map_or(0, |outcome| outcome.answered.len());
        let share = |backend: usize| {
            mean(&|outcome| {
                let all: u64 = outcome.answered.iter().sum();
                outcome.answered[backend] as f64 / all.max(1) as f64
            })
        };
        Self {
            choice,
            p50: mean(&|outcome| outcome.quantile(0.5)),
            p99: mean(&|outcome| outcome.quantile(0.99)),
            max: mean(&|outcome| outcome.quantile(1.0)),
            answered: mean(&|outcome| outcome.millis.len() as f64),
            lost: mean(&|outcome| outcome.lost as f64),
            switches: mean(&|outcome| outcome.switches as f64),
            shares: (0..backends).map(share).collect(),
        }
    }

    fn percents(&self) -> String {
        let percents: Vec<String> = self
            .shares
            .iter()
            .map(|share| format!("{:.1}", share * 100.0))
            .collect();
        percents.join(" ")
    }
}

impl Table {
    /// Whether every contestant answered more requests than it lost, and used every backend.
    pub(crate) fn is_answered(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.answered > row.lost && row.shares.iter().all(|&share| share > 0.0))
    }

    fn fixed(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| row.choice != Choice::Adaptive)
    }

    fn best(&self) -> f64 {
        self.fixed()
            .map(|row| row.p99)
            .fold(f64::INFINITY, f64::min)
    }

    fn p99(&self, choice: Choice) -> f64 {
        let row = self.rows.iter().find(|row| row.choice == choice);
        row.map_or(f64::NAN, |row| row.p99)
    }
}

/// The sum of a contestant's 99th percentiles.
fn sum(tables: &[Table], choice: Choice) -> f64 {
    tables.iter().map(|table| table.p99(choice)).sum()
}

fn choices(tables: &[Table]) -> Vec<Choice> {
    let first = tables.first();
    first.map_or_else(Vec::new, |t| t.rows.iter().map(|row| row.choice).collect())
}

/// Where `adaptive` falls short of what is asked of it.
pub(crate) fn shortcomings(tables: &[Table]) -> Vec<String> {
    let mut found = Vec::new();
    for table in tables {
        let ratio = table.p99(Choice::Adaptive) / table.best();
        if ratio > TOLERANCE {
            found.push(format!(
                "{}: p99 of adaptive is {ratio:.2} x the best",
                table.scenario
            ));
        }
    }
    let own = sum(tables, Choice::Adaptive);
    for choice in choices(tables) {
        if choice != Choice::Adaptive && sum(tables, choice) <= own {
            found.push(format!("{} is not behind on the sum", choice.name()));
        }
    }
    found
}

/// A table for each scenario, times in milliseconds.
pub(crate) fn text(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        line(
            &mut text,
            &["", "p50", "p99", "to best", "max", "lost", "switches"],
            table.scenario,
        );
        for row in &table.rows {
            let cells = [
                format!("{:.2}", row.p50),
                format!("{:.2}", row.p99),
                format!("{:+.1} %", (row.p99 / table.best() - 1.0) * 100.0),
                format!("{:.1}", row.max),
                format!("{:.0}", row.lost),
                format!("{:.1}", row.switches),
            ];
            let mut cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            cells.insert(0, row.choice.name());
            line(&mut text, &cells, &row.percents());
        }
        text.push('\n');
    }
    line(&mut text, &["sum of p99"], "");
    for choice in choices(tables) {
        let total = format!("{:.2}", sum(tables, choice));
        line(&mut text, &[choice.name(), "", &total], "");
    }
    for shortcoming in shortcomings(tables) {
        text.push_str(&shortcoming);
        text.push('\n');
    }
    text
}

/// One line: a name, figures, and at the end the shares or what they are shares of.
fn line(text: &mut String, cells: &[&str], last: &str) {
    for (column, cell) in cells.iter().enumerate() {
        let padded = match column {
            0 => format!("{cell:<24}"),
            _ => format!("{cell:>12}"),
        };
        text.push_str(&padded);
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {last}");
}

/// The same for programs.
pub(crate) fn json(tables: &[Table]) -> String {
    let row = |row: &Row| {
        json!({
            "algorithm": row.choice.name(),
            "p50_ms": row.p50,
            "p99_ms": row.p99,
            "max_ms": row.max,
            "answered": row.answered,
            "lost": row.lost,
            "switches": row.switches,
            "shares": row.shares,
        })
    };
    let scenarios: Vec<Value> = tables
        .iter()
        .map(|table| {
            let rows: Vec<Value> = table.rows.iter().map(row).collect();
            json!({ "scenario": table.scenario, "algorithms": rows })
        })
        .collect();
    let result = json!({ "scenarios": scenarios, "shortcomings": shortcomings(tables) });
    format!("{result:#}\n")
}
