//! The harness: a real Evenkeel, scripted backends and raw clients, on ports of their own.

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod compose;
pub(crate) mod deadline;
pub(crate) mod demo;
pub(crate) mod engine;
pub(crate) mod evenkeel;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod filter;
pub(crate) mod folder;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod metrics;
pub(crate) mod name_server;
pub(crate) mod open_loop;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod tls_engine;

/// Shows what a failed test needs to be understood.
#[expect(clippy::print_stderr, reason = "the test's own report")]
pub(crate) fn show(text: &str) {
    eprintln!("{text}");
}

pub(crate) use backend::{Backend, Gate, Reply};
pub(crate) use client::{Client, Response};
pub(crate) use demo::Demo;
pub(crate) use engine::Engine;
pub(crate) use evenkeel::{Evenkeel, Setup};
pub(crate) use filter::Filter;
pub(crate) use folder::Folder;
pub(crate) use load::Load;
pub(crate) use name_server::NameServer;
pub(crate) use open_loop::{OpenLoop, Shots};
pub(crate) use process::Process;
pub(crate) use prometheus::{Prometheus, Said};
