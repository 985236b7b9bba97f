//! What every driver offers, and what can go wrong with one.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

/// Characters of what the other side says with an error; the rest is cut off.
const MAX_SAID: usize = 400;

/// How the size of an upstream is changed.
pub enum Means {
    /// Instance by instance.
    Instances(Box<dyn Driver>),
    /// By a number.
    Size(Box<dyn Sizer>),
}

/// Makes and ends single instances. Every call takes a bounded time and tries once.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The instances that there are, in whatever state, in the order of their numbers.
    async fn observe(&self) -> Result<Vec<Instance>, DriverError>;

    /// Makes one more and starts it. One that does not start is taken away again where that is
    /// possible; where it is not, [`observe`](Self::observe) reports it.
    async fn create(&self) -> Result<Instance, DriverError>;

    /// Starts one that was made and never started, as a crash between the two leaves it. Fails as
    /// [`create`](Self::create) does.
    async fn resume(&self, id: &str) -> Result<Instance, DriverError>;

    /// Ends one with its own grace, and takes it away. One that is gone already is a success.
    async fn remove(&self, id: &str) -> Result<(), DriverError>;
}

/// Tells a platform how many instances there should be.
#[async_trait]
pub trait Sizer: Send + Sync {
    /// How many the platform should have by now; `None` where it cannot be asked.
    async fn size(&self) -> Result<Option<u32>, DriverError>;

    /// Asks for `to` instances in the place of `from`. Asking again does no harm.
    async fn resize(&self, from: u32, to: u32) -> Result<(), DriverError>;
}

/// One instance of an upstream's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What the driver knows it by.
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// The number that the platform gave it, from 1 on.
    pub number: u32,
    /// When it was made, in seconds since 1970; 0 when that is not known.
    pub created: u64,
    /// What it does.
    pub state: InstanceState,
    /// Where it is reached, in all of its networks.
    pub addresses: Vec<IpAddr>,
    /// How often the platform has started it again because it ended.
    pub restarts: u32,
    /// Whether the autoscaler made it, now or in an earlier process.
    pub own: bool,
}

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It was made and never started.
    Created,
    /// It runs, and its own health check has not passed yet.
    Starting,
    /// It runs.
    Running,
    /// It ended, and the platform is about to start it again.
    Restarting {
        /// What it ended with.
        code: i64,
    },
    /// It was halted by somebody.
    Paused,
    /// It ended.
    Exited {
        /// What it ended with.
        code: i64,
    },
    /// It is being ended or taken away.
    Removing,
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// Nobody is there, or the connection broke.
    #[error("{place} cannot be reached: {reason}")]
    Unreachable {
        /// Who was to be asked.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// It takes too long; whether it was done is not known.
    #[error("{what}: no answer within {}", humantime::format_duration(*.limit))]
    Timeout {
        /// What was asked for.
        what: String,
        /// How long it was waited.
        limit: Duration,
    },
    /// The other side says no, or that it cannot.
    #[error("{what}: {status} {said}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The answer's status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// The answer is no answer.
    #[error("{what}: the answer is not understood: {reason}")]
    Nonsense {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be done until somebody changes what is configured.
    #[error("{0}")]
    Impossible(String),
    /// It belongs to somebody else and is left alone.
    #[error("{id} is left alone: {reason}")]
    Foreign {
        /// What it was asked for by.
        id: String,
        /// By what that is seen.
        reason: String,
    },
    /// A program could not be run or failed.
    #[error("{program}: {reason}")]
    Program {
        /// Its path.
        program: String,
        /// What happened.
        reason: String,
    },
}

impl DriverError {
    /// Whether the same call may succeed later without anybody's doing. A program may always.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Program { .. } => true,
            Self::Refused { status, .. } => {
                matches!(status, 408 | 409 | 425 | 429 | 500..=599)
            }
            Self::Nonsense { .. } | Self::Impossible(_) | Self::Foreign { .. } => false,
        }
    }

    /// A word for metrics and events.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::Nonsense { .. } => "nonsense",
            Self::Impossible(_) => "impossible",
            Self::Foreign { .. } => "foreign",
            Self::Program { .. } => "program",
        }
    }

    pub(super) fn timeout(what: &str, limit: Duration) -> Self {
        Self::Timeout {
            what: what.to_owned(),
            limit,
        }
    }

    pub(super) fn refused(what: &str, status: u16, said: &str) -> Self {
        Self::Refused {
            what: what.to_owned(),
            status,
            said: shortened(said),
        }
    }

    pub(super) fn nonsense(what: &str, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Nonsense {
            what: what.to_owned(),
            reason: shortened(&reason.to_string()),
        }
    }
}

/// On one line, and not longer than an error may be.
pub(super) fn shortened(said: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = said.trim().chars().map(visible).take(MAX_SAID).collect();
    if said.trim().chars().nth(MAX_SAID).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_temporary() {
        let refused = |status| DriverError::refused("create", status, "no").is_temporary();
        for status in [408, 409, 429, 500, 503] {
            assert!(refused(status), "{status}");
        }
        for status in [302, 400, 401, 403, 404] {
            assert!(!refused(status), "{status}");
        }
        assert!(DriverError::timeout("create", Duration::from_secs(1)).is_temporary());
        assert!(!DriverError::Impossible("a fixed port".to_owned()).is_temporary());
    }

    #[test]
    fn what_the_other_side_says_is_one_short_line() {
        assert_eq!(shortened(" a\nb\u{1b}[31m "), "a b [31m");
        let long = shortened(&"é".repeat(MAX_SAID + 1));
        assert_eq!(long.chars().count(), MAX_SAID + 1);
        assert!(long.ends_with('…'));
        let text = DriverError::timeout("start", Duration::from_secs(90)).to_string();
        assert_eq!(text, "start: no answer within 1m 30s");
    }
}
