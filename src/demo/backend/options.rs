//! The backend's flags and environment, parsed into values that are valid.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use super::register::Registration;
use crate::config::Percent;

/// Longest delay a request may ask for, or the backend may simulate.
pub(super) const MAX_DELAY: Duration = Duration::from_mins(1);

/// How a demo backend behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct BackendOptions {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:5001")]
    pub listen: SocketAddr,
    /// Name in every answer; `{hostname}` in it is the machine's [default: backend-PORT].
    #[arg(long, env = "SERVER_ID")]
    pub server_id: Option<String>,
    /// Time `/` takes: `20ms`, or a range drawn from evenly, `100ms-500ms`; at most 60s.
    #[arg(long = "delay", env = "SIMULATED_DELAY", default_value = "0ms")]
    pub simulated_delay: Delay,
    /// Share of `/` answered 500: `5%` or `0.05`.
    #[arg(long, env = "ERROR_RATE", default_value = "0%", value_parser = parse_share)]
    pub error_rate: Percent,
    /// Share of `/health` answered 503: `5%` or `0.05`.
    #[arg(long, env = "HEALTH_FAILURE_RATE", default_value = "0%", value_parser = parse_share)]
    pub health_failure_rate: Percent,
    /// How long after the start `/health` answers 503.
    #[arg(long, env = "WARM_UP", default_value = "0s", value_parser = humantime::parse_duration)]
    pub warm_up: Duration,
    /// How long it goes on to serve when it is told to end, while whoever sends requests hears of that.
    #[arg(long, env = "SHUTDOWN_DELAY", default_value = "0s", value_parser = humantime::parse_duration)]
    pub shutdown_delay: Duration,
    /// Worker threads [default: one per core].
    #[arg(long, env = "THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// Where it registers itself.
    #[command(flatten)]
    pub registration: Registration,
}

impl BackendOptions {
    /// A well-behaved backend at `listen`: no delay, no failures.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            server_id: None,
            simulated_delay: Delay::default(),
            error_rate: Percent::NONE,
            health_failure_rate: Percent::NONE,
            warm_up: Duration::ZERO,
            shutdown_delay: Duration::ZERO,
            threads: None,
            registration: Registration::default(),
        }
    }

    /// A well-behaved backend on a free loopback port.
    #[must_use]
    pub fn local() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

/// A delay drawn evenly from a range; both ends equal for a fixed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    shortest: Duration,
    longest: Duration,
}

impl Delay {
    /// A delay between `shortest` and `longest`; `None` unless in order and at most 60 s.
    #[must_use]
    pub fn between(shortest: Duration, longest: Duration) -> Option<Self> {
        (shortest <= longest && longest <= MAX_DELAY).then_some(Self { shortest, longest })
    }

    /// The delay at `roll`, which is evenly distributed over 0..1.
    pub(super) fn at(self, roll: f64) -> Duration {
        self.shortest + self.longest.saturating_sub(self.shortest).mul_f64(roll)
    }
}

impl FromStr for Delay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (shortest, longest) = text.split_once('-').unwrap_or((text, text));
        let bound = |part: &str| {
            humantime::parse_duration(part.trim()).map_err(|error| {
                format!("`{part}` is no duration ({error}): write 20ms, or 100ms-500ms")
            })
        };
        Self::between(bound(shortest)?, bound(longest)?)
            .ok_or_else(|| "a range goes from short to long, at most 60s".to_owned())
    }
}

/// A share written as `5%` or as a fraction, `0.05`.
fn parse_share(text: &str) -> Result<Percent, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number, 1.0),
        None => (text, 100.0),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .and_then(|number| Percent::from_hundredths(number * unit))
        .ok_or_else(|| "a share lies between 0% and 100%, or 0 and 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_delay_is_fixed_or_a_range() {
        let fixed: Delay = "20ms".parse().unwrap();
        assert_eq!((fixed.at(0.0), fixed.at(0.99)), (20 * MS, 20 * MS));
        let range: Delay = "100ms-500ms".parse().unwrap();
        assert_eq!((range.at(0.0), range.at(0.5)), (100 * MS, 300 * MS));
    }

    #[test]
    fn a_delay_out_of_order_or_bounds_is_refused() {
        for text in [
            "500ms-100ms",
            "61s",
            "1ms-61s",
            "20",
            "-",
            "",
            "1ms-2ms-3ms",
        ] {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        for text in ["5%", "0.05", "5 %"] {
            assert!(
                (parse_share(text).unwrap().ratio() - 0.05).abs() < 1e-9,
                "{text}"
            );
        }
        for text in ["101%", "1.5", "-1%", "NaN", "many", ""] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }
}
