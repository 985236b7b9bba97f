//! Everything off the request path.

pub mod admin;
pub mod autoscale;
pub mod discovery;
mod engine;
pub mod explain;
pub mod exposition;
#[cfg(test)]
mod folder;
pub mod health;
pub mod lifecycle;
mod outbound;
pub mod reconcile;
pub mod reload;
mod serve;
pub mod steward;
pub mod timeline;
pub mod traffic;
mod watch;
mod words;
