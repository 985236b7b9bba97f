//! What can be wrong with a query: whose fault it is, and what to do.

use std::time::Duration;

/// Characters of what a server says that are repeated.
const MAX_SAID: usize = 300;

/// Why a query has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The network's or the address's: no connection, or it broke off.
    #[error(
        "{server} cannot be reached ({cause}): check that Prometheus runs, and `autoscaler.prometheus.url`"
    )]
    Unreachable {
        /// Its address.
        server: String,
        /// What the system says.
        cause: String,
    },
    /// The server's or the query's: too slow.
    #[error(
        "{server} gave no whole answer within {within:?}: it is overloaded or the query is expensive; check both, or raise `autoscaler.prometheus.timeout`"
    )]
    TimedOut {
        /// Its address.
        server: String,
        /// The timeout.
        within: Duration,
    },
    /// The configuration's: the token is missing or wrong.
    #[error("{server} denies access ({said}): check `autoscaler.prometheus.token`")]
    Denied {
        /// Its address.
        server: String,
        /// Its status and words.
        said: String,
    },
    /// The configuration's: what is asked for is elsewhere.
    #[error(
        "{server} redirects to {to}, which is not followed: set `autoscaler.prometheus.url` to where the API is"
    )]
    Redirected {
        /// Its address.
        server: String,
        /// Where it points to.
        to: String,
    },
    /// The server's.
    #[error("{server} fails ({said}): look into its log")]
    Server {
        /// Its address.
        server: String,
        /// Its status and words.
        said: String,
    },
    /// The configuration's: something else answers there.
    #[error(
        "{server} does not answer as Prometheus does ({what}): check `autoscaler.prometheus.url`"
    )]
    Foreign {
        /// Its address.
        server: String,
        /// What is unexpected.
        what: String,
    },
    /// The query's: it is not valid, or cannot be evaluated.
    #[error("Prometheus refuses the query ({0}): correct it")]
    BadQuery(String),
    /// The query's: its result is of another type.
    #[error(
        "the query results in {0}: it must give an instant vector, one sample for each backend"
    )]
    WrongType(&'static str),
    /// The query's: more than one sample for each backend.
    #[error("the answer is longer than {0} bytes: let the query give one sample for each backend")]
    TooLong(usize),
    /// The data's: there is none.
    #[error(
        "the query finds no data: check that Prometheus scrapes what it names, and that the labels match"
    )]
    NoData,
    /// The data's: a division by zero, or a quantile of nothing.
    #[error("a sample is {0}, which is no load: check what the query divides by")]
    NotFinite(String),
    /// The data's, or a clock's: the answer is not about the present.
    #[error(
        "a sample is {0} s off this machine's time: check the clocks, and that no cache answers in Prometheus's stead"
    )]
    Stale(i64),
    /// The data's: some of it may be missing.
    #[error("the data may be incomplete, Prometheus warns: {0}")]
    Partial(String),
}

impl QueryError {
    /// Whether the server did its part and only the data are not good enough: asking again soon is
    /// no burden then.
    #[must_use]
    pub const fn is_of_the_data(&self) -> bool {
        matches!(
            self,
            Self::NoData | Self::NotFinite(_) | Self::Stale(_) | Self::Partial(_)
        )
    }
}

/// What somebody else said, fit for one line of a log: bounded, and nothing that steers a terminal.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_control() || c.is_whitespace()) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if let Some((end, _)) = out.char_indices().nth(MAX_SAID) {
            out.truncate(end);
            out.push_str("...");
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_one_bounded_line() {
        assert_eq!(quoted(" a\n\tb\u{1b}[31m  c "), "a b [31m c");
        assert_eq!(quoted(""), "");
        let long = quoted(&"é".repeat(1000));
        assert_eq!(long.chars().count(), MAX_SAID + 3);
        assert_eq!(quoted(&"x ".repeat(1000)).chars().count(), MAX_SAID + 3);
    }
}
