//! Durations, sizes and shares.

use std::time::Duration;

use super::form::{Format, nothing_more};
use crate::config::units::Percent;

/// `250ms`, `5s`, `1h30m`.
#[derive(Clone, Debug)]
pub(crate) struct DurationText;

impl Format for DurationText {
    type Value = Duration;
    const NAME: &'static str = "duration";
    const EXPECTED: &'static str = "a duration such as 250ms, 5s or 1h30m";
    const PATTERN: Option<&'static str> = Some("^([0-9]+(us|ms|s|m|h|d))+$");

    fn parse(text: &str) -> Result<Duration, String> {
        if text.is_empty() {
            return nothing_more();
        }
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, unit, after) = number_and_unit(rest)?;
            let micros_each: u64 = match unit {
                "us" => 1,
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" => 60_000_000,
                "h" => 3_600_000_000,
                "d" => 86_400_000_000,
                "" if after.starts_with('.') => return Err("fractions are not allowed".to_owned()),
                "" => return Err("the unit is missing, as in 5s".to_owned()),
                _ => return Err("the units are us, ms, s, m, h and d".to_owned()),
            };
            total = number
                .checked_mul(micros_each)
                .and_then(|micros| total.checked_add(Duration::from_micros(micros)))
                .ok_or("too long")?;
            rest = after;
        }
        Ok(total)
    }

    fn magnitude(value: &Duration) -> Option<f64> {
        Some(value.as_secs_f64())
    }
}

/// The digits `text` starts with, the letters after them, and the rest.
fn number_and_unit(text: &str) -> Result<(u64, &str, &str), String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    match number.parse() {
        Ok(number) => Ok((number, unit, rest)),
        Err(_) if number.is_empty() => nothing_more(),
        Err(_) => Err("the number is too large".to_owned()),
    }
}

/// `32KiB`, `10MB`.
#[derive(Clone, Debug)]
pub(crate) struct SizeText;

impl Format for SizeText {
    type Value = u64;
    const NAME: &'static str = "size";
    const EXPECTED: &'static str = "a size such as 512B, 32KiB or 10MiB";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$");

    fn parse(text: &str) -> Result<u64, String> {
        let (number, unit, after) = number_and_unit(text)?;
        if after.starts_with('.') {
            return Err("fractions are not allowed".to_owned());
        }
        if !after.is_empty() {
            return nothing_more();
        }
        let bytes_each: u64 = match unit {
            "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "" => return Err("the unit is missing, as in 32KiB".to_owned()),
            _ => return Err("the units are B, KB, MB, GB, KiB, MiB and GiB".to_owned()),
        };
        number
            .checked_mul(bytes_each)
            .ok_or_else(|| "the number is too large".to_owned())
    }

    fn magnitude(value: &u64) -> Option<f64> {
        Some(*value as f64)
    }
}

/// A size, or `unlimited`.
#[derive(Clone, Debug)]
pub(crate) struct SizeLimit;

impl Format for SizeLimit {
    type Value = Option<u64>;
    const NAME: &'static str = "size-limit";
    const EXPECTED: &'static str = "a size such as 32KiB or 10MiB, or `unlimited`";
    const PATTERN: Option<&'static str> = Some("^([0-9]+(B|KB|MB|GB|KiB|MiB|GiB)|unlimited)$");

    fn parse(text: &str) -> Result<Option<u64>, String> {
        if text == "unlimited" {
            return Ok(None);
        }
        SizeText::parse(text).map(Some)
    }

    fn magnitude(value: &Option<u64>) -> Option<f64> {
        value.map(|bytes| bytes as f64)
    }
}

/// `20%`.
#[derive(Clone, Debug)]
pub(crate) struct PercentText;

impl Format for PercentText {
    type Value = Percent;
    const NAME: &'static str = "percent";
    const EXPECTED: &'static str = "a percentage from 0% to 100%, such as 20%";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(\\.[0-9]+)?%$");

    fn parse(text: &str) -> Result<Percent, String> {
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let number = text.strip_suffix('%').ok_or("the % is missing")?;
        let edge = |c: char| c.is_ascii_digit();
        if !number.starts_with(edge) || !number.ends_with(edge) || !number.chars().all(digits) {
            return nothing_more();
        }
        let hundredths = number.parse().map_err(|_| String::new())?;
        Percent::from_hundredths(hundredths).ok_or_else(String::new)
    }

    fn magnitude(value: &Percent) -> Option<f64> {
        Some(value.ratio())
    }
}
