//! What the algorithms compare backends by, in the words of the API.

/// What an algorithm's score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Turns until the backend's own; 0 is the next.
    Turns,
    /// (Requests in flight + 1) / weight: the lowest is chosen.
    Load,
    /// Seconds: latency x (requests in flight + 1) / weight; among about the lowest the load decides.
    Cost,
    /// Requests in flight / weight: the lower of two that are drawn is chosen.
    InFlight,
    /// The share of the draws that hit it, from 0 to 1.
    Chance,
    /// Its place in the order in which the key asks for backends: the first that may is chosen.
    Order,
}

impl Measure {
    /// Every one, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Turns,
        Self::Load,
        Self::Cost,
        Self::InFlight,
        Self::Chance,
        Self::Order,
    ];

    /// The word in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Load => "load",
            Self::Cost => "cost",
            Self::InFlight => "in_flight_by_weight",
            Self::Chance => "chance",
            Self::Order => "order",
        }
    }
}
