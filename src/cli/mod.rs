//! The command line's subcommands as functions; each returns its exit code.

pub mod cases;
pub mod explain;
mod sample;
