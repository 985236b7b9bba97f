//! Evenkeel's behaviour over real sockets: the real binary, scripted backends, raw clients.
//!
//! Each module is a behaviour. Nothing needs a network, a fixed port or a set-up step.

mod admin_api;
mod autoscaler;
mod autoscaler_signals;
mod balancing;
mod dashboard;
mod discovery;
mod draining;
mod drivers;
mod engine_filter;
mod engine_tls;
mod explain;
mod forwarding;
mod health;
mod health_checks;
mod http2;
mod lifecycle;
mod limits;
mod observation;
mod queue;
mod registry;
mod reload;
mod retries;
mod routes;
mod series;
mod strictness;
mod support;
mod tls;
mod upgrade;
