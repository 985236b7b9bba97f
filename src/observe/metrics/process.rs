//! The `process_*` metrics, read from `/proc` at each scrape.
//!
//! Where there is no `/proc` they are absent. The numbers of `proc(5)` come in
//! clock ticks; user space sees 100 a second on every architecture that the
//! Rust standard library supports on Linux.

use std::fs;

use super::family::Family;
use super::page::Page;

const TICKS_PER_SECOND: f64 = 100.0;

/// Adds what the kernel says about this process.
pub(super) fn collect(page: &mut Page) {
    if let Some(stat) = read("/proc/self/stat") {
        collect_times(&stat, read("/proc/stat").as_deref(), page);
    }
    if let Some(status) = read("/proc/self/status") {
        let mut field = |key: &str, scale: f64, family: Family| {
            if let Some(value) = value_after(&status, key) {
                page.number(family, &[], value * scale);
            }
        };
        field("VmRSS:", 1024.0, Family::ProcessResident);
        field("VmSize:", 1024.0, Family::ProcessVirtual);
        field("Threads:", 1.0, Family::ProcessThreads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The directory itself is open while it is listed.
        let count = open.count().saturating_sub(1);
        page.number(Family::ProcessOpenFds, &[], count as f64);
    }
    let limits = read("/proc/self/limits");
    if let Some(max) = limits.and_then(|text| value_after(&text, "Max open files")) {
        page.number(Family::ProcessMaxFds, &[], max);
    }
}

fn collect_times(stat: &str, machine: Option<&str>, page: &mut Page) {
    let Some(times) = Times::parse(stat) else {
        return;
    };
    page.number(Family::ProcessCpu, &[], times.cpu_seconds);
    if let Some(boot) = machine.and_then(|text| value_after(text, "btime")) {
        page.number(Family::ProcessStart, &[], boot + times.started_after_boot);
    }
}

#[derive(Debug, PartialEq)]
struct Times {
    cpu_seconds: f64,
    started_after_boot: f64,
}

impl Times {
    /// Fields 14, 15 and 22 of `/proc/PID/stat`. The second field, the program's
    /// name in parentheses, may itself hold blanks and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            started_after_boot: ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

/// The number that follows `key` at the start of a line.
fn value_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_may_hold_anything() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 5 0 9000 1 2";
        assert_eq!(
            Times::parse(stat),
            Some(Times {
                cpu_seconds: 2.0,
                started_after_boot: 90.0
            })
        );
        assert_eq!(Times::parse("nonsense"), None);
        assert_eq!(Times::parse("7 (a) S 1"), None);
    }

    #[test]
    fn values_are_found_by_their_key() {
        let text = "VmPeak:\t  12 kB\nVmRSS:\t  34 kB\nMax open files  unlimited  9\n";
        assert_eq!(value_after(text, "VmRSS:"), Some(34.0));
        assert_eq!(value_after(text, "Max open files"), None);
        assert_eq!(value_after(text, "absent"), None);
    }
}
