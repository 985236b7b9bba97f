//! Numbers with as many digits as mean something.
//!
//! A clock that is read a few microseconds later should not change half of a
//! number's digits; people compare answers, and so do programs.

use std::time::Duration;

/// Seconds to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    decimals(time.as_secs_f64(), 1e3)
}

/// Seconds to the microsecond: for what is over in a few of them.
pub(super) fn fine(seconds: f64) -> f64 {
    decimals(seconds, 1e6)
}

/// A share of a whole, to a hundredth of a percent.
pub(super) fn share(share: f64) -> f64 {
    decimals(share, 1e4)
}

/// So many a second, to three decimals.
pub(super) fn rate(per_second: f64) -> f64 {
    decimals(per_second, 1e3)
}

fn decimals(number: f64, scale: f64) -> f64 {
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_short_as_they_are_meant() {
        let printed = [
            seconds(Duration::from_micros(1_234_567)),
            fine(0.000_412_345),
            share(1.0 / 3.0),
            rate(2.0 / 3.0),
        ]
        .map(|number| number.to_string());
        assert_eq!(printed, ["1.235", "0.000412", "0.3333", "0.667"]);
    }
}
