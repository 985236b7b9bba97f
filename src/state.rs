//! What a backend's state is called, and why it is in it.
//!
//! The words are the same in the log, the metrics and the API. A state is
//! derived from the sources of health (checks, requests, peers, heartbeats, the
//! operator), each of which keeps its own record; where several object, the one
//! that is hardest to overcome gives the name.

/// Whether a backend takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It takes its share.
    Up,
    /// It came back or joined a moment ago; its share grows.
    Warming,
    /// It is slower than its peers; its share is cut.
    Suspect,
    /// Its ejection is over; one request at a time tries it.
    HalfOpen,
    /// It is taken out for a while, for what requests to it came to.
    Ejected,
    /// It cannot be connected to, or its checks fail.
    Down,
    /// It gets no new clients; what is under way is finished.
    Draining,
    /// The operator has taken it out.
    Maintenance,
    /// Its heartbeat is overdue.
    Expired,
}

impl State {
    /// Every state, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Up,
        Self::Warming,
        Self::Suspect,
        Self::HalfOpen,
        Self::Ejected,
        Self::Down,
        Self::Draining,
        Self::Maintenance,
        Self::Expired,
    ];

    /// The word in the log, the metrics and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Warming => "warming",
            Self::Suspect => "suspect",
            Self::HalfOpen => "half_open",
            Self::Ejected => "ejected",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Expired => "expired",
        }
    }

    /// Whether every request may go there.
    #[must_use]
    pub const fn is_available(self) -> bool {
        matches!(self, Self::Up | Self::Warming | Self::Suspect)
    }

    /// Whether it counts as a backend that could be available: not one that the operator or its
    /// own silence has taken out of the upstream.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        !matches!(self, Self::Draining | Self::Maintenance | Self::Expired)
    }
}

/// Why a backend is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing speaks against it.
    Healthy,
    /// It came back or joined a moment ago.
    SlowStart,
    /// It answers more slowly than its peers.
    Latency,
    /// So many requests in a row failed.
    ConsecutiveFailures,
    /// Too large a share of its requests failed.
    FailureRatio,
    /// It refuses connections, or does not accept them in time.
    ConnectFailed,
    /// No check has passed yet.
    NotChecked,
    /// Its checks fail.
    CheckFailed,
    /// No heartbeat in time.
    TtlExpired,
    /// The operator said so.
    Operator,
}

impl Reason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Healthy,
        Self::SlowStart,
        Self::Latency,
        Self::ConsecutiveFailures,
        Self::FailureRatio,
        Self::ConnectFailed,
        Self::NotChecked,
        Self::CheckFailed,
        Self::TtlExpired,
        Self::Operator,
    ];

    /// The word in the log, the metrics and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::SlowStart => "slow_start",
            Self::Latency => "latency",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRatio => "failure_ratio",
            Self::ConnectFailed => "connect_failed",
            Self::NotChecked => "not_checked",
            Self::CheckFailed => "check_failed",
            Self::TtlExpired => "ttl_expired",
            Self::Operator => "operator",
        }
    }
}
