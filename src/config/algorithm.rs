//! The names of the selection algorithms, shared by the configuration,
//! `?algo=`, the metrics and the selectors.

macro_rules! algorithms {
    ($($(#[$doc:meta])* $variant:ident => $name:literal;)*) => {
        /// How a backend is chosen for a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Algorithm { $($(#[$doc])* $variant,)* }

        impl Algorithm {
            /// Every algorithm, in the order of their discriminants.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the configuration, in `?algo=` and in the metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The algorithm of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

algorithms! {
    /// In turn, weights ignored.
    RoundRobin => "round_robin";
    /// In turn, in proportion to the weights and evenly spread.
    WeightedRoundRobin => "weighted_round_robin";
    /// The fewest requests in flight per weight.
    LeastConnections => "least_connections";
    /// The lowest peak-EWMA latency x (in-flight + 1) / weight.
    WeightedResponseTime => "weighted_response_time";
    /// The less loaded of two drawn at random by weight.
    PowerOfTwo => "power_of_two";
    /// At random by weight.
    Random => "random";
    /// By the client's address.
    IpHash => "ip_hash";
    /// By the hash key on a Ketama ring, with bounded load.
    ConsistentHash => "consistent_hash";
    /// By the hash key in a Maglev table.
    Maglev => "maglev";
}

/// What decides on the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The configuration.
    Fixed(Algorithm),
    /// Live evidence, second by second.
    Adaptive,
}

impl Choice {
    /// The word for [`Choice::Adaptive`] in the configuration.
    pub const ADAPTIVE: &'static str = "adaptive";

    /// Every name that the configuration takes, the default first.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let fixed = Algorithm::ALL.iter().map(|algorithm| algorithm.name());
        std::iter::once(Self::ADAPTIVE).chain(fixed)
    }

    /// The choice of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if name == Self::ADAPTIVE {
            return Some(Self::Adaptive);
        }
        Algorithm::from_name(name).map(Self::Fixed)
    }

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed(algorithm) => algorithm.name(),
            Self::Adaptive => Self::ADAPTIVE,
        }
    }
}
