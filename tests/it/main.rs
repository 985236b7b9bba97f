//! Evenkeel's behaviour over real sockets: the real binary, scripted backends, raw clients.
//!
//! Each module is a behaviour. Nothing needs a network, a fixed port or a set-up step.

mod balancing;
mod discovery;
mod draining;
mod forwarding;
mod health;
mod health_checks;
mod http2;
mod lifecycle;
mod limits;
mod observation;
mod registry;
mod retries;
mod routes;
mod strictness;
mod support;
mod tls;
mod upgrade;
