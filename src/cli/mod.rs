//! The command line's subcommands as functions; each returns its exit code.

pub mod check;
pub mod schema;
