//! Every trace without a forecast and with it, as the documentation tells it.

use std::fmt::Write as _;

use once_cell::sync::Lazy;

use super::{Outcome, Trace};
use crate::config::ForecastMode;

/// Where the table is told.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/autoscaler.md");

const HEAD: &str = "\
| trace | a backend takes | minutes above the target | beyond its tolerance | above the band | replica-hours |
|---|---|---|---|---|---|
";

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// What a backend takes to serve, in seconds.
const PROVISIONING: [u32; 2] = [30, 60];

/// A trace and what became of it, the mean over the seeds.
pub(super) struct Row {
    pub(super) trace: &'static str,
    provisioning: u32,
    pub(super) reactive: Outcome,
    pub(super) auto: Outcome,
    pub(super) enforce: Outcome,
}

impl Row {
    fn of(trace: &Trace, provisioning: u32) -> Self {
        // A day is as long as six of the others.
        let seeds = &SEEDS[..if trace.length > 50_000.0 { 2 } else { 5 }];
        let run = |mode| Outcome::of(trace, provisioning, mode, seeds);
        Self {
            trace: trace.name,
            provisioning,
            reactive: run(None),
            auto: run(Some(ForecastMode::Auto)),
            enforce: run(Some(ForecastMode::Enforce)),
        }
    }

    /// What a finding is about.
    pub(super) fn name(&self, mode: &str) -> String {
        format!("{}, {} s, {mode}", self.trace, self.provisioning)
    }

    /// Each measure without a forecast, with `auto` and with `enforce`.
    fn line(&self) -> String {
        let mut line = format!("| {} | {} s |", self.trace, self.provisioning);
        let all = [self.reactive, self.auto, self.enforce];
        for seconds in [
            all.map(|one| one.above_target),
            all.map(|one| one.beyond_tolerance),
            all.map(|one| one.above_band),
        ] {
            let [reactive, auto, enforce] = seconds.map(|seconds| seconds / 60.0);
            write!(line, " {reactive:.1} / {auto:.1} / {enforce:.1} |").unwrap();
        }
        let more = |with: Outcome| 100.0 * (with.replica_hours / self.reactive.replica_hours - 1.0);
        let (hours, auto, enforce) = (
            self.reactive.replica_hours,
            more(self.auto),
            more(self.enforce),
        );
        write!(line, " {hours:.0} / {auto:+.0} % / {enforce:+.0} % |").unwrap();
        line
    }
}

/// All rows, run once.
pub(super) fn rows() -> &'static [Row] {
    static ROWS: Lazy<Vec<Row>> = Lazy::new(|| {
        let traces = [
            Trace::sine(),
            Trace::sine_with_history(),
            Trace::real_day(),
            Trace::ramp(),
            Trace::missing_data(),
            Trace::spike(),
            Trace::step(),
            Trace::noise(),
        ];
        let rows = traces
            .iter()
            .flat_map(|trace| PROVISIONING.map(|provisioning| Row::of(trace, provisioning)));
        rows.collect()
    });
    &ROWS
}

#[test]
fn the_document_says_what_was_measured() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, table) = document.split_once(HEAD).expect("the table's head");
    let measured: String = rows().iter().map(|row| row.line() + "\n").collect();
    let told: usize = table
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('|'))
        .map(str::len)
        .sum();
    let right = format!("{before}{HEAD}{measured}{}", &table[told..]);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(DOCUMENT, right).unwrap();
        return;
    }
    assert_eq!(
        document, right,
        "regenerate with: BLESS=1 cargo test --lib the_document_says"
    );
}
