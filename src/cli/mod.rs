//! The subcommands: what each takes, prints, and exits with.

pub mod check;
pub mod run;
pub mod schema;
