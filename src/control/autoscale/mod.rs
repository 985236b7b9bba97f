//! Keeping upstreams at the size that their load needs.
//!
//! | file | job |
//! |---|---|
//! | `signals`, `prometheus` | what the load is |
//! | `forecast` | what it will be when a new backend serves (pure) |
//! | `decide` | what size that asks for (pure) |
//! | `pool`, `trial`, `farewell`, `cap` | what the backends are, how long each may fail to serve, how one leaves, how often at most (pure) |
//! | `driver` | who makes backends and ends them |
//! | `keeper` | one target: looks, decides, acts, and looks again |
//! | `service` | the keepers of the configuration in force |
//! | `board` | what all that came to, for the API, and what its operator wants |
//! | `lease` | which of several balancers acts |
//!
//! Nothing of what is under way is remembered across a restart, and nothing has
//! to be: what there is is seen in the driver's labels, and every step is safe to
//! find half done. A backend that drains when the process dies serves again; one
//! that was made and not started is started or taken away.

pub mod board;
mod cap;
pub mod decide;
pub mod driver;
mod farewell;
pub mod forecast;
mod keeper;
pub mod lease;
mod pool;
pub mod prometheus;
mod service;
pub mod signals;
#[cfg(test)]
mod simulation;
mod surroundings;
mod trial;

pub use service::Autoscaler;
pub use surroundings::Surroundings;
