//! The subcommands: what each takes, prints, and exits with.

pub mod cases;
pub mod check;
pub mod explain;
pub mod plan;
pub mod probe;
pub mod run;
mod running;
pub mod schema;
