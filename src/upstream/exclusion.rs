//! Why a backend may not get a request.
//!
//! One reason for each, the first that was found, in the words of the API.

/// What keeps a backend from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// The request has been there.
    Tried,
    /// It cannot be connected to, its checks fail, or none has passed yet.
    Down,
    /// It is taken out for a while, for what requests to it came to.
    Ejected,
    /// Its ejection is over, and only single requests try it.
    HalfOpen,
    /// It gets no new clients.
    Draining,
    /// The operator has taken it out.
    Maintenance,
    /// Its heartbeat is overdue.
    Expired,
    /// Its share is cut or still growing, and this request is not part of it.
    ReducedShare,
    /// It is at its in-flight cap.
    AtCap,
    /// It is a backup, and a primary qualifies.
    BackupNotNeeded,
}

impl Exclusion {
    /// Every one, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Tried,
        Self::Down,
        Self::Ejected,
        Self::HalfOpen,
        Self::Draining,
        Self::Maintenance,
        Self::Expired,
        Self::ReducedShare,
        Self::AtCap,
        Self::BackupNotNeeded,
    ];

    /// The word in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Down => "down",
            Self::Ejected => "ejected",
            Self::HalfOpen => "half_open",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Expired => "expired",
            Self::ReducedShare => "reduced_share",
            Self::AtCap => "at_cap",
            Self::BackupNotNeeded => "backup_not_needed",
        }
    }
}
