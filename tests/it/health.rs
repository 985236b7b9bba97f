//! What becomes of requests when backends die, get sick, get slow, come back or are taken out.
//!
//! Counts are exact. Limits of time are those that Evenkeel promises plus room for a busy machine.

use std::net::SocketAddr;

use crate::support::Evenkeel;

mod death;
mod faults;
mod gray;
mod operator;

/// Whether the backend is in the state, as the metrics have it.
fn is_in_state(evenkeel: &Evenkeel, backend: SocketAddr, state: &str) -> bool {
    let backend = backend.to_string();
    let labels = [("backend", backend.as_str()), ("state", state)];
    evenkeel.metric("evenkeel_backend_state", &labels) > 0.0
}

/// Whether the backend may get requests, as the metrics have it.
fn is_up(evenkeel: &Evenkeel, backend: SocketAddr) -> bool {
    let backend = backend.to_string();
    evenkeel.metric("evenkeel_backend_up", &[("backend", &backend)]) > 0.0
}

/// Attempts made at the backend so far, failed ones included.
fn attempts(evenkeel: &Evenkeel, backend: SocketAddr) -> f64 {
    let backend = backend.to_string();
    evenkeel.metric("evenkeel_backend_requests_total", &[("backend", &backend)])
}
