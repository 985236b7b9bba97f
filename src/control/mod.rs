//! Everything off the request path.

pub mod admin;
pub mod discovery;
pub mod exposition;
pub mod health;
pub mod lifecycle;
pub mod reconcile;
mod serve;
pub mod steward;
pub mod timeline;
