//! Everything off the request path.

pub mod exposition;
