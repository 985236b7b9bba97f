//! Evenkeel: a load balancer on Pingora that steers traffic well and explains itself.
//!
//! # The request's path
//!
//! A request meets the stages in this order, and each hands a value on to the next:
//! [`request::Facts`] -> [`route::RouteMatch`] -> [`upstream::Selection`] -> [`observe::Outcome`].
//! The stages return facts; only [`proxy`] acts on them, and only [`observe`] records.
//!
//! # The layers
//!
//! A module imports only from a lower layer, never sideways; `tests/architecture.rs` holds it.
//!
//! | layer | modules |
//! |---|---|
//! | 1 | [`clock`], [`config`], [`request`], [`reject`], [`state`] |
//! | 2 | [`listen`], [`route`], [`upstream`], [`observe`] |
//! | 3 | [`snapshot`] |
//! | 4 | [`proxy`], [`control`] |
//! | 5 | [`server`] |
//! | 6 | [`demo`], [`cli`] |

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
pub mod listen;
pub mod observe;
pub mod proxy;
pub mod reject;
pub mod request;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod state;
pub mod upstream;
