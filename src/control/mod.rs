//! Everything off the request path.

pub mod discovery;
pub mod exposition;
pub mod health;
